"""Makes tests/contract/openapi.json: the part of Neon's API specification that the local control plane serves.

python tools/spec_slice.py path/to/neon-openapi.json
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

from neon_branch_mcp.local.api import ROUTES

OUT = Path(__file__).parent.parent / "tests" / "contract" / "openapi.json"


def shape(path: str) -> str:
    """A path with its parameters' names left out: the specification and our routes name them differently."""
    return re.sub(r"\{[^}]*\}", "{}", path)


def lean(value: Any) -> Any:
    """Without prose and examples."""
    if isinstance(value, dict):
        return {
            k: lean(v)
            for k, v in value.items()
            if not (
                k in ("description", "example", "examples", "summary", "x-delta") and not isinstance(v, dict | list)
            )
            and k not in ("example", "examples")
        }
    return [lean(v) for v in value] if isinstance(value, list) else value


def references(value: Any) -> set[str]:
    """Every `#/components/…` that a value points at."""
    if isinstance(value, dict):
        own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*(references(v) for v in value.values()))
    return set().union(*(references(v) for v in value)) if isinstance(value, list) else set()


def main(source: Path) -> None:
    """Write the slice."""
    spec = json.loads(source.read_text(encoding="utf-8"))
    served = {
        (method, shape(path.replace("{action}", a)))
        for method, path, _ in ROUTES
        for a in ("start", "suspend", "restart")
    }
    paths: dict[str, Any] = {}
    for path, methods in spec["paths"].items():
        kept = {
            m: {"responses": lean(o["responses"])} for m, o in methods.items() if (m.upper(), shape(path)) in served
        }
        if kept:
            paths[path] = kept
    components: dict[str, dict[str, Any]] = {}
    todo = references(paths)
    while todo:
        _, _, kind, name = (reference := todo.pop()).split("/")
        if name not in components.setdefault(kind, {}):
            components[kind][name] = lean(spec["components"][kind][name])
            todo |= references(components[kind][name]) - {reference}
    out = {"info": spec["info"].get("version"), "paths": paths, "components": components}
    OUT.write_text(json.dumps(out, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
