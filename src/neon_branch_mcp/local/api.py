"""The routes of Neon's API v2 that are served here: parse, call the service in a thread, serialise."""

import hmac
import json
import uuid
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any, ParamSpec, TypeVar

import anyio.to_thread
import psycopg
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

from ..config import Secret
from ..errors import NeonBranchError
from . import objects
from .objects import Json
from .problems import Problem
from .service import Changed, NewBranch, Service
from .store import BranchRow, EndpointRow

P = ParamSpec("P")
T = TypeVar("T")
Handler = Callable[["Call"], Awaitable[Response]]


async def blocking(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run what blocks in a thread, and to its end: a change must not be left half noticed."""
    return await anyio.to_thread.run_sync(partial(function, *args, **kwargs))


class Call:
    """One request with its parsed parts."""

    def __init__(self, request: Request, service: Service, body: Json) -> None:
        self.service = service
        self.query = request.query_params
        self.path: Mapping[str, str] = request.path_params
        self.body = body

    @property
    def project_id(self) -> str:
        return self.path["project_id"]

    @property
    def branch_id(self) -> str:
        return self.path["branch_id"]

    def required(self, name: str) -> str:
        """A query parameter that must be there."""
        value = self.query.get(name)
        if not value:
            raise Problem(400, f"{name} is required")
        return value

    def part(self, name: str) -> Json:
        """An object inside the body; empty when it was left out."""
        value = self.body.get(name) or {}
        if not isinstance(value, dict):
            raise Problem(400, f"{name} should be an object")
        return value


def parse_time(text: Any, name: str) -> float:
    """RFC 3339 → seconds since the epoch."""
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        raise Problem(400, f"{name} should be a time as in 2026-01-31T12:00:00Z") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def answer(data: Json, status: int = 200) -> Response:
    return JSONResponse(data, status_code=status)


async def auth(call: Call) -> Response:
    return answer({"account_id": objects.OWNER_ID, "auth_method": "api_key_user", "auth_data": objects.OWNER_ID})


async def list_projects(call: Call) -> Response:
    rows = await blocking(call.service.projects)
    search = call.query.get("search", "")
    shown = [objects.project(r) for r in rows if search in r.name or search in r.id]
    if call.query.get("cursor"):
        shown = []
    cursor = {"cursor": shown[-1]["id"]} if shown else {}
    return answer({"projects": shown, "applications": {}, "integrations": {}, "pagination": cursor})


async def get_project(call: Call) -> Response:
    return answer({"project": objects.project(await blocking(call.service.project, call.project_id))})


async def create_project(call: Call) -> Response:
    asked = call.part("project")
    branch = asked.get("branch") or {}
    changed = await blocking(
        call.service.create_project,
        str(asked.get("name") or "project"),
        branch=str(branch.get("name") or "main"),
        role=branch.get("role_name"),
        database=branch.get("database_name"),
    )
    call.service.submit(changed)
    assert changed.project is not None
    assert changed.branch is not None
    database = branch.get("database_name") or "neondb"
    uri = call.service.uri(changed.endpoints[0], database, changed.roles[0])
    created = objects.timestamp(changed.branch.created_at)
    return answer(
        {
            "project": objects.project(changed.project),
            "branch": objects.branch(changed.branch),
            "endpoints": [objects.endpoint(e, active=False) for e in changed.endpoints],
            "roles": [objects.role(r, reveal=True) for r in changed.roles],
            "databases": [
                {
                    "id": 1,
                    "branch_id": changed.branch.id,
                    "name": database,
                    "owner_name": changed.roles[0].name,
                    "created_at": created,
                    "updated_at": created,
                }
            ],
            "connection_uris": [_connection_details(uri, changed.endpoints[0], database, changed)],
            "operations": [objects.operation(o) for o in changed.operations],
        },
        201,
    )


def _connection_details(uri: str, endpoint: EndpointRow, database: str, changed: Changed) -> Json:
    host = f"127.0.0.1:{endpoint.port}"
    return {
        "connection_uri": uri,
        "connection_parameters": {
            "database": database,
            "role": changed.roles[0].name,
            "password": changed.roles[0].password,
            "host": host,
            "pooler_host": host,
        },
    }


async def delete_project(call: Call) -> Response:
    changed = await blocking(call.service.delete_project, call.project_id)
    call.service.submit(changed)
    assert changed.project is not None
    return answer({"project": objects.project(changed.project)})


async def list_branches(call: Call) -> Response:
    rows = await blocking(call.service.branches, call.project_id)
    search = call.query.get("search", "")
    rows = [r for r in rows if search in r.name or search in r.id]
    if call.query.get("cursor"):
        rows = []
    return answer(
        {
            "branches": [objects.branch(r) for r in rows],
            "annotations": {r.id: objects.annotation(r) for r in rows if r.annotation},
            "pagination": {"next": rows[-1].id, "sort_by": "created_at", "sort_order": "ASC"} if rows else {},
        }
    )


async def get_branch(call: Call) -> Response:
    row = await blocking(call.service.branch, call.project_id, call.branch_id)
    return answer({"branch": objects.branch(row), "annotation": objects.annotation(row)})


async def create_branch(call: Call) -> Response:
    asked, endpoints = call.part("branch"), call.body.get("endpoints") or []
    wanted = NewBranch(
        name=asked.get("name"),
        parent_id=asked.get("parent_id"),
        parent_lsn=asked.get("parent_lsn"),
        parent_timestamp=parse_time(asked["parent_timestamp"], "parent_timestamp")
        if asked.get("parent_timestamp")
        else None,
        protected=bool(asked.get("protected")),
        init_source=asked.get("init_source") or "parent-data",
        expires_at=parse_time(asked["expires_at"], "expires_at") if asked.get("expires_at") else None,
        compute=bool(endpoints),
        compute_settings=endpoints[0] if endpoints else None,
        annotation=call.part("annotation_value"),
    )
    changed = await blocking(call.service.create_branch, call.project_id, wanted)
    parent_id = (
        (await blocking(call.service.branch, call.project_id, wanted.parent_id)).id if wanted.parent_id else None
    )
    source = parent_id or next(b.id for b in await blocking(call.service.branches, call.project_id) if b.is_default)
    databases = await blocking(call.service.databases, call.project_id, source)
    call.service.submit(changed)
    assert changed.branch is not None
    uris = [
        _connection_details(call.service.uri(e, d.name, changed.roles[0]), e, d.name, changed)
        for e in changed.endpoints
        for d in databases[:1]
        if changed.roles
    ]
    return answer(
        {
            "branch": objects.branch(changed.branch),
            "endpoints": [objects.endpoint(e, active=False) for e in changed.endpoints],
            "databases": [objects.database(d, changed.branch) for d in databases],
            "roles": [objects.role(r) for r in changed.roles],
            "operations": [objects.operation(o) for o in changed.operations],
            **({"connection_uris": uris} if uris else {}),
        },
        201,
    )


def _branch_answer(changed: Changed) -> Response:
    assert changed.branch is not None
    return answer(
        {
            "branch": objects.branch(changed.branch),
            "operations": [objects.operation(o) for o in changed.operations],
        }
    )


async def update_branch(call: Call) -> Response:
    asked = call.part("branch")
    columns: Json = {}
    if asked.get("name") is not None:
        columns["name"] = str(asked["name"])
    if asked.get("protected") is not None:
        columns["is_protected"] = bool(asked["protected"])
    if "expires_at" in asked:
        until = None if asked["expires_at"] is None else parse_time(asked["expires_at"], "expires_at")
        seconds = None if until is None else max(1, round(until - datetime.now(UTC).timestamp()))
        columns |= {"expires_at": until, "ttl_seconds": seconds}
    return _branch_answer(await blocking(call.service.update_branch, call.project_id, call.branch_id, columns))


async def delete_branch(call: Call) -> Response:
    changed = await blocking(call.service.delete_branch, call.project_id, call.branch_id)
    call.service.submit(changed)
    return _branch_answer(changed)


async def restore_branch(call: Call) -> Response:
    source = call.body.get("source_branch_id")
    if not source:
        raise Problem(400, "source_branch_id is required")
    changed = await blocking(
        call.service.restore_branch,
        call.project_id,
        call.branch_id,
        str(source),
        preserve_under_name=call.body.get("preserve_under_name"),
    )
    call.service.submit(changed)
    return _branch_answer(changed)


async def set_as_default(call: Call) -> Response:
    return _branch_answer(await blocking(call.service.set_default, call.project_id, call.branch_id))


async def _endpoint(call: Call, row: EndpointRow) -> Json:
    return objects.endpoint(row, active=await blocking(call.service.is_active, row))


async def list_endpoints(call: Call) -> Response:
    rows = await blocking(call.service.endpoints, call.project_id, call.path.get("branch_id"))
    return answer({"endpoints": [await _endpoint(call, r) for r in rows]})


async def get_endpoint(call: Call) -> Response:
    row = await blocking(call.service.endpoint, call.project_id, call.path["endpoint_id"])
    return answer({"endpoint": await _endpoint(call, row)})


async def create_endpoint(call: Call) -> Response:
    asked = call.part("endpoint")
    changed = await blocking(call.service.create_endpoint, call.project_id, str(asked.get("branch_id")), asked)
    call.service.submit(changed)
    return answer(
        {
            "endpoint": objects.endpoint(changed.endpoints[0], active=False),
            "operations": [objects.operation(o) for o in changed.operations],
        },
        201,
    )


async def compute(call: Call) -> Response:
    kind = call.path["action"]
    if kind not in ("start", "suspend", "restart"):
        raise Problem(404, "not found")
    changed = await blocking(
        call.service.compute,
        call.project_id,
        call.path["endpoint_id"],
        "suspend_compute" if kind == "suspend" else "start_compute",
    )
    call.service.submit(changed)
    return answer(
        {
            "endpoint": await _endpoint(call, changed.endpoints[0]),
            "operations": [objects.operation(o) for o in changed.operations],
        }
    )


async def list_databases(call: Call) -> Response:
    of: BranchRow = await blocking(call.service.branch, call.project_id, call.branch_id)
    rows = await blocking(call.service.databases, call.project_id, call.branch_id)
    return answer({"databases": [objects.database(r, of) for r in rows]})


async def create_database(call: Call) -> Response:
    asked = call.part("database")
    of: BranchRow = await blocking(call.service.branch, call.project_id, call.branch_id)
    row = await blocking(
        call.service.create_database, call.project_id, call.branch_id, str(asked["name"]), str(asked["owner_name"])
    )
    return answer({"database": objects.database(row, of), "operations": []}, 201)


async def list_roles(call: Call) -> Response:
    rows = await blocking(call.service.roles, call.project_id, call.branch_id)
    return answer({"roles": [objects.role(r) for r in rows]})


async def create_role(call: Call) -> Response:
    name = str(call.part("role")["name"])
    row = await blocking(call.service.create_role, call.project_id, call.branch_id, name)
    return answer({"role": objects.role(row, reveal=True), "operations": []}, 201)


async def reveal_password(call: Call) -> Response:
    row = await blocking(call.service.role, call.project_id, call.branch_id, call.path["role"])
    if row.password is None:
        raise Problem(412, "the role's password is not stored")
    return answer({"password": row.password})


async def reset_password(call: Call) -> Response:
    changed = await blocking(call.service.reset_password, call.project_id, call.branch_id, call.path["role"])
    call.service.submit(changed)
    assert changed.role is not None
    return answer(
        {
            "role": objects.role(changed.role, reveal=True),
            "operations": [objects.operation(o) for o in changed.operations],
        }
    )


async def connection_uri(call: Call) -> Response:
    uri = await blocking(
        call.service.connection_uri,
        call.project_id,
        call.required("database_name"),
        call.required("role_name"),
        branch_id=call.query.get("branch_id"),
        endpoint_id=call.query.get("endpoint_id"),
    )
    return answer({"uri": uri})


async def list_operations(call: Call) -> Response:
    rows = await blocking(call.service.operations, call.project_id)
    if call.query.get("cursor"):
        rows = []
    return answer(
        {
            "operations": [objects.operation(r) for r in rows],
            "pagination": {"cursor": rows[-1].id} if rows else {},
        }
    )


async def get_operation(call: Call) -> Response:
    row = await blocking(call.service.operation, call.project_id, call.path["operation_id"])
    return answer({"operation": objects.operation(row)})


PROJECT = "/projects/{project_id}"
BRANCH = PROJECT + "/branches/{branch_id}"
ROUTES: tuple[tuple[str, str, Handler], ...] = (
    ("GET", "/auth", auth),
    ("GET", "/projects", list_projects),
    ("POST", "/projects", create_project),
    ("GET", PROJECT, get_project),
    ("DELETE", PROJECT, delete_project),
    ("GET", PROJECT + "/branches", list_branches),
    ("POST", PROJECT + "/branches", create_branch),
    ("GET", BRANCH, get_branch),
    ("PATCH", BRANCH, update_branch),
    ("DELETE", BRANCH, delete_branch),
    ("POST", BRANCH + "/restore", restore_branch),
    ("POST", BRANCH + "/set_as_default", set_as_default),
    ("GET", BRANCH + "/endpoints", list_endpoints),
    ("GET", BRANCH + "/databases", list_databases),
    ("POST", BRANCH + "/databases", create_database),
    ("GET", BRANCH + "/roles", list_roles),
    ("POST", BRANCH + "/roles", create_role),
    ("GET", BRANCH + "/roles/{role}/reveal_password", reveal_password),
    ("POST", BRANCH + "/roles/{role}/reset_password", reset_password),
    ("GET", PROJECT + "/endpoints", list_endpoints),
    ("POST", PROJECT + "/endpoints", create_endpoint),
    ("GET", PROJECT + "/endpoints/{endpoint_id}", get_endpoint),
    ("POST", PROJECT + "/endpoints/{endpoint_id}/{action}", compute),
    ("GET", PROJECT + "/connection_uri", connection_uri),
    ("GET", PROJECT + "/operations", list_operations),
    ("GET", PROJECT + "/operations/{operation_id}", get_operation),
)


def build_app(service: Service, api_key: Secret) -> Starlette:
    """The API under /api/v2, for whoever holds the key."""

    def route(method: str, path: str, handler: Handler) -> Route:
        async def run(request: Request) -> Response:
            return await _guarded(request, service, api_key, handler)

        return Route(path, run, methods=[method])

    routes = [route(*r) for r in ROUTES]
    return Starlette(routes=[Mount("/api/v2", routes=routes)], exception_handlers={HTTPException: _http_exception})


async def _guarded(request: Request, service: Service, api_key: Secret, handler: Handler) -> Response:
    given = request.headers.get("authorization", "").removeprefix("Bearer ")
    if not hmac.compare_digest(given.encode(), api_key.reveal().encode()):
        return problem(401, "authorization failed: the API key is missing or wrong")
    try:
        body = json.loads(await request.body() or b"{}")
        if not isinstance(body, dict):
            raise Problem(400, "the body should be a JSON object")
        return await handler(Call(request, service, body))
    except ValueError:
        return problem(400, "the body is not JSON")
    except Problem as exc:
        return problem(exc.status, exc.message, exc.api_code)
    except (NeonBranchError, psycopg.Error) as exc:
        return problem(500, str(exc))


def problem(status: int, message: str, code: str = "") -> Response:
    """An error body of Neon's."""
    request_id = str(uuid.uuid4())
    return JSONResponse(
        {"request_id": request_id, "code": code, "message": message},
        status_code=status,
        headers={"x-neon-ret-request-id": request_id},
    )


async def _http_exception(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, HTTPException)
    return problem(exc.status_code, exc.detail)
