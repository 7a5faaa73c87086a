"""The settings that a command line leads to. Imported by a server that waits for no command line's library."""

from pathlib import Path

from ..config import Config, load, split_list


def settings(
    config: Path | None = None,
    api_key_file: Path | None = None,
    project_id: str | None = None,
    local: bool | None = None,
    data_dir: Path | None = None,
    auth: str | None = None,
    read_only: bool | None = None,
    tools: str | None = None,
) -> Config:
    """The settings in force for a command line. Raises ConfigError."""
    return load(
        {
            "neon": {"api_key_file": api_key_file, "project_id": project_id},
            "policy": {"look_only": read_only, "tools": None if tools is None else split_list(tools)},
            "local": {"enabled": local, "data_dir": data_dir},
            "http": {"auth": auth},
        },
        config_file=config,
    )
