"""Rounds in turn, medians, ratios."""

import contextlib
import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

Sample = Callable[[], float]
"""Does the work once and says what it took: seconds, or another unit that the measurement names."""


@dataclass(frozen=True)
class Figure:
    """One measured thing: the median and the best of its samples, and how it stands to its baseline."""

    group: str
    name: str
    median: float
    best: float
    unit: str
    ratio: float | None = None
    baseline: str | None = None


def seconds(work: Callable[[], object]) -> Sample:
    """A sample that times `work`."""

    def sample() -> float:
        start = time.perf_counter()
        work()
        return time.perf_counter() - start

    return sample


def in_turn(
    group: str, samples: Mapping[str, Sample], *, rounds: int, baseline: str | None = None, unit: str = "ms"
) -> list[Figure]:
    """Each sample once per round, so that noise hits all alike; the first round warms up and is not counted. Each round has an order of
    its own: who comes right after a sample that turns all caches over would else always be slower, and who comes next always faster.
    """
    taken: dict[str, list[float]] = {name: [] for name in samples}
    shuffled = random.Random(0)
    for number in range(rounds + 1):
        for name in shuffled.sample(sorted(samples), len(samples)):
            value = samples[name]()
            if number:
                taken[name].append(value)
    return figures(group, taken, baseline=baseline, unit=unit)


def figures(
    group: str, taken: Mapping[str, Sequence[float]], *, baseline: str | None = None, unit: str = "ms"
) -> list[Figure]:
    """Medians of what was taken, with ratios to `baseline`."""
    scale = 1000 if unit == "ms" else 1
    base = statistics.median(taken[baseline]) if baseline else None
    return [
        Figure(
            group,
            name,
            statistics.median(values) * scale,
            min(values) * scale,
            unit,
            statistics.median(values) / base if base and name != baseline else None,
            baseline if base and name != baseline else None,
        )
        for name, values in taken.items()
    ]


def pss_megabytes(pid: int) -> float:
    """Memory of a process with shared pages counted by their share (Linux: smaps_rollup)."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    raise ValueError(f"no Pss for process {pid}")


def pss_of_tree(pid: int) -> float:
    """Memory of a process and all that it started, but Postgres: a local branch's clusters are not the server's own."""
    process = psutil.Process(pid)
    total = 0.0
    for one in (process, *process.children(recursive=True)):
        with contextlib.suppress(
            psutil.NoSuchProcess, ProcessLookupError, FileNotFoundError
        ):  # a worker may end meanwhile
            total += pss_megabytes(one.pid) if one.name() != "postgres" else 0
    return total
