"""Point in time: base copies of branches, and the WAL since the oldest of them.

A base is a copy of a branch that is never started. A physical replication slot on the branch keeps the WAL that the oldest base needs; a
recovery reads it straight from the branch's pg_wal, so nothing is archived. New bases are taken as the window moves on, and what lies
before the window is let go. A history belongs to the branch's cluster: after a restore it begins anew.

Root branches and the default branch have a history from their beginning. Another one has it from when it is first branched from: the
child's own files, just copied and not yet started, are its base, so that what the child was made of can be had again. Where copies share
blocks that costs nothing; elsewhere it is a second copy, made only of branches up to `local.history_copy` megabytes.
"""

import contextlib
import logging
import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import psycopg
import psycopg.errors

from ..errors import NeonBranchError
from . import ids
from .clone import Cloned, clone_running, configure, fork_point, prepare_folder
from .cluster import Cluster
from .core import Core
from .files import copy_tree, disk_usage, has_reflinks
from .lifecycle import discard, wake
from .problems import Problem
from .store import BaseRow, BranchRow, ClusterRow, ProjectRow, Transaction, now

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
    parts = re.fullmatch(r"([0-9A-Fa-f]{1,8})/([0-9A-Fa-f]{1,8})", lsn)
    if parts is None:
        raise Problem(400, f"{lsn!r} is not an LSN; one looks like 0/1DE2850")
    return (int(parts[1], 16) << 32) + int(parts[2], 16)


def base_for(tx: Transaction, branch: BranchRow, moment: Moment) -> BaseRow:
    """The youngest base from which the moment can be reached. Raises Problem 422 when there is none, saying what can be reached."""
    project = tx.one(ProjectRow, "id = ?", branch.project_id)
    assert project is not None
    bases = tx.all(BaseRow, "of_cluster = ?", [branch.cluster_id], order="taken_at")
    oldest = max(now() - project.history_seconds, bases[0].taken_at) if bases else None
    if oldest is None:
        raise Problem(
            422,
            f"no history of branch {branch.name} is kept, so {moment} cannot be reached: {_why_none(project, branch)}",
        )
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


def _why_none(project: ProjectRow, branch: BranchRow) -> str:
    if not project.history_seconds:
        return "the project's history_retention_seconds is 0"
    if has_own_history(branch):
        return "its first base copy is being made"
    return (
        "a child's history begins when it is first branched from, where the file system shares blocks between copies"
        " or the branch is not larger than local.history_copy"
    )


def check_not_ahead(cluster: Cluster, moment: Moment) -> None:
    """Raises Problem 422 for an LSN that the branch has not reached."""
    if moment.lsn is not None:
        head = str(cluster.execute("SELECT pg_current_wal_insert_lsn()")[0][0])  # a recovery flushes it
        if lsn_number(moment.lsn) > lsn_number(head):
            raise Problem(422, f"LSN {moment.lsn} is ahead of the branch, which is at {head}")


def recover(core: Core, base: BaseRow, parent: Cluster, child: Cluster, moment: Moment, *, durable: bool) -> Cloned:
    """Make the child as the parent was at the moment, from a base and the parent's WAL. The child runs when this returns."""
    mark_end(parent)
    prepare_folder(child)
    copy_tree(core.cluster(base.id).data, child.data, uid=child.places.uid)
    wal = shlex.quote(str(parent.data / "pg_wal")).replace("%", "%%")
    target = (
        {
            "recovery_target_lsn": moment.lsn,
            "recovery_target_inclusive": "off",
        }  # what begins before it, and nothing after
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
    return Cloned(moment.lsn or fork_point(child), base.start_lsn, "point in time")


def mark_end(parent: Cluster) -> None:
    """Commit something and flush it, with all that was committed before.

    A recovery ends with an error when it finds no record after its target.
    """
    with parent.connect() as conn:
        conn.execute("SET synchronous_commit = on")
        # A transaction that writes no WAL of its own would not be flushed by its commit, whatever the setting.
        conn.execute("SELECT pg_logical_emit_message(true, 'neon-branch-mcp', 'end')")


def has_own_history(branch: BranchRow) -> bool:
    """Whether it has a history whether or not it is branched from. A schema-only branch holds nothing worth it at first."""
    return branch.is_default or (branch.parent_id is None and branch.init_source == "parent-data")


def begins_with_copy(core: Core, branch: BranchRow) -> bool:
    """Whether the copy about to be made of this branch shall be the first base of its history; then its WAL is kept from now on."""
    with core.store.read() as tx:
        project = tx.one(ProjectRow, "id = ?", branch.project_id)
        begun = tx.one(BaseRow, "of_cluster = ?", branch.cluster_id) is not None
    cluster = core.cluster_of(branch)
    if begun or project is None or not project.history_seconds or not _may_copy(core, cluster):
        return False
    _keep_wal(wake(core, branch.id))
    return True


def _may_copy(core: Core, cluster: Cluster) -> bool:
    """Whether a second copy is cheap here."""
    places = cluster.places
    return has_reflinks(places.clusters) or disk_usage(cluster.data / "base") <= core.config.history_copy * 1e6


def begin_history(core: Core, branch: BranchRow, copy: Cluster, cloned: Cloned, job_id: str) -> None:
    """Keep a copy of `copy`, which was just made of the branch and has not been started, as its first base.

    A branch without a history is better than none: what fails here is logged.
    """
    base = core.register_cluster(ids.cluster_id(), branch.project_id, job_id, PURPOSE)
    try:
        prepare_folder(base)
        copy_tree(copy.data, base.data, uid=copy.places.uid)
        with core.store.write() as tx:
            tx.add(BaseRow(base.id, core.cluster_of(branch).id, cloned.start, cloned.lsn, now()))
            tx.change(ClusterRow, base.id, job_id=None)
    except (NeonBranchError, OSError) as exc:
        log.warning("no history of branch %s is begun: %s", branch.id, exc)
        discard(core, base.id)


def keep_history(core: Core, branch: BranchRow, window: float, *, interrupt: Callable[[], None]) -> None:
    """Take a base of this branch if it is time, and let go what lies before the window. For the leader."""
    cluster = core.cluster_of(branch)
    with core.store.read() as tx:
        bases = tx.all(BaseRow, "of_cluster = ?", [cluster.id], order="taken_at")
    if not (bases or (window and has_own_history(branch))) or not cluster.is_ready():
        return
    if not window:
        _end(core, cluster, bases)
        return
    if bases and _wal_is_lost(cluster):
        log.warning("the history of branch %s outgrew its limit; it begins anew", branch.id)
        _end(core, cluster, bases)
        return
    if _is_time(cluster, bases, window) and (has_own_history(branch) or _may_copy(core, cluster)):
        _take_base(core, branch, cluster, interrupt)
        return
    needed = [b for i, b in enumerate(bases) if _is_needed(bases[i + 1 : i + 2], window)]
    for base in bases:
        if base not in needed:
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


def _keep_wal(cluster: Cluster) -> None:
    """Have the slot that keeps the WAL from now on; one that has lost WAL is made anew."""
    with cluster.connect() as conn:
        conn.execute(
            "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = %s AND wal_status = 'lost'",
            [SLOT],
        )
        with contextlib.suppress(psycopg.errors.DuplicateObject):
            conn.execute("SELECT pg_create_physical_replication_slot(%s, true)", [SLOT])


def _wal_is_lost(cluster: Cluster) -> bool:
    """Whether more was written than the slot may keep, or the slot is not there."""
    with cluster.connect() as conn:
        found = conn.execute(
            "SELECT FROM pg_replication_slots WHERE slot_name = %s AND wal_status <> 'lost'", [SLOT]
        ).fetchone()
    return found is None


def _end(core: Core, cluster: Cluster, bases: Sequence[BaseRow]) -> None:
    for base in bases:
        discard(core, base.id)
    with cluster.connect() as conn:
        conn.execute(
            "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = %s AND NOT active",
            [SLOT],
        )


def _take_base(core: Core, branch: BranchRow, cluster: Cluster, interrupt: Callable[[], None]) -> None:
    _keep_wal(cluster)
    base = core.register_cluster(ids.cluster_id(), branch.project_id, None, PURPOSE)
    began = now()
    try:
        prepare_folder(base)
        cloned = clone_running(cluster, base, interrupt=interrupt)
        with core.store.write() as tx:
            # A branch that was made of it meanwhile may have begun its history.
            superfluous = tx.one(BaseRow, "of_cluster = ? AND taken_at > ?", cluster.id, began) is not None
            if not superfluous:
                tx.add(BaseRow(base.id, cluster.id, cloned.start, cloned.lsn, now()))
    except (NeonBranchError, psycopg.Error, OSError):
        discard(core, base.id)
        raise
    if superfluous:
        discard(core, base.id)
