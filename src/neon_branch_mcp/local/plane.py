"""The local control plane in this process: opens the data directory, serves the API as an ASGI app, and keeps things going meanwhile."""

import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread
import platformdirs
from starlette.types import ASGIApp

from ..config import APP_NAME, LocalConfig, Secret
from ..errors import ConfigError
from .api import build_app
from .binaries import find_binaries
from .cluster import major_of, reap_all
from .core import Core
from .jobs import Jobs
from .keeper import Keeper
from .keys import Keys
from .lease import Lease
from .locks import locked
from .places import open_places, reachable
from .relay import Direct
from .service import Service
from .store import ProjectRow, Store
from .work import KINDS

BASE_URL = "http://local.invalid/api/v2"


@dataclass(frozen=True)
class LocalPlane:
    """A control plane that is open in this process."""

    api_key: Secret
    project_id: str
    """The first project, made when the data directory was new."""
    app: ASGIApp
    """Serves `/api/v2/…`; any event loop may call it."""
    data_dir: Path
    service: Service
    direct: Callable[[int], Direct | None]
    """For a port of a connection string, the way past the relay for this process's own sessions. Blocks while it wakes a branch."""


def default_data_dir() -> Path:
    """The platform's user data folder."""
    return Path(platformdirs.user_data_path(APP_NAME)) / "local"


@asynccontextmanager
async def open_plane(config: LocalConfig) -> AsyncIterator[LocalPlane]:
    """Open the data directory, making it and its first project if need be; several processes may have it open at once.

    Raises ConfigError when there is no Postgres, or the directory cannot be used.
    """
    opened = await anyio.to_thread.run_sync(partial(Opened, config))
    try:
        yield opened.plane
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(opened.close)


class Opened:
    """An open data directory with its threads, for callers without an event loop; `close()` ends it.

    After `close()` no postmaster of it runs, unless another process has it open.
    """

    def __init__(self, config: LocalConfig) -> None:
        places = open_places(config.data_dir or default_data_dir())
        with ExitStack() as stack:
            try:
                binaries = reachable(find_binaries(config.bin_dir, major=major_of(places)), places.uid)
                self._store = Store(places.state, places.clusters)
            except ConfigError:
                places.leave_sockets()
                raise
            stack.callback(self._store.close)
            self._core = Core(config, places, binaries, self._store)
            stack.callback(reap_all)
            lease = Lease(places, self._core.worker)
            stack.callback(lease.close)
            jobs = Jobs(self._core, KINDS)
            service = Service(self._core, jobs)
            keeper = Keeper(self._core, lease, jobs, service)
            keeper.start()
            stack.callback(keeper.close)
            stack.callback(jobs.close)
            with locked(places.locks / "first-project", timeout=120):
                api_key, project_id = self._first_project(service)
            self.plane = LocalPlane(
                api_key,
                project_id,
                build_app(service, Keys(self._store, api_key)),
                places.data_dir,
                service,
                keeper.direct,
            )
            self._stack = stack.pop_all()

    def _first_project(self, service: Service) -> tuple[Secret, str]:
        with self._store.write() as tx:
            key = tx.meta("api_key")
            if key is None:
                key = f"napi_local{secrets.token_urlsafe(24)}"
                tx.set_meta("api_key", key)
            project_id = tx.meta("first_project")
            kept = [p.id for p in tx.all(ProjectRow, "state <> 'deleting'")]
            if project_id is not None and project_id not in kept:
                project_id = kept[0] if kept else None  # somebody deleted it
        if project_id is None:
            changed = service.create_project("local", sample=self._core.config.sample)
            assert changed.project is not None
            service.submit(changed).result()
            with self._store.write() as tx:
                project = tx.one(ProjectRow, "id = ?", changed.project.id)
                if project is not None:
                    tx.set_meta("first_project", project.id)
            if project is None:
                failed = service.operation(changed.project.id, changed.operations[0].id)
                last = service.operation(changed.project.id, changed.operations[-1].id)
                raise ConfigError(f"The first project could not be made: {failed.error or last.error}")
            project_id = project.id
        return Secret(key), project_id

    def close(self) -> None:
        """End the jobs and threads; the last process to close stops the clusters."""
        self._stack.close()
