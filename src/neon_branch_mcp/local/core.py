"""What every part of the control plane shares in one process: settings, places, programs, state, and this worker's name."""

import os
import threading
import uuid
from collections import Counter
from dataclasses import dataclass, field

from ..config import LocalConfig
from .binaries import Binaries
from .cluster import Cluster
from .places import Places
from .problems import Problem, not_found
from .store import BranchRow, ClusterRow, EndpointRow, Store, Transaction, now

IMPORTING = "importing/"
"""Before a project's id, the key under which the state names the worker that fills it: half a database is of no use to anybody."""


@dataclass(frozen=True)
class Core:
    """Shared by reference; holds no state of its own."""

    config: LocalConfig
    places: Places
    binaries: Binaries
    store: Store
    worker: str = field(default_factory=lambda: f"{os.getpid()}-{uuid.uuid4().hex[:12]}")
    nudge: threading.Event = field(default_factory=threading.Event)
    """Set when the keeper should look at the state now and not at its next tick."""
    counting: threading.Lock = field(default_factory=threading.Lock)
    in_use: Counter[str] = field(default_factory=Counter)
    """Sessions of this process's own inside a branch, which no relay counts; a branch that has one is not put to sleep."""

    def cluster(self, cluster_id: str) -> Cluster:
        """The cluster of this id."""
        return Cluster(cluster_id, self.places, self.binaries)

    def cluster_of(self, branch: BranchRow) -> Cluster:
        """The branch's cluster. Raises Problem while there is none yet."""
        if branch.cluster_id is None:
            raise Problem(422, f"branch not ready yet; branch_id:{branch.id}")
        return self.cluster(branch.cluster_id)

    def branch(self, branch_id: str) -> BranchRow:
        """The branch as it is now. Raises Problem 404."""
        with self.store.read() as tx:
            return branch_in(tx, branch_id)

    def register_cluster(self, cluster_id: str, project_id: str, job_id: str | None, purpose: str) -> Cluster:
        """Write down that a folder of clusters/ is being made, before it is: what has no row is swept away."""
        with self.store.write() as tx:
            tx.add(ClusterRow(cluster_id, project_id, job_id, purpose, now()))
        return self.cluster(cluster_id)


def branch_in(tx: Transaction, branch_id: str) -> BranchRow:
    """The branch, in a transaction at hand. Raises Problem 404."""
    branch = tx.one(BranchRow, "id = ?", branch_id)
    if branch is None:
        raise not_found("branch")
    return branch


def endpoint_of(tx: Transaction, branch_id: str) -> EndpointRow | None:
    """The branch's read-write compute, if it has one."""
    return tx.one(EndpointRow, "branch_id = ? AND type = 'read_write'", branch_id)
