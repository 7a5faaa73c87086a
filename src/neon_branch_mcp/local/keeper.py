"""What goes on in the background while a data directory is open."""

import threading

from .core import Core
from .relay import Relay
from .store import ClusterRow, EndpointRow
from .work import wake

TICK = 0.05


class Keeper:
    """Keeps the relay's ports in step with the state, and stops the clusters at the end."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._relay = Relay(self._port_of)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="keeper", daemon=True)
        self._thread.start()

    def _port_of(self, branch_id: str) -> int:
        running = wake(self._core, branch_id).running()
        return 0 if running is None else running.port

    def refresh(self) -> None:
        """Serve the ports of all computes."""
        with self._core.store.read() as tx:
            ports = {e.port: e.branch_id for e in tx.all(EndpointRow)}
        self._relay.listen(ports)

    def _run(self) -> None:
        while not self._stopping.wait(TICK):
            self.refresh()

    def close(self) -> None:
        """End the thread and the relay, and stop every cluster."""
        self._stopping.set()
        self._thread.join()
        self._relay.close()
        with self._core.store.read() as tx:
            clusters = tx.all(ClusterRow)
        for row in clusters:
            self._core.cluster(row.id).stop()
