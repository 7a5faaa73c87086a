"""How this installation is started by others."""

import json
import shutil
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

PROGRAM = "neon-branch-mcp"


def launch_command(*, full_path: bool = False, local: bool = False) -> list[str]:
    """How a client starts this installation: by name where that is on everybody's PATH, else by its full path.

    `local` asks for the Postgres binaries too, where the command itself installs.
    """
    prefix = Path(sys.prefix)
    if any(part.startswith("archive-v") for part in prefix.parts):
        # uvx runs from a cache folder that may be gone tomorrow.
        wanted, came_from = f"{PROGRAM}[local]" if local else PROGRAM, source(_direct_url())
        requirement = f"{wanted} @ {came_from}" if came_from else wanted
        extra = ["--from", requirement] if requirement != PROGRAM else []
        return [(shutil.which("uvx") if full_path else None) or "uvx", *extra, PROGRAM]
    found = shutil.which(PROGRAM)
    in_environment = sys.prefix != sys.base_prefix
    if found and not (in_environment and Path(found).parent == prefix / "bin"):
        return [found if full_path else PROGRAM]
    script = prefix / "bin" / PROGRAM
    return [str(script)] if script.is_file() else [sys.executable, "-m", "neon_branch_mcp"]


def source(direct_url: str | None) -> str | None:
    """The URL that a requirement has to name to install this once more, given what the installer noted (`direct_url.json`, PEP 610).

    None: by its name alone, from the index. An editable folder is somebody's workplace and is not named either.
    """
    noted = json.loads(direct_url) if direct_url else {}
    url, repository = noted.get("url"), noted.get("vcs_info")
    if not url or noted.get("dir_info", {}).get("editable"):
        return None
    if repository:
        revision = repository.get("requested_revision")
        url = f"{repository['vcs']}+{url}" + (f"@{revision}" if revision else "")
    folder = noted.get("subdirectory")
    return f"{url}#subdirectory={folder}" if folder else str(url)


def _direct_url() -> str | None:
    try:
        return distribution(PROGRAM).read_text("direct_url.json")
    except PackageNotFoundError:
        return None
