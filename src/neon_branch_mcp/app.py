"""The composition root: settings become a running application, opened piece by piece as calls need them."""

import logging
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import httpx

from . import __version__
from .audit import Audit
from .config import Config, Secret
from .errors import ConfigError, NeonBranchError, NotPermitted
from .guard.guard import Guard
from .guard.policy import two_statements
from .guard.statements_process import Spawned
from .neon.branches import Branches
from .neon.client import Identity, NeonClient
from .postgres.executor import Executor
from .postgres.sessions import Way
from .postgres.target import Target

if TYPE_CHECKING:
    from .local.plane import LocalPlane

log = logging.getLogger(__name__)

LOCAL_BASE_URL = "http://local.invalid/api/v2"
NO_KEY = (
    "No Neon API key. Set NEON_API_KEY (or --api-key-file) to work on your Neon project, or start with --local for real Postgres "
    "branches on this machine without an account."
)


@dataclass(frozen=True)
class Caller:
    """Who calls: a client and its session, and what it may do here.

    `identity` keeps callers apart: caches, pools and limits are keyed by it, and it reveals no secret. `credential` is the caller's own
    Neon key; None stands for the configured one. `tools` None means all of them.
    """

    identity: str = ""
    client: str = ""
    session: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
    credential: Secret | None = None
    name: str = ""
    project_id: str | None = None
    read_only: bool = False
    tools: frozenset[str] | None = None

    def check_tool(self, tool: str, *, writes: bool) -> None:
        """Raises NotPermitted when this caller may not use `tool`."""
        if self.tools is not None and tool not in self.tools:
            raise NotPermitted(f"This session may not use {tool}; it may use {', '.join(sorted(self.tools))}.")
        if self.read_only and writes:
            raise NotPermitted(f"This session is read-only and {tool} is not; ask the operator for one that may write.")


@dataclass(frozen=True)
class Workspace:
    """One caller's view of Neon. `owner` is the caller's identity: caches and pools are keyed by it."""

    client: NeonClient
    branches: Branches
    owner: str


@dataclass(frozen=True)
class Stats:
    """What an application has done and holds open."""

    api_requests: Mapping[str, int]
    api_retries: int
    workspaces: int


IDLE = 1800.0
"""Seconds without a call until a caller's workspace is closed."""
IDENTIFY_BUDGET = 5.0
"""Seconds to go on asking whose key it is: somebody waits at the door."""


class App:
    """Everything that calls share. `workspace()` opens the backend at first need, so that a server answers its first requests at once.

    Use it through `open_app`, which closes what was opened.
    """

    def __init__(self, config: Config, stack: AsyncExitStack, spawned: Spawned | None = None) -> None:
        self.config = config
        self.executor = Executor(config.sql, self._way)
        self.guard = Guard(config.policy, spawned=spawned)
        self.audit = Audit(config.audit)
        self._stack = stack
        self._plane: LocalPlane | None = None
        self._workspaces: dict[str, Workspace] = {}
        self._used: dict[str, float] = {}
        self._past_requests: Counter[str] = Counter()
        self._past_retries = 0
        self._opening = anyio.Lock()
        self._tested: set[tuple[str, str]] = set()
        self.on_refused: Callable[[Caller], None] = lambda _: None
        """Called with a caller whose login was refused, by Neon or by Postgres: a transport may then look at it again."""

    async def plane(self) -> "LocalPlane | None":
        """The local control plane, opened at first need; None when working with the cloud."""
        if not self.config.local.enabled:
            return None
        async with self._opening:
            return await self._open_plane()

    async def workspace(self, caller: Caller) -> Workspace:
        """The caller's view of Neon. Raises ConfigError when there is no key."""
        owner = caller.identity
        if owner not in self._workspaces:
            async with self._opening:
                if owner not in self._workspaces:
                    await self._close_idle()
                    client = await self._client(caller.credential, self.config.neon.retry_budget)
                    branches = Branches(client, self.config, session=caller.session)
                    self._workspaces[owner] = Workspace(client, branches, owner)
        self._used[owner] = time.monotonic()
        return self._workspaces[owner]

    async def identify(self, credential: Secret | None) -> Identity:
        """Whose key it is; None stands for the configured one. Raises AuthError for one that Neon does not take."""
        async with self._opening:
            client = await self._client(credential, IDENTIFY_BUDGET)
        try:
            return await client.auth()
        finally:
            await client.aclose()

    def stats(self) -> Stats:
        """What was done so far, and what is open."""
        requests, retries = Counter(self._past_requests), self._past_retries
        for workspace in self._workspaces.values():
            requests += workspace.client.calls
            retries += workspace.client.retries
        return Stats(requests, retries, len(self._workspaces))

    async def close(self) -> None:
        """Closes what callers opened."""
        for owner in list(self._workspaces):
            await self._close_workspace(owner)

    async def _close_idle(self) -> None:
        """Callers come and go: those that went are forgotten, long after their last call can have ended."""
        oldest = time.monotonic() - max(IDLE, 2 * self.config.sql.call_timeout)
        for owner in [o for o, used in self._used.items() if used < oldest]:
            await self._close_workspace(owner)

    async def _close_workspace(self, owner: str) -> None:
        self._used.pop(owner, None)
        client = self._workspaces.pop(owner).client
        self._past_requests += client.calls
        self._past_retries += client.retries
        await client.aclose()

    async def warm_up(self) -> None:
        """Starts what the first statement would else wait for; what fails here is said by the call that needs it."""
        try:
            await self.guard.warm()
        except (NeonBranchError, OSError) as exc:
            log.warning("The guard's worker did not start: %s", exc)

    async def ensure_guarded(self, target: Target) -> None:
        """Raises ConfigError when the target's server takes two statements where the guard sends one; tested once per branch."""
        key = (target.owner, target.branch_id)
        if key not in self._tested:
            await self.executor.self_test(target, two_statements())
            self._tested.add(key)

    async def _way(self, login: Mapping[str, Any]) -> Way | None:
        """Straight to the cluster of a local branch: in this process nobody needs the relay, nor TLS over loopback."""
        if self._plane is None:
            return None
        try:
            direct = await anyio.to_thread.run_sync(self._plane.direct, int(login["port"]))
        except NeonBranchError:
            return None  # the relay says why, as it says it to everybody
        plain = {"sslmode": "disable", "channel_binding": "disable"}
        return None if direct is None else Way({"port": direct.port, **plain}, direct.closed)

    async def _open_plane(self) -> "LocalPlane":
        if self._plane is None:
            from .local.plane import (
                open_plane,  # a web server and psycopg's synchronous half: only --local waits for them
            )

            self._plane = await self._stack.enter_async_context(open_plane(self.config.local))
        return self._plane

    async def _client(self, credential: Secret | None, retry_budget: float) -> NeonClient:
        config = self.config
        base_url = config.neon.api_host
        transport: httpx.AsyncBaseTransport | None = None
        key = credential or config.api_key()
        if config.local.enabled:
            plane = await self._open_plane()
            base_url, key = LOCAL_BASE_URL, credential or plane.api_key
            transport = httpx.ASGITransport(app=plane.app)
        if key is None:
            raise ConfigError(NO_KEY)
        return NeonClient(
            base_url=base_url,
            api_key=key,
            transport=transport,
            timeout=config.neon.timeout,
            retry_budget=retry_budget,
            user_agent=f"neon-branch-mcp/{__version__}",
        )


@asynccontextmanager
async def open_app(config: Config, spawned: Spawned | None = None) -> AsyncIterator[App]:
    """An application that is closed in the reverse order of opening: sessions, worker, API clients, local clusters.

    `spawned`: a process for the guard that was started already.
    """
    async with AsyncExitStack() as stack:
        app = App(config, stack, spawned)
        try:
            yield app
        finally:
            with anyio.CancelScope(shield=True):
                await app.close()
                await app.executor.aclose()
                await app.guard.aclose()
