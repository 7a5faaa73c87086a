"""Everything written that is made from the code: config.example.toml, and the parts of README.md between markers.

    docs.py config          print config.example.toml
    docs.py readme          print README.md with its generated parts made anew
    docs.py write           write both, and server.json's version

A test holds the files equal to what this prints.
"""

import json
import re
import runpy
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pydantic_core import PydanticUndefined

from neon_branch_mcp import __version__
from neon_branch_mcp.config import ENV_PREFIX, SECTIONS, Secret

ROOT = Path(__file__).parent.parent
PART = re.compile(r"(<!-- generated: (?P<name>[a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def config_example() -> str:
    """Every key with its default; keys without one are commented out."""
    head = (
        "# Every setting of neon-branch-mcp with its default. Copy what you change to ./neon-branch-mcp.toml, to config.toml in your\n"
        "# user configuration folder, or anywhere and name it with --config.\n"
        f"# Each key can also be set in the environment: [sql] max_rows is {ENV_PREFIX}SQL_MAX_ROWS.\n"
    )
    return head + "".join(f"\n{part}" for part in _sections())


def _sections() -> Iterator[str]:
    for name, section in SECTIONS.items():
        title = " ".join((section.__doc__ or "").split())
        lines = [f"[{name}]  # {title}"]
        for key, info in section.model_fields.items():
            lines += [f"# {line}" for line in _wrapped(info.description or "", 130)]
            value = _toml(info.get_default(call_default_factory=True))
            lines.append(f"{key} = {value}" if value is not None else f"# {key} =")
        yield "\n".join(lines) + "\n"


def _wrapped(text: str, width: int) -> list[str]:
    lines = [""]
    for word in text.split():
        if len(lines[-1]) + len(word) >= width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


def _toml(value: Any) -> str | None:
    """A default as TOML; None for no default."""
    if value is None or value is PydanticUndefined or isinstance(value, Secret):
        return None
    if isinstance(value, tuple | list):
        return json.dumps(list(value))
    if isinstance(value, dict):
        return "{}" if not value else None
    return json.dumps(str(value) if isinstance(value, Path) else value, ensure_ascii=False)


def configuration_table() -> str:
    """The settings as Markdown."""
    lines = []
    for name, section in SECTIONS.items():
        lines += [
            f"**`[{name}]`** {' '.join((section.__doc__ or '').split())}",
            "",
            "| key | default | |",
            "|---|---|---|",
        ]
        for key, info in section.model_fields.items():
            value = _toml(info.get_default(call_default_factory=True))
            shown = f"`{value}`" if value is not None else "–"
            lines.append(f"| `{key}` | {shown} | {_cell(info.description or '')} |")
        lines.append("")
    return "\n".join(lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def tool_table() -> str:
    """The tools as Markdown: what a client is told of each."""
    from neon_branch_mcp.config import PolicyConfig
    from neon_branch_mcp.tools.catalogue import TOOLS
    from neon_branch_mcp.tools.spec import hints

    lines = ["| tool | what it does | a client may run it unasked | group |", "|---|---|---|---|"]
    for spec in TOOLS:
        hint = hints(spec, PolicyConfig())
        asked = "yes" if hint.read_only or not hint.destructive else "no"
        lines.append(f"| `{spec.name}` | {_cell(spec.run.__doc__ or '')} | {asked} | {spec.group} |")
    return "\n".join(lines) + "\n"


def promises() -> str:
    """The promises as a list, each with the tests that hold it."""
    promised: dict[str, tuple[str, ...]] = runpy.run_path(str(ROOT / "tests" / "promises.py"))["PROMISES"]
    lines = []
    for promise, tests in promised.items():
        files = dict.fromkeys(test.partition("::")[0] for test in tests)
        lines.append(f"- {promise} ({', '.join(f'[{f}](tests/{f})' for f in files)})")
    return "\n".join(lines) + "\n"


PARTS: dict[str, Callable[[], str]] = {"tools": tool_table, "configuration": configuration_table, "promises": promises}


def readme() -> str:
    """README.md with its generated parts as the code has them now."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return PART.sub(lambda m: m[1] + PARTS[m["name"]]() + m[3], text)


def server_json() -> str:
    """server.json for the MCP registry, with the package's version."""
    document = json.loads((ROOT / "server.json").read_text(encoding="utf-8"))
    document["version"] = __version__
    for package in document["packages"]:
        package["version"] = __version__
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


FILES: dict[str, Callable[[], str]] = {
    "config.example.toml": config_example,
    "README.md": readme,
    "server.json": server_json,
}


def main(command: str) -> None:
    """Print or write."""
    if command == "write":
        for name, make in FILES.items():
            (ROOT / name).write_text(make(), encoding="utf-8")
    else:
        sys.stdout.write({"config": config_example, "readme": readme}[command]())


if __name__ == "__main__":
    main(*sys.argv[1:] or ["write"])
