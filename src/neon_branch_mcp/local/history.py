"""Point in time: base copies of root branches, and the WAL since the oldest of them.

A base is a copy of the running root that is never started. A physical replication slot on the root keeps the WAL that the oldest base
needs; a recovery reads it straight from the root's pg_wal, so nothing is archived. New bases are taken as the window moves on, and what
lies before the window is let go. A root's history belongs to its cluster: after a restore of the root it begins anew.
"""

import logging
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import psycopg

from ..errors import NeonBranchError
from . import ids
from .clone import Cloned, clone_running, configure, prepare_folder
from .cluster import Cluster
from .core import Core
from .files import copy_tree
from .lifecycle import discard
from .problems import Problem
from .store import BaseRow, BranchRow, ProjectRow, Transaction, now

log = logging.getLogger(__name__)
SLOT = "history"
PURPOSE = "base"
WORTH_A_BASE = 64 << 10  # bytes of WAL; less is the server's own bookkeeping


@dataclass(frozen=True)
class Moment:
    """A point in a branch's past: a log position, or a time in seconds since the epoch."""

    lsn: str | None = None
    timestamp: float | None = None

    def __str__(self) -> str:
        return self.lsn or stamp(self.timestamp or 0)


def stamp(seconds: float) -> str:
    """A time as both Postgres and the API's users read it, to the microsecond."""
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def lsn_number(lsn: str) -> int:
    """`16/B374D848` as a number. Raises Problem 400 for what is not an LSN."""
    try:
        high, low = lsn.split("/")
        return (int(high, 16) << 32) + int(low, 16)
    except ValueError:
        raise Problem(400, f"{lsn!r} is not an LSN; one looks like 0/1DE2850") from None


def base_for(tx: Transaction, branch: BranchRow, moment: Moment) -> BaseRow:
    """The youngest base from which the moment can be reached. Raises Problem 422 when there is none, saying what can be reached."""
    if branch.parent_id is not None:
        raise Problem(422, "point in time works for root branches only")
    project = tx.one(ProjectRow, "id = ?", branch.project_id)
    assert project is not None
    bases = tx.all(BaseRow, "of_cluster = ?", [branch.cluster_id], order="taken_at")
    oldest = max(now() - project.history_seconds, bases[0].taken_at) if bases else None
    if oldest is None:
        raise Problem(422, f"no history of branch {branch.name} is kept yet, so {moment} cannot be reached")
    if moment.timestamp is not None:
        fitting = [b for b in bases if b.taken_at <= moment.timestamp]
        inside = oldest <= moment.timestamp <= now() + 1
    else:
        wanted = lsn_number(moment.lsn or "")
        fitting = [b for b in bases if lsn_number(b.end_lsn) <= wanted]
        inside = True
    if not fitting or not inside:
        reach = f"from {stamp(oldest)} (LSN {bases[0].end_lsn}) until now"
        raise Problem(422, f"{moment} is outside the history that is kept of branch {branch.name}: {reach}")
    return fitting[-1]


def check_not_ahead(cluster: Cluster, moment: Moment) -> None:
    """Raises Problem 422 for an LSN that the branch has not reached."""
    if moment.lsn is not None:
        head = str(cluster.execute("SELECT pg_current_wal_flush_lsn()")[0][0])
        if lsn_number(moment.lsn) > lsn_number(head):
            raise Problem(422, f"LSN {moment.lsn} is ahead of the branch, which is at {head}")


def recover(core: Core, base: BaseRow, parent: Cluster, child: Cluster, moment: Moment, *, durable: bool) -> Cloned:
    """Make the child as the parent was at the moment, from a base and the parent's WAL. The child runs when this returns."""
    mark_end(parent)
    prepare_folder(child)
    copy_tree(core.cluster(base.id).data, child.data, uid=child.places.uid)
    wal = shlex.quote(str(parent.data / "pg_wal")).replace("%", "%%")
    target = (
        {"recovery_target_lsn": moment.lsn}
        if moment.lsn is not None
        else {"recovery_target_time": stamp(moment.timestamp or 0)}
    )
    extra = {
        "restore_command": f'test -f {wal}/%f && cp {wal}/%f "%p"',
        "recovery_target_action": "promote",
        "hot_standby": "off",
        **target,
    }
    configure(child, durable=durable, extra=extra)
    signal = child.data / "recovery.signal"
    signal.touch()
    child.places.give(signal)
    child.start()
    configure(child, durable=durable)
    child.execute("SELECT pg_reload_conf()")
    reached = str(child.execute("SELECT pg_current_wal_lsn()")[0][0])
    return Cloned(moment.lsn or reached, base.start_lsn, "point in time")


def mark_end(parent: Cluster) -> None:
    """Commit something and flush it, with all that was committed before.

    A recovery ends with an error when it finds no record after its target.
    """
    with parent.connect() as conn:
        conn.execute("SET synchronous_commit = on")
        # A transaction that writes no WAL of its own would not be flushed by its commit, whatever the setting.
        conn.execute("SELECT pg_logical_emit_message(true, 'neon-branch-mcp', 'end')")


def keep_history(core: Core, branch: BranchRow, window: float, *, interrupt: Callable[[], None]) -> None:
    """Take a base of this root if it is time, and let go what lies before the window. For the leader."""
    cluster = core.cluster_of(branch)
    if not cluster.is_ready():
        return
    with core.store.read() as tx:
        bases = tx.all(BaseRow, "of_cluster = ?", [cluster.id], order="taken_at")
    bases = _drop_lost(core, cluster, bases)
    if window and _is_time(cluster, bases, window):
        _take_base(core, branch, cluster, interrupt)
        return
    needed = [b for i, b in enumerate(bases) if _is_needed(bases[i + 1 : i + 2], window)]
    for base in bases:
        if base not in needed or not window:
            discard(core, base.id)
    if needed and len(needed) < len(bases):
        with cluster.connect() as conn:
            conn.execute("SELECT pg_replication_slot_advance(%s, %s)", [SLOT, needed[0].start_lsn])


def _is_needed(following: Sequence[BaseRow], window: float) -> bool:
    """A base is needed while the one after it does not reach back to the window's beginning."""
    return not following or following[0].taken_at > now() - window


def _is_time(cluster: Cluster, bases: list[BaseRow], window: float) -> bool:
    if not bases:
        return True
    if now() - bases[-1].taken_at < window / 2:
        return False
    head = str(cluster.execute("SELECT pg_current_wal_lsn()")[0][0])
    return lsn_number(head) - lsn_number(bases[-1].end_lsn) > WORTH_A_BASE


def _drop_lost(core: Core, cluster: Cluster, bases: list[BaseRow]) -> list[BaseRow]:
    """Make the slot if it is not there; where it has lost WAL (too much was written), the bases are of no use any more."""
    with cluster.connect() as conn:
        row = conn.execute(
            "SELECT wal_status = 'lost' FROM pg_replication_slots WHERE slot_name = %s", [SLOT]
        ).fetchone()
        if row is not None and not row[0]:
            return bases
        if row is not None:
            log.warning("the history of cluster %s outgrew its limit; it begins anew", cluster.id)
            conn.execute("SELECT pg_drop_replication_slot(%s)", [SLOT])
        conn.execute("SELECT pg_create_physical_replication_slot(%s, true)", [SLOT])
    for base in bases:
        discard(core, base.id)
    return []


def _take_base(core: Core, branch: BranchRow, cluster: Cluster, interrupt: Callable[[], None]) -> None:
    base = core.register_cluster(ids.cluster_id(), branch.project_id, None, PURPOSE)
    try:
        prepare_folder(base)
        cloned = clone_running(cluster, base, interrupt=interrupt)
        with core.store.write() as tx:
            tx.add(BaseRow(base.id, cluster.id, cloned.start, cloned.lsn, now()))
    except (NeonBranchError, psycopg.Error, OSError):
        discard(core, base.id)
        raise
