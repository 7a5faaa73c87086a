"""What a URL makes of a caller: `?projectId=…&readonly=true&category=…`, as clients of mcp.neon.tech write it, and the same as headers.

A scope only ever narrows. What is not understood is refused: a misspelt `readonly` that is ignored would be a door left open.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from ..app import Caller
from ..config import ToolGroup
from ..errors import NotPermitted, Refused
from ..tools.catalogue import TOOLS

CATEGORIES: Mapping[str, frozenset[ToolGroup]] = {
    "projects": frozenset({"projects"}),
    "branches": frozenset({"branches"}),
    "schema": frozenset({"schema", "migrations"}),
    "querying": frozenset({"sql"}),
    "sql": frozenset({"sql"}),
    "migrations": frozenset({"migrations"}),
    # Neon's own server has these; a URL that names them beside others keeps its meaning here.
    "neon_auth": frozenset(),
    "data_api": frozenset(),
    "observability": frozenset(),
    "docs": frozenset(),
}
PARAMETERS = ("projectId", "readonly", "category")
HEADERS: Mapping[bytes, str] = {
    b"x-neon-project-id": "projectId",
    b"x-neon-read-only": "readonly",
    b"x-read-only": "readonly",
    b"x-neon-scopes": "category",
}
BOOLEANS = {"true": True, "1": True, "false": False, "0": False}
_PROJECT_ID = re.compile(r"[a-z0-9-]{1,60}\Z")


@dataclass(frozen=True)
class Scope:
    """What a URL and its headers ask for."""

    project_id: str | None = None
    read_only: bool = False
    tools: frozenset[str] | None = None


NO_SCOPE = Scope()


def asked(parameters: Iterable[tuple[str, str]], headers: Iterable[tuple[bytes, bytes]]) -> Scope:
    """The scope that a request asks for. Raises Refused for a parameter, header or value that is not understood."""
    values: dict[str, list[str]] = {}
    for name, value in parameters:
        if name not in PARAMETERS:
            raise _refused(f"The URL parameter {name[:80]!r} is not known", f"Known are {', '.join(PARAMETERS)}.")
        values.setdefault(name, []).append(value)
    for header, content in headers:
        if (known := HEADERS.get(header)) is not None:
            values.setdefault(known, []).append(content.decode("latin-1"))
        elif header.startswith(b"x-neon-"):
            raise _refused(
                f"The header {header.decode('latin-1')[:80]} is not known",
                f"Known are {', '.join(h.decode() for h in HEADERS)}.",
            )
    if not values:
        return NO_SCOPE
    return Scope(
        _project(values.get("projectId", [])),
        any(_boolean(v) for v in values.get("readonly", [])),
        _tools(values.get("category", [])),
    )


def narrowed(caller: Caller, scope: Scope) -> Caller:
    """The caller within `scope`. Raises NotPermitted when the scope names a project that the caller may not reach."""
    if scope == NO_SCOPE:
        return caller
    if scope.project_id and caller.project_id not in (None, scope.project_id):
        raise NotPermitted(
            f"This token works in project {caller.project_id}; the URL asks for {scope.project_id}. Leave projectId out."
        )
    tools = caller.tools
    if scope.tools is not None:
        tools = scope.tools if tools is None else tools & scope.tools
    return replace(
        caller,
        project_id=caller.project_id or scope.project_id,
        read_only=caller.read_only or scope.read_only,
        tools=tools,
    )


def _project(values: list[str]) -> str | None:
    for value in values:
        if not _PROJECT_ID.match(value):
            raise _refused(f"projectId={value[:80]!r} is not a project id", "One looks like old-violet-32930710.")
    if len(set(values)) > 1:
        raise _refused("projectId is given more than once, with different values", "Name one project.")
    return values[0] if values else None


def _boolean(value: str) -> bool:
    if (known := BOOLEANS.get(value.strip().lower())) is None:
        raise _refused(f"readonly={value[:80]!r} is neither true nor false", "Write readonly=true or readonly=false.")
    return known


def _tools(values: list[str]) -> frozenset[str] | None:
    """The tools of the categories named, each value one category or several with commas between; None when none is named."""
    names = [name.strip().lower() for value in values for name in value.split(",")]
    unknown = [name for name in names if name not in CATEGORIES]
    if unknown:
        raise _refused(f"category={unknown[0][:80]!r} is not known", f"Known are {', '.join(CATEGORIES)}.")
    if not names:
        return None
    groups = frozenset().union(*(CATEGORIES[name] for name in names))
    if not groups:
        offered = [name for name, known in CATEGORIES.items() if known]
        raise _refused(f"This server has no tools in {', '.join(names)}", f"It has {', '.join(offered)}.")
    return frozenset(spec.name for spec in TOOLS if spec.group in groups)


def _refused(problem: str, remedy: str) -> Refused:
    return Refused(f"{problem}. Nothing was done.", rule="url-scope", remedy=remedy)
