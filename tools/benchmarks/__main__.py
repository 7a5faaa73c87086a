"""`tools/bench`: one command, one report."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tests.guard.corpus import queries

from . import branches, calls, databases, guarding, http_calls, start, tokens
from .measure import Figure
from .report import print_table, write_chart, write_json

Part = Callable[[Path, bool], list[Figure]]

PARTS: dict[str, Part] = {
    "start": lambda d, quick: start.cold_start(d, 5 if quick else 15),
    "memory": lambda d, quick: start.memory(d),
    "calls": lambda d, quick: calls.warm_calls(d, 100 if quick else 400),
    "big": lambda d, quick: calls.big_table(d, 1_000_000 if quick else 10_000_000, 5 if quick else 15),
    "guard": lambda d, quick: guarding.guard_time(queries(), databases.catalogue(d), 1 if quick else 5),
    "describe": lambda d, quick: [
        *databases.describe(d, 100, 5 if quick else 15),
        # More than a thousand pg_dump cannot lock at once in a branch's lean settings.
        *([] if quick else databases.describe(d, 1_000, 5)),
    ],
    "migrate": lambda d, quick: databases.migrate(d, 5 if quick else 15),
    "clone": lambda d, quick: databases.clone(d, 5 if quick else 15),
    "branches": lambda d, quick: branches.branches(quick),
    "http": lambda d, quick: http_calls.http_calls(d, 2 if quick else 5, 2 if quick else 5),
    "tokens": lambda d, quick: tokens.tokens(d),
}


def main(
    quick: Annotated[bool, typer.Option("--quick", help="Fewer rounds and smaller data.")] = False,
    only: Annotated[list[str] | None, typer.Option("--only", help=f"Parts: {', '.join(PARTS)}.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder for bench.json and bench.svg.")] = None,
) -> None:
    """Measure what our work costs, as ratios in one run."""
    console = Console()
    found: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="nbm-bench-") as folder:
        for name, part in PARTS.items():
            if not only or name in only:
                console.print(f"measuring {name} ...")
                found += part(Path(folder), quick)
    print_table(found, console)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        write_json(found, out / "bench.json")
        write_chart(found, out / "bench.svg")
        console.print(f"written: {out / 'bench.json'}, {out / 'bench.svg'}")


if __name__ == "__main__":
    typer.run(main)
