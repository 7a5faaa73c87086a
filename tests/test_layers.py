"""Imports point one way, and the walls of the design stand."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SRC = Path(__file__).parent.parent / "src" / "neon_branch_mcp"

# Lower layers first. A module may import from its own layer's package siblings and from any layer before it.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("__init__",),
    ("envelope", "errors", "models", "redact", "tracing"),
    ("config",),
    ("audit", "guard/lexer", "guard/statements", "guard/functions"),
    ("guard/policy",),
    ("guard/guard",),
    ("neon",),
    ("postgres",),
    ("local",),
    ("migrations",),
    ("app",),
    ("tools",),
    ("server",),
    ("front",),
    ("http", "stdio"),
    ("cli",),
    ("__main__",),
)
WALLS = {
    "sqlglot": ("guard/statements",),
    "psycopg": ("postgres", "migrations", "local"),
    "mcp": ("server", "http", "stdio", "cli"),
    "mcp_types": ("server", "http", "stdio", "cli"),
}


def modules() -> list[Path]:
    return sorted(SRC.rglob("*.py"))


def name_of(path: Path) -> str:
    name = path.relative_to(SRC).with_suffix("").as_posix()
    return name.removesuffix("/__init__")


def rank(name: str) -> int:
    for i, layer in enumerate(LAYERS):
        if any(name == part or name.startswith(f"{part}/") or name.startswith(f"{part}_") for part in layer):
            return i
    # A package's own __init__ stands with the lowest of its modules.
    ranks = [i for i, layer in enumerate(LAYERS) if any(part.startswith(f"{name}/") for part in layer)]
    if not ranks:
        raise AssertionError(f"{name} has no layer; name it in LAYERS")
    return min(ranks)


def imports(path: Path) -> Iterator[str]:
    """Names of imported modules: ours relative to the package with slashes, others by their top level."""
    parts = path.relative_to(SRC).parent.parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level == 0:
                yield (node.module or "").split(".")[0]
                continue
            base = [*parts[: len(parts) - node.level + 1], *(node.module.split(".") if node.module else [])]
            for alias in node.names:
                target = "/".join([*base, alias.name])
                is_module = (SRC / f"{target}.py").exists() or (SRC / target).is_dir()
                yield "./" + (target if is_module else "/".join(base))


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_imports_point_down_only(path: Path) -> None:
    own = name_of(path)
    for target in imports(path):
        if target == "neon_branch_mcp":
            raise AssertionError(f"{own} imports its own package absolutely; imports are relative here")
        if target.startswith("./"):
            inner = target.removeprefix("./") or "__init__"
            assert rank(inner) <= rank(own), f"{own} imports {inner}, which is above it"


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_walls_hold(path: Path) -> None:
    own = name_of(path)
    for target in imports(path):
        allowed = WALLS.get(target)
        if allowed is not None:
            assert any(own == a or own.startswith((f"{a}/", f"{a}_")) for a in allowed), f"{own} imports {target}"


def test_local_and_neon_share_no_code() -> None:
    for path in modules():
        own = name_of(path)
        if own.startswith("local"):
            assert not any(t.startswith("./neon") for t in imports(path)), own
        if own.startswith("neon"):
            assert not any(t.startswith("./local") for t in imports(path)), own


def test_there_is_no_import_cycle() -> None:
    graph = {name_of(p): {t.removeprefix("./") for t in imports(p) if t.startswith("./")} for p in modules()}
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " → ".join([*trail, name])
        if name in done:
            return
        for target in graph.get(name, ()):
            if target != name:
                visit(target, (*trail, name))
        done.add(name)

    for name in graph:
        visit(name, ())
