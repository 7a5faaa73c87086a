"""How this installation is started by others."""

import shutil
import sys
from pathlib import Path

PROGRAM = "neon-branch-mcp"


def launch_command(*, full_path: bool = False, local: bool = False) -> list[str]:
    """How a client starts this installation: by name where that is on everybody's PATH, else by its full path.

    `local` asks for the Postgres binaries too, where the command itself installs.
    """
    prefix = Path(sys.prefix)
    if any(part.startswith("archive-v") for part in prefix.parts):
        # uvx runs from a cache folder that may be gone tomorrow.
        extra = ["--from", f"{PROGRAM}[local]"] if local else []
        return [(shutil.which("uvx") if full_path else None) or "uvx", *extra, PROGRAM]
    found = shutil.which(PROGRAM)
    in_environment = sys.prefix != sys.base_prefix
    if found and not (in_environment and Path(found).parent == prefix / "bin"):
        return [found if full_path else PROGRAM]
    script = prefix / "bin" / PROGRAM
    return [str(script)] if script.is_file() else [sys.executable, "-m", "neon_branch_mcp"]
