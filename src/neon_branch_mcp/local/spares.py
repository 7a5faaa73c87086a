"""Warm spares: a standby of the default branch, kept in the background and promoted when a branch is made of it.

Promoting takes tens of milliseconds whatever the size. The standby streams over the private unix socket; a slot of its own keeps the WAL
it still needs. It sleeps while the branch sleeps.
"""

import logging
import time
from collections.abc import Callable, Collection

import psycopg
from psycopg.conninfo import make_conninfo

from ..errors import NeonBranchError
from . import ids
from .clone import Cloned, clone_running, configure, fork_point, prepare_folder
from .cluster import Cluster
from .core import Core
from .history import mark_end
from .lifecycle import discard
from .settings import SUPERUSER
from .store import BranchRow, ClusterRow, SpareRow

log = logging.getLogger(__name__)
PURPOSE = "spare"
CATCH_UP = 3.0
PROMOTION = 10.0


def keep_spare(core: Core, branch: BranchRow, *, interrupt: Callable[[], None]) -> None:
    """Have one spare of this branch, following it while it is awake. For the leader."""
    cluster = core.cluster_of(branch)
    with core.store.read() as tx:
        spares = tx.all(SpareRow, "of_cluster = ?", [cluster.id])
    for extra in spares[1:] if core.config.spares else spares:
        _drop(core, extra)
    if not core.config.spares:
        return
    running = cluster.running() if cluster.is_ready() else None
    if running is None:
        for spare in spares[:1]:
            core.cluster(spare.id).stop()
    elif not spares:
        _make(core, branch, cluster, running.port, interrupt)
    else:
        _follow(core, spares[0], running.port)


def drop_stray_spares(core: Core, wanted: Collection[str | None]) -> None:
    """Remove the spares of clusters that are no default branch's any more."""
    with core.store.read() as tx:
        spares = tx.all(SpareRow)
    for spare in spares:
        if spare.of_cluster not in wanted:
            _drop(core, spare)


def _drop(core: Core, spare: SpareRow) -> None:
    """Remove a spare, unless it has become a branch since it was looked up."""
    with core.store.write() as tx:
        if tx.one(SpareRow, "id = ?", spare.id) is None:
            return
        tx.drop(SpareRow, "id = ?", spare.id)
    discard(core, spare.id)


def _make(core: Core, branch: BranchRow, cluster: Cluster, port: int, interrupt: Callable[[], None]) -> None:
    spare = core.register_cluster(ids.cluster_id(), branch.project_id, None, PURPOSE)
    try:
        _keep_only_slot(cluster, _slot(spare))
        prepare_folder(spare)
        clone_running(cluster, spare, interrupt=interrupt)
        _configure(spare, port)
        signal = spare.data / "standby.signal"
        signal.touch()
        spare.places.give(signal)
        spare.start()
        with core.store.write() as tx:
            tx.add(SpareRow(spare.id, cluster.id, port))
    except (NeonBranchError, psycopg.Error, OSError):
        discard(core, spare.id)
        raise


def _slot(spare: Cluster) -> str:
    return f"spare_{spare.id}"


def _keep_only_slot(cluster: Cluster, name: str) -> None:
    """Make the slot, and drop those of spares that were used or are gone."""
    with cluster.connect() as conn:
        conn.execute(
            "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name LIKE 'spare%' AND NOT active"
        )
        conn.execute("SELECT pg_create_physical_replication_slot(%s, true)", [name])


def _configure(spare: Cluster, port: int) -> None:
    primary = make_conninfo(host=str(spare.places.sockets), port=port, user=SUPERUSER, application_name=_slot(spare))
    extra = {"primary_conninfo": primary, "primary_slot_name": _slot(spare), "wal_retrieve_retry_interval": "200ms"}
    configure(spare, durable=False, extra=extra)


def _follow(core: Core, spare: SpareRow, port: int) -> None:
    """The branch's cluster may have another port since it slept, and the spare may have slept too."""
    cluster = core.cluster(spare.id)
    if spare.port != port:
        _configure(cluster, port)
        with core.store.write() as tx:
            tx.change(SpareRow, spare.id, port=port)
        if cluster.running() is not None:
            cluster.execute("SELECT pg_reload_conf()")
    try:
        cluster.start()
    except NeonBranchError:
        log.warning("the spare %s does not start; another one will be made", spare.id)
        _drop(core, spare)


def take_spare(core: Core, source: Cluster, job_id: str) -> tuple[Cluster, Cloned] | None:
    """The source's spare, promoted with everything that was committed until now, as the job's; None when there is none that is ready."""
    with core.store.write() as tx:
        spare = tx.one(SpareRow, "of_cluster = ?", source.id)
        if spare is None:
            return None
        tx.drop(SpareRow, "id = ?", spare.id)
        tx.change(ClusterRow, spare.id, job_id=job_id, purpose="branch")
    cluster = core.cluster(spare.id)
    try:
        lsn = _promote(source, cluster) if source.is_ready() and cluster.is_ready() else None
    except psycopg.Error as exc:
        log.warning("the spare %s could not be promoted: %s", spare.id, exc)
        lsn = None
    if lsn is None:
        discard(core, spare.id)
        return None
    core.nudge.set()
    return cluster, Cloned(lsn, lsn, "warm spare")


def _promote(source: Cluster, spare: Cluster) -> str | None:
    mark_end(source)
    head = str(source.execute("SELECT pg_current_wal_flush_lsn()")[0][0])
    with spare.connect() as conn:
        if not _poll(conn, f"SELECT pg_last_wal_replay_lsn() >= '{head}'::pg_lsn", CATCH_UP):
            return None
        conn.execute("SELECT pg_promote(false)")  # its own waiting looks only every 100 ms
        if not _poll(conn, "SELECT NOT pg_is_in_recovery()", PROMOTION):
            return None
        configure(spare, durable=False)
        conn.execute("SELECT pg_reload_conf()")
    return fork_point(spare)


def _poll(conn: psycopg.Connection[tuple[object, ...]], question: str, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        row = conn.execute(question.encode()).fetchone()
        if row is not None and row[0]:
            return True
        time.sleep(0.001)
    return False
