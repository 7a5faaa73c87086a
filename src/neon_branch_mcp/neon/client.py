"""The thin client of Neon's API v2: one method per call, typed answers, operations waited for.

Changes of a project must go one after the other (`serialised`); `Branches` does that. A change whose answer was lost raises
UnknownOutcome and is never sent again here: whoever asked knows how to look.
"""

import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote

import anyio
import httpx

from ..config import Secret
from ..errors import ApiError, ConfigError, NotFound, TimedOut, UnknownOutcome
from ..models import Branch, Database, Endpoint, Operation, Progress, Project, Role
from . import parse
from .api import Api, Query

T = TypeVar("T")
PAGE = 400
"""Entries asked for per page: the most that the project list allows."""
_ID = re.compile(r"[a-z0-9-]{1,60}\Z")


@dataclass(frozen=True)
class Identity:
    """Whose key it is; `auth_method` is `api_key_user`, `api_key_org`, …"""

    account_id: str
    auth_method: str


@dataclass(frozen=True)
class BranchRequest:
    """What a new branch should be, in the API's words."""

    name: str
    parent_id: str | None = None
    parent_lsn: str | None = None
    parent_timestamp: str | None = None
    init_source: str | None = None
    expires_at: str | None = None

    def body(self, annotations: Mapping[str, str]) -> dict[str, Any]:
        """The JSON of the request, with one read-write compute."""
        branch = {k: v for k, v in vars(self).items() if v is not None}
        return {"branch": branch, "endpoints": [{"type": "read_write"}], "annotation_value": dict(annotations)}


@dataclass(frozen=True)
class CreatedBranch:
    """A branch that was accepted; it is usable once all `operations` ended well."""

    branch: Branch
    endpoints: tuple[Endpoint, ...]
    databases: tuple[Database, ...]
    roles: tuple[Role, ...]
    operations: tuple[Operation, ...]


class NeonClient:
    """Neon's API with one key. Safe to share between tasks; close it with `aclose`."""

    def __init__(
        self,
        *,
        base_url: str,
        api_key: Secret,
        transport: httpx.AsyncBaseTransport | None = None,
        timeout: float = 30,
        retry_budget: float = 90,
        user_agent: str | None = None,
        pace: float = 1,
    ) -> None:
        """`pace` stretches or shrinks every pause between requests; a control plane on this machine needs shorter ones."""
        if not re.fullmatch(r"[!-~]+", api_key.reveal()):
            raise ConfigError("The Neon API key holds a space, a line break or a character outside ASCII; check it.")
        self._api = Api(
            base_url=base_url,
            api_key=api_key,
            transport=transport,
            timeout=timeout,
            retry_budget=retry_budget,
            user_agent=user_agent,
            pace=pace,
        )
        self.calls = self._api.calls
        self.pause = self._api.pause
        self._locks: dict[str, anyio.Lock] = {}

    @property
    def retries(self) -> int:
        """How many requests were sent again."""
        return self._api.retries

    async def aclose(self) -> None:
        """Closes the connections to the API."""
        await self._api.aclose()

    @asynccontextmanager
    async def serialised(self, project_id: str, progress: Progress | None = None) -> AsyncIterator[None]:
        """Holds the project's queue: one change and its operations at a time, as the API wants it."""
        lock = self._locks.setdefault(project_id, anyio.Lock())
        if lock.locked() and progress is not None:
            await progress("Waiting for another change of this project")
        async with lock:
            yield

    async def auth(self) -> Identity:
        """Whose key this is; works for every key."""
        return await self._api.call("GET", "/auth", _identity, what="Asking whose API key this is")

    async def organizations(self) -> list[str]:
        """Ids of the organizations the key's user belongs to."""
        what = "Listing organizations"
        return await self._api.call(
            "GET",
            "/users/me/organizations",
            lambda d: parse.items(d, "organizations", lambda o: parse.field(o, "id", str)),
            what=what,
        )

    async def list_projects(self, search: str | None = None, *, org_id: str | None = None) -> list[Project]:
        """Projects the key reaches. Raises OrgRequired for a personal key without `org_id`, ScopedKey for a project's key."""
        return await self._pages(
            "/projects",
            lambda d: parse.items(d, "projects", parse.project),
            "cursor",
            what="Listing projects",
            query={"search": search, "org_id": org_id},
        )

    async def get_project(self, project_id: str) -> Project:
        """One project."""
        return await self._get("/projects/{p}", lambda d: _inner(d, "project", parse.project), project_id, "project")

    async def list_branches(self, project_id: str, search: str | None = None) -> list[Branch]:
        """Branches of a project with their annotations."""
        return await self._pages(
            "/projects/{p}/branches",
            parse.branch_page,
            "next",
            what=f"Listing the branches of project {project_id}",
            ids={"p": _id(project_id, "project")},
            query={"search": search},
        )

    async def get_branch(self, project_id: str, branch_id: str) -> Branch:
        """One branch with its annotation, as it is now."""
        return await self._get("/projects/{p}/branches/{b}", _branch, project_id, "branch", branch_id)

    async def create_branch(
        self,
        project_id: str,
        request: BranchRequest,
        annotations: Mapping[str, str],
        progress: Progress | None = None,
    ) -> CreatedBranch:
        """Asks for a branch with a read-write compute."""
        return await self._change(
            "POST",
            "/projects/{p}/branches",
            _created,
            f"Creating branch {request.name!r}",
            {"p": _id(project_id, "project")},
            request.body(annotations),
            progress,
        )

    async def update_branch(
        self, project_id: str, branch_id: str, changes: Mapping[str, Any], progress: Progress | None = None
    ) -> list[Operation]:
        """Changes `name`, `protected` or `expires_at` (None clears it)."""
        return await self._change(
            "PATCH",
            "/projects/{p}/branches/{b}",
            parse.operations,
            f"Changing branch {branch_id}",
            _ids(project_id, branch_id),
            {"branch": dict(changes)},
            progress,
        )

    async def delete_branch(self, project_id: str, branch_id: str, progress: Progress | None = None) -> list[Operation]:
        """Deletes a branch; one that is gone already is as good. After a lost answer it looks, and deletes what is still there."""
        ids = _ids(project_id, branch_id)
        for attempt in range(3):
            try:
                return await self._change(
                    "DELETE", "/projects/{p}/branches/{b}", _left, f"Deleting branch {branch_id}", ids, None, progress
                )
            except NotFound:
                return []
            except UnknownOutcome:
                if await self._is_gone(project_id, branch_id):
                    return []
                if attempt == 2:
                    raise
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def _is_gone(self, project_id: str, branch_id: str) -> bool:
        try:
            await self.get_branch(project_id, branch_id)
        except NotFound:
            return True
        return False

    async def restore_branch(
        self, project_id: str, branch_id: str, source_branch_id: str, progress: Progress | None = None
    ) -> list[Operation]:
        """Asks for the branch to become what `source_branch_id` is now; with its parent as the source, that is a reset."""
        return await self._change(
            "POST",
            "/projects/{p}/branches/{b}/restore",
            parse.operations,
            f"Resetting branch {branch_id}",
            _ids(project_id, branch_id),
            {"source_branch_id": source_branch_id},
            progress,
        )

    async def list_endpoints(self, project_id: str, branch_id: str) -> list[Endpoint]:
        """Computes of a branch."""
        return await self._get(
            "/projects/{p}/branches/{b}/endpoints",
            lambda d: parse.items(d, "endpoints", parse.endpoint),
            project_id,
            "computes of branch",
            branch_id,
        )

    async def list_project_endpoints(self, project_id: str) -> list[Endpoint]:
        """Computes of all branches of a project."""
        return await self._get(
            "/projects/{p}/endpoints",
            lambda d: parse.items(d, "endpoints", parse.endpoint),
            project_id,
            "computes of project",
            project_id,
        )

    async def list_databases(self, project_id: str, branch_id: str) -> list[Database]:
        """Databases of a branch."""
        return await self._get(
            "/projects/{p}/branches/{b}/databases",
            lambda d: parse.items(d, "databases", parse.database),
            project_id,
            "databases of branch",
            branch_id,
        )

    async def list_roles(self, project_id: str, branch_id: str) -> list[Role]:
        """Roles of a branch."""
        return await self._get(
            "/projects/{p}/branches/{b}/roles",
            lambda d: parse.items(d, "roles", parse.role),
            project_id,
            "roles of branch",
            branch_id,
        )

    async def list_operations(self, project_id: str) -> list[Operation]:
        """The project's newest operations, one page of them."""
        return await self._api.call(
            "GET",
            "/projects/{p}/operations",
            parse.operations,
            what=f"Listing the operations of project {project_id}",
            ids={"p": _id(project_id, "project")},
            query={"limit": 100},
        )

    async def reset_role_password(
        self, project_id: str, branch_id: str, role: str, progress: Progress | None = None
    ) -> tuple[Secret, list[Operation]]:
        """Gives the role a new password on this branch only, and ends its connections."""
        return await self._change(
            "POST",
            "/projects/{p}/branches/{b}/roles/{r}/reset_password",
            _password,
            f"Giving branch {branch_id} its own password",
            {**_ids(project_id, branch_id), "r": quote(role, safe="")},
            None,
            progress,
        )

    async def connection_uri(
        self, project_id: str, *, branch_id: str, database: str, role: str, pooled: bool
    ) -> Secret:
        """The connection URI of a database of a branch, password included where the project stores it."""
        return await self._api.call(
            "GET",
            "/projects/{p}/connection_uri",
            lambda d: Secret(parse.field(d, "uri", str)),
            what=f"Asking how to connect to database {database!r} of branch {branch_id}",
            ids={"p": _id(project_id, "project")},
            query={
                "branch_id": _id(branch_id, "branch"),
                "database_name": database,
                "role_name": role,
                "pooled": pooled,
            },
        )

    async def wait(
        self,
        operations: Sequence[Operation],
        *,
        progress: Progress | None = None,
        deadline: float | None = None,
    ) -> None:
        """Returns once all operations ended well. `deadline` is in the time of `anyio.current_time()`.

        Raises ApiError when one ended badly, TimedOut when the deadline passes first.
        """
        for operation in operations:
            pause, current = 0.1, operation
            while not current.ended_well:
                if current.ended_badly:
                    raise _failed(current)
                if deadline is not None and anyio.current_time() + pause * self._api.pace > deadline:
                    raise TimedOut(f"Neon's operation {current.action} is still {current.status}.")
                if progress is not None:
                    await progress(f"Neon: {current.action.replace('_', ' ')}")
                await self.pause(pause)
                pause = min(pause * 1.5, 1.0)
                current = await self._operation(current)

    async def _operation(self, operation: Operation) -> Operation:
        return await self._api.call(
            "GET",
            "/projects/{p}/operations/{o}",
            lambda d: _inner(d, "operation", parse.operation),
            what=f"Waiting for Neon's operation {operation.action}",
            ids={"p": _id(operation.project_id, "project"), "o": _id(operation.id, "operation")},
        )

    async def _get(
        self, route: str, read: Callable[[Any], T], project_id: str, what: str, branch_id: str | None = None
    ) -> T:
        ids = {"p": _id(project_id, "project")} if branch_id is None else _ids(project_id, branch_id)
        return await self._api.call("GET", route, read, what=f"Reading {what} {branch_id or project_id}", ids=ids)

    async def _change(
        self,
        method: str,
        route: str,
        read: Callable[[Any], T],
        what: str,
        ids: Mapping[str, str],
        body: Any,
        progress: Progress | None,
    ) -> T:
        return await self._api.call(method, route, read, what=what, ids=ids, body=body, progress=progress)

    async def _pages(
        self,
        route: str,
        read: Callable[[Any], list[T]],
        next_key: str,
        *,
        what: str,
        ids: Mapping[str, str] | None = None,
        query: Query,
    ) -> list[T]:
        """All pages. Both of the API's styles may name a next page after the last one: an empty page ends it."""
        found: list[T] = []
        cursor: str | None = None
        while True:
            page, following = await self._api.call(
                "GET",
                route,
                lambda d: (read(d), _cursor(d, next_key)),
                what=what,
                ids=ids,
                query={**query, "limit": PAGE, "cursor": cursor},
            )
            found += page
            if not page or following is None or following == cursor:
                return found
            cursor = following


def _id(value: str, kind: str) -> str:
    """`value` if it can be an identifier of the API; what comes from a caller must not reach into another path."""
    if not _ID.match(value):
        raise NotFound(f"{value[:80]!r} is not the id of a {kind}: ids are lower-case letters, digits and hyphens.")
    return value


def _ids(project_id: str, branch_id: str) -> dict[str, str]:
    return {"p": _id(project_id, "project"), "b": _id(branch_id, "branch")}


def _inner(data: Any, key: str, read: Callable[[Any], T]) -> T:
    return read(parse.field(data, key, dict))


def _cursor(data: Any, key: str) -> str | None:
    pagination = data.get("pagination") if isinstance(data, dict) else None
    return parse.optional(pagination, key, str) if isinstance(pagination, dict) else None


def _identity(data: Any) -> Identity:
    return Identity(parse.field(data, "account_id", str), parse.field(data, "auth_method", str))


def _branch(data: Any) -> Branch:
    return parse.branch(parse.field(data, "branch", dict), data.get("annotation"))


def _created(data: Any) -> CreatedBranch:
    return CreatedBranch(
        branch=parse.branch(parse.field(data, "branch", dict)),
        endpoints=tuple(parse.items(data, "endpoints", parse.endpoint)),
        databases=tuple(parse.items(data, "databases", parse.database)),
        roles=tuple(parse.items(data, "roles", parse.role)),
        operations=tuple(parse.operations(data)),
    )


def _left(data: Any) -> list[Operation]:
    """A deletion answers 200 with operations, or 204 with nothing."""
    return [] if data is None else parse.operations(data)


def _password(data: Any) -> tuple[Secret, list[Operation]]:
    return Secret(parse.field(parse.field(data, "role", dict), "password", str)), parse.operations(data)


def _failed(operation: Operation) -> ApiError:
    reason = f": {operation.error}" if operation.error else ""
    return ApiError(
        f"Neon's operation {operation.action} ended as {operation.status}{reason}.",
        status=200,
        api_code=operation.status,
    )
