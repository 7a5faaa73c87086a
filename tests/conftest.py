"""Real Postgres for every test: one local control plane for the session, branches through its API, and scratch databases.

A plane that cannot be opened fails the run; nothing is skipped for lack of Postgres.
"""

import atexit
import functools
import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import httpx
import psycopg
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from psycopg import sql
from psycopg.conninfo import make_conninfo

from neon_branch_mcp.config import Config, LocalConfig, NeonContext
from neon_branch_mcp.local.binaries import find_binaries
from neon_branch_mcp.local.clone import make_template
from neon_branch_mcp.local.cluster import Cluster
from neon_branch_mcp.local.files import copy_tree
from neon_branch_mcp.local.places import open_places, reachable
from neon_branch_mcp.local.plane import BASE_URL, LocalPlane, open_plane
from tests.schema_samples import SHOP

ENDED = ("finished", "skipped", "failed", "error", "cancelled")
BIN_DIR = os.environ.get("TEST_BIN_DIR")
"""Another Postgres to run the local control plane's tests with, of any version that is supported."""
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


def _fast_folder() -> Path | None:
    """Memory where there is enough of it: a branch is a thousand small files, and some disks are slow at those."""
    memory = Path("/dev/shm")
    with suppress(OSError):
        if shutil.disk_usage(memory).free > 4 << 30 and os.access(memory, os.W_OK):
            return memory
    return None


@contextmanager
def data_folder() -> Iterator[Path]:
    """A data directory that the servers' user can reach, removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="nbm-test-", dir=_fast_folder()))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@functools.cache
def _template() -> Path:
    """What initdb makes, made once in this process: it takes longer than all else that opening a new data directory does."""
    stack = ExitStack()
    atexit.register(stack.close)
    places = open_places(stack.enter_context(data_folder()))
    stack.callback(shutil.rmtree, places.sockets)
    return make_template(places, reachable(find_binaries(local_config(places.data_dir).bin_dir), places.uid))


@contextmanager
def plane_folder() -> Iterator[Path]:
    """A data directory for a control plane, with the template of its clusters."""
    with data_folder() as folder:
        copy_tree(_template(), folder / _template().name, uid=_template().stat().st_uid if os.geteuid() == 0 else None)
        yield folder


def local_config(folder: Path, **settings: Any) -> LocalConfig:
    """Settings of a control plane in this folder, with the Postgres that is to be tested."""
    return LocalConfig(data_dir=folder, bin_dir=Path(BIN_DIR) if BIN_DIR else None, **settings)


@pytest.fixture(scope="session")
def portal() -> Iterator[BlockingPortal]:
    """An event loop in a thread, for fixtures and tests that are not async themselves."""
    with start_blocking_portal() as running:
        yield running


@pytest.fixture(scope="session")
def plane(portal: BlockingPortal) -> Iterator[LocalPlane]:
    """A control plane with the sample shop on its default branch `main`. Do not change the default branch: others read it."""
    with plane_folder() as folder, ExitStack() as stack:
        # Never put to sleep: what a superuser does over the socket is no connection that counts.
        config = local_config(folder, suspend_after=0)
        opened = stack.enter_context(portal.wrap_async_context_manager(open_plane(config)))
        stack.callback(shutil.rmtree, opened.service.core.places.sockets, ignore_errors=True)
        yield opened


def plane_config(plane: LocalPlane, **sections: Any) -> Config:
    """A server's settings over the plane, in its first project: other tests make projects of their own. No audit unless asked for."""
    local = {"enabled": True, "data_dir": plane.data_dir}
    settings = Config.model_validate({"local": local, "audit": {"enabled": False}, **sections})
    return settings.model_copy(update={"context": NeonContext(plane.project_id, None, None)})


def api_client(plane: LocalPlane) -> httpx.AsyncClient:
    """An HTTP client with the plane's key, for tests that speak the API themselves."""
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app=plane.app),
        base_url=BASE_URL,
        headers={"authorization": f"Bearer {plane.api_key.reveal()}"},
        timeout=60,
    )


@dataclass(frozen=True)
class PlaneApi:
    """The API of a plane for tests that are not async; a change returns once its operations have finished."""

    plane: LocalPlane
    portal: BlockingPortal

    @property
    def project(self) -> str:
        return f"/projects/{self.plane.project_id}"

    def request(self, method: str, path: str, **kwargs: Any) -> httpx.Response:
        """One call; `path` as in `/projects/…`."""

        async def send() -> httpx.Response:
            async with api_client(self.plane) as client:
                return await client.request(method, path, **kwargs)

        return self.portal.call(send)

    def __call__(self, method: str, path: str, **kwargs: Any) -> Any:
        """One call that has to succeed; a busy project is waited for."""
        for _ in range(2000):
            answer = self.request(method, path, **kwargs)
            if answer.status_code != 423:
                break
            self.portal.call(_pause)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        body = answer.json()
        for operation in body.get("operations", []) if method != "GET" else []:
            self.wait(operation)
        return body

    def wait(self, operation: Any, expect: str = "finished") -> None:
        """Return when the operation ended as expected."""
        path = f"/projects/{operation['project_id']}/operations/{operation['id']}"
        for _ in range(6000):
            now = self.request("GET", path).json()["operation"]
            if now["status"] in ENDED:
                assert now["status"] == expect, now
                return
            self.portal.call(_pause)
        raise AssertionError(f"{operation} did not end")

    def create_branch(self, name: str, **branch: Any) -> Any:
        """The new branch's object."""
        body = {"branch": {"name": name, **branch}, "endpoints": [{"type": "read_write"}]}
        return self("POST", f"{self.project}/branches", json=body)["branch"]

    def uri(self, branch_id: str, database: str = "shop", role: str = "shop_owner") -> str:
        """The connection string that the API hands out."""
        query = {"branch_id": branch_id, "database_name": database, "role_name": role}
        return str(self("GET", f"{self.project}/connection_uri", params=query)["uri"])


async def _pause() -> None:
    await anyio.sleep(0.01)


@pytest.fixture(scope="session")
def api(plane: LocalPlane, portal: BlockingPortal) -> PlaneApi:
    """The session's plane over its API."""
    return PlaneApi(plane, portal)


@contextmanager
def other_plane(portal: BlockingPortal, **settings: Any) -> Iterator[PlaneApi]:
    """A plane of a test's own, with settings of its own."""
    with (
        data_folder() as folder,
        portal.wrap_async_context_manager(open_plane(local_config(folder, **settings))) as plane,
    ):
        yield PlaneApi(plane, portal)


@dataclass(frozen=True)
class MadeBranch:
    id: str
    name: str
    uri: str


@pytest.fixture
def make_branch(api: PlaneApi) -> Iterator[Callable[..., MadeBranch]]:
    """Makes branches of `main` through the API (`make_branch()`, `make_branch("name", expires_at=…)`); they are deleted at the end.

    `uri` logs in as the owner, who is no superuser.
    """
    made: list[str] = []

    def make(name: str | None = None, **branch: Any) -> MadeBranch:
        found = api.create_branch(name or f"test-{next(_numbers)}", **branch)
        made.append(found["id"])
        return MadeBranch(found["id"], found["name"], api.uri(found["id"]))

    yield make
    for branch_id in made:
        if api.request("GET", f"{api.project}/branches/{branch_id}").is_success:
            api("DELETE", f"{api.project}/branches/{branch_id}")


@pytest.fixture
def branch(make_branch: Callable[..., MadeBranch]) -> MadeBranch:
    """A branch of `main`, for this test alone."""
    return make_branch()


@dataclass(frozen=True)
class Scratch:
    """A branch for scratch databases, and the superuser's way into its cluster."""

    branch_id: str
    uri: str
    cluster: Cluster

    def superuser_uri(self, database: str) -> str:
        running = self.cluster.running()
        assert running is not None
        return make_conninfo(
            host=str(self.cluster.places.sockets), port=running.port, user="cloud_admin", dbname=database
        )


@pytest.fixture(scope="session")
def scratch(api: PlaneApi) -> Scratch:
    made = api.create_branch("scratch")
    core = api.plane.service.core
    return Scratch(made["id"], api.uri(made["id"]), core.cluster_of(core.branch(made["id"])))


@pytest.fixture
def database_uri(scratch: Scratch) -> Iterator[str]:
    """A fresh, empty database, as its owner, who is no superuser; dropped at the end."""
    name = f"scratch_{next(_numbers)}"
    admin = scratch.superuser_uri("postgres")
    with psycopg.connect(admin, autocommit=True) as conn:
        conn.execute(sql.SQL("CREATE DATABASE {} OWNER shop_owner").format(sql.Identifier(name)))
    yield scratch.uri.replace("/shop?", f"/{name}?")
    with psycopg.connect(admin, autocommit=True) as conn:
        conn.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def superuser_uri(database_uri: str, scratch: Scratch) -> str:
    """The same fresh database as `database_uri`, as superuser (libpq key=value form, over a unix socket)."""
    return scratch.superuser_uri(str(psycopg.conninfo.conninfo_to_dict(database_uri)["dbname"]))


@pytest.fixture(scope="module")
def shop_uri(scratch: Scratch) -> str:
    """A database with the schema of `schema_samples.SHOP`, for tests that leave it as it is."""
    name = f"scratch_{next(_numbers)}"
    with psycopg.connect(scratch.superuser_uri("postgres"), autocommit=True) as conn:
        conn.execute(sql.SQL("CREATE DATABASE {} OWNER shop_owner").format(sql.Identifier(name)))
    uri = scratch.uri.replace("/shop?", f"/{name}?")
    with psycopg.connect(uri) as conn:
        conn.execute(SHOP)
    return uri
