"""`tools/bench`: one command, one report."""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tests.guard.corpus import queries

from . import branches, calls, databases, guarding, peers, start, throughput, tokens
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
    "verify": lambda d, quick: databases.verify(d, 200_000 if quick else 2_000_000, 3 if quick else 7),
    "clone": lambda d, quick: databases.clone(d, 5 if quick else 15),
    "branches": lambda d, quick: branches.branches(quick),
    "throughput": lambda d, quick: throughput.throughput(d, 2 if quick else 5, 2 if quick else 4),
    "tokens": lambda d, quick: tokens.tokens(d),
}


def main(
    quick: Annotated[bool, typer.Option("--quick", help="Fewer rounds and smaller data.")] = False,
    only: Annotated[list[str] | None, typer.Option("--only", help=f"Parts: {', '.join(PARTS)}.")] = None,
    with_peers: Annotated[
        bool,
        typer.Option(
            "--peers", help="Beside other servers, where they are installed; alone, unless --only names more."
        ),
    ] = False,
    out: Annotated[Path | None, typer.Option("--out", help="Folder for bench.json and bench.svg.")] = None,
) -> None:
    """Measure what our work costs, as ratios in one run."""
    console = Console(width=None if sys.stdout.isatty() else 120)
    found: list[Figure] = []
    not_run: list[str] = []
    with tempfile.TemporaryDirectory(prefix="nbm-bench-") as folder:
        for name, part in PARTS.items():
            if not (only or with_peers) or name in (only or ()):
                console.print(f"measuring {name} ...")
                found += part(Path(folder), quick)
        if with_peers:
            console.print("measuring peers ...")
            found += peers.peers(Path(folder), quick, not_run.append)
    print_table(found, console)
    for reason in not_run:
        console.print(reason, style="bold red", highlight=False, markup=False, soft_wrap=True)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        write_json(found, out / "bench.json")
        write_chart(found, out / "bench.svg")
        console.print(f"written: {out / 'bench.json'}, {out / 'bench.svg'}")


if __name__ == "__main__":
    typer.run(main)
