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
    return Starlette(routes=[Mount("/api/v2", routes=routes)], exception_handlers={HTTPException: _http_exception})


async def _guarded(request: Request, service: Service, keys: Keys, handler: Handler) -> Response:
    try:
        key = keys.identify(request.headers.get("authorization", ""))
        key.check(request.method, request.url.path, request.path_params, request.query_params)
        text = await request.body()
        if len(text) > MAX_BODY:
            raise Problem(413, "the body is too large")
        body = json.loads(text or b"{}")
        if not isinstance(body, dict):
            raise Problem(400, "the body should be a JSON object")
        return await handler(Call(request, service, body, key, keys))
    except ValueError:
        return problem(400, "the body is not JSON")
    except Problem as exc:
        return problem(exc.status, exc.message, exc.api_code)
    except (NeonBranchError, psycopg.Error) as exc:
        return problem(500, str(exc))


async def _http_exception(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, HTTPException)
    # Neon's own clients take just these words for a feature that is not offered, and go on without it.
    return problem(exc.status_code, "this route does not exist" if exc.status_code == 404 else exc.detail)
