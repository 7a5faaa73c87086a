"""TCP ports of connection strings: one per compute, kept in the state, below the system's ephemeral range."""

import socket
from collections.abc import Mapping
from typing import Any

from . import ids
from .core import Core
from .objects import COMPUTE_DEFAULTS
from .places import digest
from .problems import Problem
from .shapes import COMPUTE_SETTINGS, shaped
from .store import BranchRow, EndpointRow, ProjectRow, Transaction, now


def add_endpoint(tx: Transaction, core: Core, branch: BranchRow, settings: Mapping[str, Any]) -> EndpointRow:
    """A read-write compute for the branch, with a port of its own. Raises Problem for another type, or settings that are none."""
    if settings.get("type") not in (None, "read_write"):
        raise Problem(
            422, "the local control plane has read_write computes only: a branch with a read_only one is not offered"
        )
    moment = now()
    project = tx.one(ProjectRow, "id = ?", branch.project_id)
    endpoint = EndpointRow(
        ids.endpoint_id(),
        branch.project_id,
        branch.id,
        "read_write",
        allocate_port(tx, core),
        {**(project.settings.get(COMPUTE_DEFAULTS, {}) if project else {}), **shaped(settings, COMPUTE_SETTINGS)},
        False,
        None,
        None,
        None,
        moment,
        moment,
    )
    tx.add(endpoint)
    return endpoint


def allocate_port(tx: Transaction, core: Core) -> int:
    """A port that no endpoint has and that can be bound now. The search begins at a place of this data directory's own, so that two
    data directories on one machine seldom meet. Raises Problem when all are taken."""
    first, last = core.config.first_port, core.config.last_port
    taken = {e.port for e in tx.all(EndpointRow)}
    span = last - first + 1
    offset = int(digest(core.places.data_dir), 16) % max(span, 1)
    for i in range(span):
        port = first + (offset + i) % span
        if port not in taken and _is_free(port):
            return port
    raise Problem(422, f"every port from {first} to {last} is taken; set local.first_port and local.last_port")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def move_port(core: Core, endpoint: EndpointRow) -> int:
    """Give the compute another port, where its own was taken by another program while nobody served it."""
    with core.store.write() as tx:
        port = allocate_port(tx, core)
        tx.change(EndpointRow, endpoint.id, port=port)
    return port


def is_served(port: int) -> bool:
    """Whether somebody listens there; asked without connecting."""
    return not _is_free(port)
