"""Long runs of faults, for `tools/faults`: the API's calls spoiled in turn, and Postgres behind a connection that fails at random.

Prints one line per surprise and a JSON summary; exits 1 when a branch was lost or doubled, a write repeated, or a result wrong.
"""

import argparse
import json
import random
import sys
import time
from collections import Counter
from typing import Any, Literal, cast

import anyio
import httpx

from neon_branch_mcp.config import LocalConfig
from neon_branch_mcp.errors import NeonBranchError, TimedOut, Unreachable
from neon_branch_mcp.local.plane import LocalPlane, open_plane
from tests.cloud import LOSES_NOTHING, open_cloud, play
from tests.conftest import data_folder
from tests.faulty_tcp import Plan, Way
from tests.test_executor_faults import Bench, bench

SIDES: tuple[Literal["client"], Literal["server"]] = ("client", "server")
CALLS = 22
"""Calls that a journey makes before its last one, at least."""


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


async def api_rounds(plane: LocalPlane, rounds: int, first: int) -> dict[str, Any]:
    """Every call of the journey in turn, with every fault in turn."""
    ends: Counter[str] = Counter()
    bad: list[str] = []
    slowest = 0.0
    for number in range(first, first + rounds):
        fault = LOSES_NOTHING[number % len(LOSES_NOTHING)]
        victim = (number // len(LOSES_NOTHING) + number) % CALLS

        def choose(call: int, _request: httpx.Request, victim: int = victim, fault: str = fault) -> str | None:
            return fault if call == victim else None

        began = time.monotonic()
        found = await play(plane, f"round-{number}", choose)
        slowest = max(slowest, time.monotonic() - began)
        ends["ok" if found.error is None else f"error {found.error.code}"] += 1
        if found.lost or len(found.left) > 1:
            bad.append(f"round {number}: {found.hits}: left {found.left}, told {found.error}")
            say(bad[-1])
        elif number % 20 == 19:
            say(f"round {number}: {dict(ends)}, nothing lost so far")
        if found.error is not None:
            say(f"round {number}: {found.hits}: {found.error.render()}")
    return {"rounds": rounds, "ends": ends, "lost_or_doubled": len(bad), "slowest_s": round(slowest, 1)}


def random_plan(chance: random.Random, whole: dict[str, int]) -> Plan:
    """One connection in three is good. The others fail at some byte; half of them late, when the statement is on its way.

    `whole`: the bytes that each side sends over a connection with one statement.
    """
    if chance.random() < 0.33:
        return Plan()
    side = chance.choice(SIDES)
    way = cast(Way, chance.choice(["cut", "cut", "reset", "reset", "refuse", "stall"]))
    first = 0.75 if chance.random() < 0.7 else 0.0
    return Plan(way, side, after=round(whole[side] * chance.uniform(first, 1.05)), lose_last=chance.random() < 0.5)


async def postgres_rounds(uri: str, rounds: int, seed: int) -> dict[str, Any]:
    """Writes with a mark each and reads with a known answer, over connections that fail at random."""
    chance = random.Random(seed)
    ends: Counter[str] = Counter()
    wrong: list[str] = []
    slowest = 0.0
    async with bench(uri, connect_timeout=3, read_timeout=1, statement_timeout=2) as found:
        await found.run("CREATE TABLE marks (mark int)")
        whole = dict(found.proxy.last)
        found.proxy.plan = lambda _: random_plan(chance, whole)
        confirmed: set[int] = set()
        for number in range(rounds):
            began = time.monotonic()
            if number % 2:
                end = await _write(found, number)
                if end == "write ok":
                    confirmed.add(number)
            else:
                end = await _read(found, number)
            slowest = max(slowest, time.monotonic() - began)
            ends[end] += 1
            if number % 5 == 0:
                found.proxy.hit(cast(Way, chance.choice(["cut", "reset"])))  # kept connections die, too
            if end.startswith("wrong"):
                wrong.append(f"round {number}: {end}")
                say(wrong[-1])
        marks = [row[0] for row in await found.seen("SELECT mark FROM marks")]
    repeated = [mark for mark, count in Counter(marks).items() if count > 1]
    return {
        "rounds": rounds,
        "ends": ends,
        "writes_repeated": len(repeated),
        "confirmed_writes_missing": len(confirmed - set(marks)),
        "wrong": len(wrong),
        "slowest_s": round(slowest, 1),
    }


async def _write(found: Bench, number: int) -> str:
    try:
        await found.run(f"INSERT INTO marks VALUES ({number})")
    except (Unreachable, TimedOut) as exc:
        return f"write {type(exc).__name__}"
    except NeonBranchError as exc:
        return f"wrong: {exc.render()}"
    return "write ok"


async def _read(found: Bench, number: int) -> str:
    try:
        rows = await found.read(f"SELECT {number} * 2 FROM generate_series(1, 3)")
    except (Unreachable, TimedOut) as exc:
        return f"read {type(exc).__name__}"
    except NeonBranchError as exc:
        return f"wrong: {exc.render()}"
    return "read ok" if rows == [[number * 2]] * 3 else f"wrong rows: {rows}"


async def run(api: int, first: int, postgres: int, seed: int) -> bool:
    with data_folder() as folder:
        async with open_plane(LocalConfig(data_dir=folder, sample=False)) as plane:
            good = True
            if api:
                summary = await api_rounds(plane, api, first)
                say(json.dumps({"api": summary}))
                good = summary["lost_or_doubled"] == 0
            if postgres:
                async with open_cloud(plane) as cloud:
                    made = await cloud.branches.create(cloud.project_id, name="marks")
                    uri = await cloud.branches.conninfo(made.branch, made.databases[0])
                    summary = await postgres_rounds(uri.reveal(), postgres, seed)
                say(json.dumps({"postgres": summary, "seed": seed}))
                spoiled = ("writes_repeated", "confirmed_writes_missing", "wrong")
                good = good and not any(summary[key] for key in spoiled)
    return good


def main() -> None:
    parser = argparse.ArgumentParser(prog="tools/faults", description=__doc__)
    parser.add_argument("--api", type=int, default=100, metavar="ROUNDS")
    parser.add_argument("--first", type=int, default=0, metavar="N", help="number of the API's first round")
    parser.add_argument("--postgres", type=int, default=100, metavar="ROUNDS")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    asked = parser.parse_args()
    sys.exit(0 if anyio.run(run, asked.api, asked.first, asked.postgres, asked.seed) else 1)


if __name__ == "__main__":
    main()
