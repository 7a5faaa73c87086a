"""What jobs do. Every function here can be run again from its beginning after a kill at any point: it makes a new cluster under a new
id, points the branch at it in one commit, and what nothing points at is swept away."""

import contextlib
import logging
import subprocess
import time
from collections.abc import Sequence

import psycopg

from ..errors import Unreachable
from . import access, ids
from .clone import Cloned, clone, configure, make_from_template, remove
from .cluster import Cluster
from .core import Core, branch_in, endpoint_of
from .files import has_reflinks
from .history import Moment, base_for, begin_history, begins_with_copy, recover
from .jobs import Job, Work
from .lifecycle import discard, discard_of_job, session, suspend, wake
from .ports import is_served
from .problems import Problem
from .sample import shop_sql
from .spares import take_spare
from .store import BranchRow, ClusterRow, EndpointRow, ProjectRow, RoleRow, Transaction, now

log = logging.getLogger(__name__)
PORT_TIMEOUT = 5.0


def _new_cluster(job: Job) -> Cluster:
    discard_of_job(job.core, job.row.id)
    return job.core.register_cluster(ids.cluster_id(), job.row.project_id, job.row.id, "branch")


def _hand_over(tx: Transaction, branch_id: str, cluster: Cluster, **columns: object) -> None:
    """Point the branch at its new cluster: from this commit on the cluster is the branch's."""
    moment = now()
    tx.change(ClusterRow, cluster.id, job_id=None)
    tx.change(
        BranchRow,
        branch_id,
        cluster_id=cluster.id,
        state="ready",
        pending_state=None,
        state_changed_at=moment,
        updated_at=moment,
        **columns,
    )
    for endpoint in tx.all(EndpointRow, "branch_id = ?", [branch_id]):
        tx.change(EndpointRow, endpoint.id, started_at=moment, last_active=moment)


def create_project(job: Job) -> None:
    """The root branch: an empty cluster, the group, the owner and the database, and the sample shop where asked for."""
    core, payload = job.core, job.row.payload
    branch = core.branch(str(job.row.branch_id))
    if branch.cluster_id is None:
        with job.step("create_timeline"):
            cluster = _new_cluster(job)
            make_from_template(cluster)
            configure(cluster, durable=False)
        with job.step("start_compute"):
            cluster.start()
            _fill_root(job, cluster, str(payload["role"]), str(payload["database"]), sample=bool(payload["sample"]))
            # What was made so far can be made again; what the user brings from now on cannot.
            configure(cluster, durable=True)
            cluster.execute("SELECT pg_reload_conf()")
            with core.store.write() as tx:
                _hand_over(tx, branch.id, cluster)
            _await_port(core, branch.id)
    with core.store.write() as tx:
        tx.change(ProjectRow, job.row.project_id, state="ready", updated_at=now())


def _fill_root(job: Job, cluster: Cluster, role: str, database: str, *, sample: bool) -> None:
    with job.core.store.read() as tx:
        owner = tx.one(RoleRow, "branch_id = ? AND name = ?", job.row.branch_id, role)
    assert owner is not None
    with cluster.connect() as conn:
        access.create_group(conn, job.core.binaries.major)
        access.create_role(conn, role, str(owner.password))
        access.create_database(conn, database, role)
    if sample:
        access.run_as(cluster, database, role, shop_sql())
        with cluster.connect(database) as conn:
            conn.execute("VACUUM (FREEZE, ANALYZE) users, products, orders, order_items")


def undo_create_project(job: Job) -> None:
    """Nothing of it stays but the failed operations; one whose root branch was whole already stays whole."""
    discard_of_job(job.core, job.row.id)
    with job.core.store.write() as tx:
        if tx.one(BranchRow, "id = ? AND cluster_id IS NOT NULL", job.row.branch_id) is not None:
            tx.change(ProjectRow, job.row.project_id, state="ready", updated_at=now())
            return
        forget_branch(tx, str(job.row.branch_id))
        tx.drop(ProjectRow, "id = ?", job.row.project_id)


def forget_branch(tx: Transaction, branch_id: str) -> None:
    """Delete a branch's rows; its port is free again with that."""
    tx.drop(EndpointRow, "branch_id = ?", branch_id)
    tx.drop(RoleRow, "branch_id = ?", branch_id)
    tx.drop(BranchRow, "id = ?", branch_id)


def create_branch(job: Job) -> None:
    """A clone of the parent, started, with its passwords."""
    core = job.core
    branch = core.branch(str(job.row.branch_id))
    if branch.cluster_id is not None:
        return
    with job.step("create_branch"):
        cluster = _new_cluster(job)
        cluster, cloned = _copy_of(job, cluster)
    if job.row.payload["compute"]:
        with job.step("start_compute"):
            if not cluster.is_ready():  # a warm spare runs already
                cluster.start()
            _apply_passwords(job, cluster, cloned, _roles_of(job)[0])
            with core.store.write() as tx:
                _hand_over(tx, branch.id, cluster, made_by=_way(cluster, cloned), parent_lsn=cloned.lsn)
            _await_port(core, branch.id)
    else:
        with core.store.write() as tx:
            _hand_over(tx, branch.id, cluster, made_by=_way(cluster, cloned), parent_lsn=cloned.lsn)


def _way(cluster: Cluster, cloned: Cloned) -> str:
    """How the branch's data came, for people."""
    copied = cloned.way not in ("warm spare", "schema only")
    return f"{cloned.way}, reflinked" if copied and has_reflinks(cluster.places.clusters) else cloned.way


def _await_port(core: Core, branch_id: str) -> None:
    """Return once the leader serves the branch's port. It is tried for a while only: a leader that just ended has to be replaced."""
    core.nudge.set()
    deadline = time.monotonic() + PORT_TIMEOUT
    while time.monotonic() < deadline:
        with core.store.read() as tx:
            endpoint = endpoint_of(tx, branch_id)
        if endpoint is None or is_served(endpoint.port):
            return
        time.sleep(0.002)
    log.warning("the port of branch %s is not served yet", branch_id)


def _copy_of(job: Job, cluster: Cluster, *, durable: bool = False) -> tuple[Cluster, Cloned]:
    """The new cluster with the source's data, as the job's payload says: it may be another one than was offered (a warm spare)."""
    core, payload = job.core, job.row.payload
    source_id = str(payload["source_id"])
    moment = Moment(payload.get("lsn"), payload.get("timestamp"))
    if payload.get("schema_only"):
        make_from_template(cluster)
        configure(cluster, durable=True)
        cluster.start()
        copy_schema(wake(core, source_id), cluster)
        return cluster, Cloned("0/0", "0/0", "schema only")
    if moment.lsn is not None or moment.timestamp is not None:
        source = wake(core, source_id)
        with core.store.read() as tx:
            base = base_for(tx, branch_in(tx, source_id), moment)
        return cluster, recover(core, base, source, cluster, moment, durable=durable)
    branch = core.branch(source_id)
    source = core.cluster_of(branch)
    if not durable and (spare := take_spare(core, source, job.row.id)) is not None:
        discard(core, cluster.id)
        return spare
    begins = begins_with_copy(core, branch)
    cloned = _clone_patiently(source, cluster)
    if begins:
        begin_history(core, branch, cluster, cloned, job.row.id)
    configure(cluster, durable=durable)
    return cluster, cloned


def _clone_patiently(source: Cluster, cluster: Cluster) -> Cloned:
    """A source that is put to sleep, or crashes, in the middle of the copy is copied again."""
    try:
        return clone(source, cluster)
    except (psycopg.OperationalError, Unreachable):
        log.info("copying %s was cut short; once more", source.id)
        remove(cluster)
        return clone(source, cluster)


def copy_schema(source: Cluster, target: Cluster) -> None:
    """Roles with their passwords, databases and all definitions, without a row."""
    tools = source.binaries
    running, new = source.running(), target.running()
    assert running is not None
    assert new is not None
    where = ["-h", str(source.places.sockets), "-U", "cloud_admin"]
    dump = subprocess.run(
        [tools.tool("pg_dumpall"), *where, "-p", str(running.port), "--schema-only", "-l", "postgres"],
        capture_output=True,
        check=False,
        env={"LC_ALL": "C"},
    )
    if dump.returncode != 0:
        raise Unreachable(f"pg_dumpall of the parent failed: {dump.stderr.decode(errors='replace')[-800:]}")
    # The superuser's role is there already: that one error is expected, so psql goes on after errors.
    subprocess.run(
        [tools.tool("psql"), *where, "-p", str(new.port), "-X", "-q", "-d", "postgres"],
        input=dump.stdout,
        capture_output=True,
        check=False,
        env={"LC_ALL": "C"},
    )


def _roles_of(job: Job) -> tuple[list[RoleRow], list[RoleRow]]:
    """The logins with a row: the branch's, and its source's."""
    with job.core.store.read() as tx:
        own = tx.all(RoleRow, "branch_id = ?", [job.row.branch_id])
        return own, tx.all(RoleRow, "branch_id = ?", [job.row.payload["source_id"]])


def _roles_after(job: Job, cluster: Cluster) -> list[RoleRow]:
    """The branch's logins with the source's data: its own, and those that come with the data; without those that do not."""
    own, source = _roles_of(job)
    protected = job.core.branch(str(job.row.payload["source_id"])).is_protected
    new = {r.name: ids.password() if protected else r.password for r in source}
    kept = {r.name: r for r in own}
    branch_id, moment = str(job.row.branch_id), now()
    roles = {**{n: RoleRow(branch_id, n, password, moment, moment) for n, password in new.items()}, **kept}
    with cluster.connect() as conn:
        return [roles[name] for name in access.login_roles(conn) if name in roles]


def _apply_passwords(job: Job, cluster: Cluster, cloned: Cloned, roles: Sequence[RoleRow]) -> None:
    """Make the copied roles' passwords those of these rows, where they are others than those of what was copied."""
    copied = {r.name: r.password for r in _roles_of(job)[1]}
    if cloned.way == "point in time":
        copied = {}  # what they were then is not known
    differing = {r.name: r.password for r in roles if r.password is not None and copied.get(r.name) != r.password}
    if not differing:
        return
    with cluster.connect() as conn:
        present = set(access.login_roles(conn))
        for name, password in differing.items():
            if name in present:
                access.set_password(conn, name, password)


def undo_create_branch(job: Job) -> None:
    """Neither files nor rows stay, but of a branch that was whole already."""
    discard_of_job(job.core, job.row.id)
    with job.core.store.write() as tx:
        if tx.one(BranchRow, "id = ? AND cluster_id IS NOT NULL", job.row.branch_id) is not None:
            return
        forget_branch(tx, str(job.row.branch_id))


def restore_branch(job: Job) -> None:
    """A fresh clone takes the branch's place on the same port; sessions are cut, the connection string stays good.

    Passwords that the branch has of its own are set in the new cluster before it takes over.
    """
    core, payload = job.core, job.row.payload
    branch = core.branch(str(job.row.branch_id))
    if "replaced" not in payload:
        with job.step("create_timeline"):
            cluster = _new_cluster(job)
            cluster, cloned = _copy_of(job, cluster, durable=branch.is_default or branch.parent_id is None)
            cluster.start()
            roles = _roles_after(job, cluster)
            _apply_passwords(job, cluster, cloned, roles)
        with core.store.write() as tx:
            old = branch.cluster_id
            _hand_over(
                tx,
                branch.id,
                cluster,
                made_by=_way(cluster, cloned),
                parent_id=payload.get("parent_id", branch.parent_id),
                parent_lsn=cloned.lsn,
                parent_timestamp=payload["timestamp"] or (None if payload["lsn"] else now()),
                last_reset_at=now(),
            )
            tx.drop(RoleRow, "branch_id = ?", branch.id)
            for role in roles:
                tx.add(role)
            if payload["preserve_as"]:
                tx.change(BranchRow, str(payload["preserve_as"]), cluster_id=old, state="ready", pending_state=None)
            elif old is not None:
                tx.change(ClusterRow, old, job_id=job.row.id)
            job.remember(tx, replaced=old)
    else:
        old = payload["replaced"]
    with job.step("suspend_compute"):
        if old is not None and payload["preserve_as"]:
            core.cluster(old).stop()
    with job.step("start_compute"):
        discard_of_job(core, job.row.id)


def undo_restore_branch(job: Job) -> None:
    """The branch stays as it was, or as it has become if the new cluster has taken over."""
    discard_of_job(job.core, job.row.id)
    with job.core.store.write() as tx:
        tx.change(BranchRow, str(job.row.branch_id), state="ready", pending_state=None)
        preserved = job.row.payload["preserve_as"]
        if preserved and branch_in(tx, str(preserved)).cluster_id is None:
            for child in tx.all(BranchRow, "parent_id = ?", [preserved]):
                tx.change(BranchRow, child.id, parent_id=job.row.branch_id)
            forget_branch(tx, str(preserved))


def delete_branch(job: Job) -> None:
    """Stop it, delete its files, free its port."""
    core = job.core
    with job.step("suspend_compute"), contextlib.suppress(Problem):
        branch = core.branch(str(job.row.branch_id))
        discard(core, branch.cluster_id)
    with job.step("delete_timeline"), core.store.write() as tx:
        forget_branch(tx, str(job.row.branch_id))


def nothing(job: Job) -> None:
    """Undoing what only deletes, or what left things as they were."""


def delete_project(job: Job) -> None:
    """Every branch with its cluster, then the project."""
    core = job.core
    with job.step("delete_timeline"):
        with core.store.read() as tx:
            clusters = tx.all(ClusterRow, "project_id = ?", [job.row.project_id])
        for row in clusters:
            discard(core, row.id)
        with core.store.write() as tx:
            for branch in tx.all(BranchRow, "project_id = ?", [job.row.project_id]):
                forget_branch(tx, branch.id)
            tx.drop(ProjectRow, "id = ?", job.row.project_id)


def apply_password(job: Job) -> None:
    """Set a role's new password, then remember it; its sessions end, as with Neon."""
    core, payload = job.core, job.row.payload
    branch_id, name, password = str(job.row.branch_id), str(payload["role"]), str(payload["password"])
    with job.step("apply_config"), session(core, branch_id) as conn:
        access.set_password(conn, name, password)
        with core.store.write() as tx:
            known = tx.one(RoleRow, "branch_id = ? AND name = ?", branch_id, name)
            tx.put_role(RoleRow(branch_id, name, password, known.created_at if known else now(), now()))


def start_compute(job: Job) -> None:
    """Start the branch's cluster."""
    with job.step("start_compute"):
        wake(job.core, str(job.row.branch_id))
        _await_port(job.core, str(job.row.branch_id))  # a compute that was just made has a port that nobody serves yet


def suspend_compute(job: Job) -> None:
    """Stop the branch's cluster; the next connection starts it."""
    with job.step("suspend_compute"):
        suspend(job.core, str(job.row.branch_id))


def restart_compute(job: Job) -> None:
    """Stop the branch's cluster, which ends its sessions, and start it again."""
    suspend_compute(job)
    start_compute(job)


KINDS = {
    "create_project": Work(create_project, undo_create_project),
    "delete_project": Work(delete_project, nothing),
    "create_branch": Work(create_branch, undo_create_branch),
    "restore_branch": Work(restore_branch, undo_restore_branch),
    "delete_branch": Work(delete_branch, nothing),
    "apply_password": Work(apply_password, nothing),
    "start_compute": Work(start_compute, nothing),
    "suspend_compute": Work(suspend_compute, nothing),
    "restart_compute": Work(restart_compute, nothing),
}
