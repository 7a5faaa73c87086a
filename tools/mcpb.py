"""Build dist/neon-branch-mcp-VERSION.mcpb: the bundle that Claude Desktop installs with a double click.

The host starts it with its own uv, which makes the environment from the bundled pyproject.toml; the key is kept by the host. The tools
of the manifest come from the code. `npx @anthropic-ai/mcpb validate` reads the manifest; a test does when that is installed.
"""

import json
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

from neon_branch_mcp import __version__
from neon_branch_mcp.server_prompts import served_prompts
from neon_branch_mcp.tools.catalogue import TOOLS

ROOT = Path(__file__).parent.parent
KEPT = ("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md")
EPOCH = (2026, 1, 1, 0, 0, 0)


def manifest() -> dict[str, Any]:
    """The bundle's manifest, version 0.4."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return {
        "manifest_version": "0.4",
        "name": project["name"],
        "display_name": "Neon branches",
        "version": __version__,
        "description": project["description"],
        "author": {"name": project["authors"][0]["name"]},
        "license": project["license"],
        "keywords": project["keywords"],
        "server": {
            "type": "uv",
            "entry_point": "src/neon_branch_mcp/__main__.py",
            "mcp_config": {
                "command": "uv",
                "args": [
                    "run", "--quiet", "--directory", "${__dirname}", "--no-dev", "--extra", "local", project["name"], "serve",
                ],
                "env": {
                    "NEON_API_KEY": "${user_config.api_key}",
                    "NEON_BRANCH_MCP_LOCAL_ENABLED": "${user_config.local}",
                },
            },
        },
        "user_config": {
            "api_key": {
                "type": "string",
                "title": "Neon API key",
                "description": "Personal, organization or project-scoped; from the Neon console. Not needed for local branches.",
                "sensitive": True,
                "required": False,
                "default": "",
            },
            "local": {
                "type": "boolean",
                "title": "Local branches",
                "description": "Use real Postgres on this machine instead of Neon's cloud; no account needed.",
                "required": False,
                "default": False,
            },
        },
        "tools": [{"name": spec.name, "description": " ".join((spec.run.__doc__ or "").split())} for spec in TOOLS],
        "tools_generated": True,
        "prompts_generated": bool(served_prompts([spec.name for spec in TOOLS])),
        "compatibility": {"platforms": ["darwin", "linux"], "runtimes": {"python": project["requires-python"]}},
    }  # fmt: skip


def build(folder: Path) -> Path:
    """Write the bundle; the same sources give the same bytes. Returns its path."""
    made = manifest()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{made['name']}-{made['version']}.mcpb"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--", "src", *KEPT], cwd=ROOT, check=True, capture_output=True, text=True
    )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bundle:
        _add(bundle, "manifest.json", json.dumps(made, indent=2, ensure_ascii=False).encode())
        for name in sorted(filter(None, listed.stdout.split("\0"))):
            _add(bundle, name, (ROOT / name).read_bytes())
    return path


def _add(bundle: zipfile.ZipFile, name: str, data: bytes) -> None:
    info = zipfile.ZipInfo(name, EPOCH)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.external_attr = 0o644 << 16
    bundle.writestr(info, data)


if __name__ == "__main__":
    sys.stdout.write(f"{build(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / 'dist')}\n")
