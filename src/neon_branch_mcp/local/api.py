"""The subset of Neon's API v2 that is served here: who may call, which route answers, how it refuses."""

import json

import psycopg
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from ..errors import NeonBranchError
from . import routes_account, routes_branches, routes_computes, routes_data, routes_projects
from .keys import Keys
from .objects import Json
from .problems import Problem
from .routes_common import Call, Handler, problem
from .service import Service

ROUTES = (
    *routes_account.ROUTES,
    *routes_projects.ROUTES,
    *routes_branches.ROUTES,
    *routes_computes.ROUTES,
    *routes_data.ROUTES,
)
MAX_BODY = 1_000_000


def build_app(service: Service, keys: Keys) -> Starlette:
    """The API under /api/v2, for whoever holds a key."""

    def route(method: str, path: str, handler: Handler) -> Route:
        async def run(request: Request) -> Response:
            return await _guarded(request, service, keys, handler)

        return Route(path, run, methods=[method])

    routes = [route(*r) for r in ROUTES]
    return Starlette(
        routes=[Mount("/api/v2", routes=routes)], exception_handlers={HTTPException: _http_exception, Exception: _bug}
    )


async def _guarded(request: Request, service: Service, keys: Keys, handler: Handler) -> Response:
    try:
        key = keys.identify(request.headers.get("authorization", ""))
        key.check(request.method, request.url.path, request.path_params, request.query_params)
        text = await request.body()
        if len(text) > MAX_BODY:
            raise Problem(413, "the body is too large")
        return await handler(Call(request, service, _parsed(text), key, keys))
    except Problem as exc:
        return problem(exc.status, exc.message, exc.api_code)
    except psycopg.OperationalError as exc:
        return problem(503, f"the branch's Postgres was stopped or replaced meanwhile; ask again: {exc}")
    except (NeonBranchError, psycopg.Error) as exc:
        return problem(500, str(exc))


def _parsed(text: bytes) -> Json:
    """The body. Raises Problem for what is no JSON object, or holds what JSON's own rules or Unicode's do not allow."""
    try:
        body = json.loads(text or b"{}", parse_constant=_refuse_constant)
        json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):
        raise Problem(400, "the body is not JSON") from None
    if not isinstance(body, dict):
        raise Problem(400, "the body should be a JSON object")
    return body


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


async def _bug(request: Request, exc: Exception) -> Response:
    """What nobody foresaw is logged by the server, and told as Neon's API tells it."""
    return problem(500, "internal error; the log of the control plane has it")


async def _http_exception(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, HTTPException)
    # Neon's own clients take just these words for a feature that is not offered, and go on without it.
    return problem(exc.status_code, "this route does not exist" if exc.status_code == 404 else exc.detail)
