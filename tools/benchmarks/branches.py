"""Branches of the local control plane beside what the system itself does: cp and pg_ctl; and what branches cost that nobody uses.

Measured under pgbench's load on the parent, from the call of the control plane to SQL answering on the connection string.
"""

import contextlib
import os
import secrets
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg

from neon_branch_mcp.config import LocalConfig
from neon_branch_mcp.local.changes import Changed, NewBranch
from neon_branch_mcp.local.cluster import Cluster, free_port
from neon_branch_mcp.local.plane import Opened
from neon_branch_mcp.local.store import BranchRow, SpareRow

from .measure import Figure, Sample, figures, in_turn, pss_megabytes

IDLE = 20
READY_WITHIN = 120


@dataclass(frozen=True)
class Size:
    """A parent: pgbench's scale factor, and how its load is given."""

    label: str
    scale: int
    load: tuple[str, ...]


SMALL = Size("150 MB", 7, ("-c", "2"))
BIG = Size("1.6 GB", 100, ("-c", "2", "-R", "50"))


@dataclass(frozen=True)
class Bench:
    """A data directory whose default branch holds pgbench's tables."""

    opened: Opened
    root: BranchRow

    def uri(self, branch_id: str) -> str:
        plane = self.opened.plane
        return plane.service.connection_uri(
            plane.project_id, "neondb", "neondb_owner", branch_id=branch_id, endpoint_id=None
        )

    def cluster(self, branch_id: str) -> Cluster:
        core = self.opened.plane.service.core
        return core.cluster_of(core.branch(branch_id))

    def finish(self, changed: Changed) -> None:
        """Wait for a change's work, which has to end well."""
        service = self.opened.plane.service
        service.submit(changed).result()
        for operation in changed.operations:
            ended = service.operation(operation.project_id, operation.id)
            if ended.status != "finished":
                raise RuntimeError(f"{ended.action}: {ended.status}: {ended.error}")

    def create(self) -> BranchRow:
        plane = self.opened.plane
        made = plane.service.create_branch(plane.project_id, NewBranch())
        self.finish(made)
        assert made.branch is not None
        return made.branch

    def delete(self, branch: BranchRow) -> None:
        plane = self.opened.plane
        self.finish(plane.service.delete_branch(plane.project_id, branch.id))

    def answers(self, branch: BranchRow) -> None:
        with psycopg.connect(self.uri(branch.id)) as conn:
            conn.execute("SELECT 1")


@contextmanager
def bench(size: Size | None, *, spares: bool = False) -> Iterator[Bench]:
    """A data directory of its own in the temporary folder (TMPDIR chooses the file system), filled and under load."""
    folder = Path(tempfile.mkdtemp(prefix="nbm-bench-branches-"))
    folder.chmod(0o711)  # else, as root, the clusters would be kept on another file system
    try:
        opened = Opened(LocalConfig(data_dir=folder, sample=False, history=0, suspend_after=0, spares=spares))
        try:
            root = opened.plane.service.branches(opened.plane.project_id)[0]
            made = Bench(opened, root)
            with loaded(made, size) if size is not None else contextlib.nullcontext():
                yield made
        finally:
            opened.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def filled(made: Bench, size: Size) -> tuple[str, str]:
    """Makes the tables; the program that works on them, and where."""
    pgbench, uri = made.opened.plane.service.core.binaries.tool("pgbench"), made.uri(made.root.id)
    command = [pgbench, "-i", "-q", "-s", str(size.scale), uri]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    made.cluster(made.root.id).execute("CHECKPOINT")
    return pgbench, uri


@contextmanager
def loaded(made: Bench, size: Size) -> Iterator[None]:
    """The tables, and writers on them."""
    pgbench, uri = filled(made, size)
    writers = subprocess.Popen(
        [pgbench, "-n", *size.load, "-T", "3600", uri], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        time.sleep(1)
        yield
    finally:
        writers.terminate()
        writers.wait()


def copied_and_started(made: Bench) -> tuple[Sample, Callable[[], None]]:
    """`cp -a` of the running parent's files, then a bare `pg_ctl start` of a cluster of that size that was shut down cleanly.

    The copy itself is thrown away: taken from under a running server it need not start.
    """
    template = made.create()
    stopped, parent = made.cluster(template.id), made.cluster(made.root.id)
    places = stopped.places
    stopped.stop()
    pg_ctl = [stopped.binaries.tool("pg_ctl"), "-D", str(stopped.data), "-s", "-w"]
    options = f"-p {free_port()} -k {places.sockets}"
    copies: list[Path] = []

    def once() -> float:
        os.sync()
        copies.append(places.clusters / f"copied-{secrets.token_hex(4)}")  # beside ours, so the disk treats both alike
        begin = time.perf_counter()
        subprocess.run(["cp", "-a", str(parent.data), str(copies[-1])], check=False, stderr=subprocess.DEVNULL)
        started = [*pg_ctl, "-l", "/dev/null", "-o", options, "start"]
        subprocess.run(started, check=True, cwd="/", **places.spawn_as)
        took = time.perf_counter() - begin
        subprocess.run([*pg_ctl, "-m", "fast", "stop"], check=True, cwd="/", **places.spawn_as)
        return took

    def end() -> None:
        for copy in copies:
            shutil.rmtree(copy)
        made.delete(template)

    return once, end


def clone(size: Size, rounds: int) -> list[Figure]:
    """create_branch of a running parent under load to SQL answering there.

    Nothing is deleted between the rounds: ext4 without a journal copies several times slower where it has just deleted, cp as well as us.
    """
    with bench(size) as made:
        branches: list[BranchRow] = []

        def ours() -> float:
            os.sync()
            begin = time.perf_counter()
            branches.append(made.create())
            made.answers(branches[-1])
            took = time.perf_counter() - begin
            made.cluster(branches[-1].id).stop()
            return took

        baseline, end = copied_and_started(made)
        name = "cp -a + pg_ctl start"
        try:
            group = f"create_branch, {size.label} under load"
            return in_turn(group, {name: baseline, "ours": ours}, rounds=rounds, baseline=name)
        finally:
            end()
            for branch in branches:
                made.delete(branch)


def disk(size: Size, rounds: int) -> list[Figure]:
    """What a new branch takes of the disk. Without load: with it, most of what changes is the parent's."""
    with bench(None) as made:
        filled(made, size)
        folder = made.opened.plane.data_dir

        def used() -> float:
            os.sync()
            return shutil.disk_usage(folder).used / 1e6

        def once() -> float:
            before = used()
            branch = made.create()
            made.answers(branch)
            taken = used() - before
            made.delete(branch)
            return taken

        return in_turn(f"disk taken by a branch, {size.label}", {"ours": once}, rounds=rounds, unit="MB")


def spare(size: Size, rounds: int) -> list[Figure]:
    """create_branch where a warm spare is ready, to SQL answering."""
    with bench(size, spares=True) as made:
        store = made.opened.plane.service.core.store

        def has_spare() -> bool:
            with store.read() as tx:
                return bool(tx.all(SpareRow))

        def once() -> float:
            until = time.monotonic() + READY_WITHIN
            while not has_spare() and time.monotonic() < until:
                time.sleep(0.05)
            time.sleep(1)  # it has to catch up once
            begin = time.perf_counter()
            branch = made.create()
            made.answers(branch)
            took = time.perf_counter() - begin
            if made.opened.plane.service.core.branch(branch.id).made_by != "warm spare":
                raise RuntimeError("the spare was not taken")
            made.delete(branch)
            return took

        return in_turn(f"create_branch of a warm spare, {size.label}", {"ours": once}, rounds=rounds)


def reset(size: Size, rounds: int) -> list[Figure]:
    """Reset from the parent: the longest time in which no new connection on the same string was answered."""
    with bench(size) as made:
        branch = made.create()
        uri = made.uri(branch.id)

        def once() -> float:
            done, longest = threading.Event(), [0.0]

            def watch() -> None:
                last = time.perf_counter()
                while not done.is_set():
                    with contextlib.suppress(psycopg.Error), psycopg.connect(uri) as conn:
                        conn.execute("SELECT 1")
                        longest[0] = max(longest[0], time.perf_counter() - last)
                        last = time.perf_counter()

            watcher = threading.Thread(target=watch)
            watcher.start()
            service = made.opened.plane.service
            made.finish(service.restore_branch(branch.project_id, branch.id, made.root.id))
            time.sleep(0.3)
            done.set()
            watcher.join()
            return longest[0]

        return in_turn(f"reset, outage, {size.label} under load", {"ours": once}, rounds=rounds)


def idle(rounds: int) -> list[Figure]:
    """What branches cost that nobody uses, and the first connection to one that sleeps."""
    with bench(None) as made:
        branches = [made.create() for _ in range(IDLE)]
        for branch in branches:
            made.answers(branch)
        time.sleep(2)
        memory = [_megabytes(made.cluster(b.id)) for b in branches]
        service = made.opened.plane.service
        chosen, uri = branches[0], made.uri(branches[0].id)
        endpoint = service.endpoints(chosen.project_id, chosen.id)[0]

        def wake() -> float:
            made.finish(service.compute(chosen.project_id, endpoint.id, "suspend"))
            if made.cluster(chosen.id).running() is not None:
                raise RuntimeError("a suspended branch has a process")
            begin = time.perf_counter()
            with psycopg.connect(uri) as conn:
                conn.execute("SELECT 1")
            return time.perf_counter() - begin

        return [
            *figures(
                f"an idle branch, {IDLE} of them, PSS", {"median branch": memory, "worst": [max(memory)]}, unit="MB"
            ),
            *in_turn("start on demand, to SQL answering", {"ours": wake}, rounds=rounds),
        ]


def _megabytes(cluster: Cluster) -> float:
    running = cluster.running()
    assert running is not None
    postmaster = psutil.Process(running.pid)
    return sum(pss_megabytes(p.pid) for p in (postmaster, *postmaster.children(recursive=True)))


def branches(quick: bool) -> list[Figure]:
    """All of it; quickly without the large parent."""
    rounds = 3 if quick else 7
    found = [*clone(SMALL, rounds), *disk(SMALL, rounds), *reset(SMALL, rounds), *idle(rounds)]
    return found if quick else [*found, *clone(BIG, rounds), *spare(BIG, rounds)]
