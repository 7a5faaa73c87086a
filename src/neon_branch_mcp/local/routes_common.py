"""What every route needs: the request with its parts, the answer, pages."""

import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, ParamSpec, TypeVar

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from .keys import Key, Keys
from .objects import Json
from .problems import Problem
from .service import Service

P = ParamSpec("P")
T = TypeVar("T")
Handler = Callable[["Call"], Awaitable[Response]]
Route = tuple[str, str, Handler]
"""Method, path below /api/v2, and who answers."""

PROJECT = "/projects/{project_id}"
BRANCH = PROJECT + "/branches/{branch_id}"


async def blocking(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run what blocks in a thread, and to its end: a change must not be left half noticed."""
    return await anyio.to_thread.run_sync(partial(function, *args, **kwargs))


class Call:
    """One request with its parsed parts."""

    def __init__(self, request: Request, service: Service, body: Json, key: Key, keys: Keys) -> None:
        self.service = service
        self.key = key
        self.keys = keys
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
        moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):  # the year 1 in Asia is no year in UTC
        raise Problem(400, f"{name} should be a time as in 2026-01-31T12:00:00Z") from None
    return moment.timestamp()


def answer(data: Json | list[Json], status: int = 200) -> Response:
    return JSONResponse(data, status_code=status)


def problem(status: int, message: str, code: str = "") -> Response:
    """An error body of Neon's."""
    request_id = str(uuid.uuid4())
    return JSONResponse(
        {"request_id": request_id, "code": code, "message": message},
        status_code=status,
        headers={"x-neon-ret-request-id": request_id},
    )


def page(call: Call, rows: Sequence[T], id_of: Callable[[T], str], *, default: int, most: int) -> Sequence[T]:
    """The rows after the cursor, at most `limit` of them. A cursor is the id of the last row seen."""
    text = call.query.get("limit") or str(default)
    if not 1 <= (number(text) or 0) <= most:
        raise Problem(400, f"limit should be a number from 1 to {most}")
    cursor = call.query.get("cursor")
    if cursor:
        at = next((i for i, row in enumerate(rows) if id_of(row) == cursor), None)
        if at is None:
            raise Problem(400, "cursor is not one of this list")
        rows = rows[at + 1 :]
    return rows[: int(text)]


def number(text: str) -> int | None:
    """A whole number as digits of ASCII; None for anything else, or a longer one than is ever meant."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def flag(call: Call, name: str) -> bool:
    """A yes or no in the query; clients write it in any case."""
    text = (call.query.get(name) or "false").lower()
    if text not in ("true", "false", "1", "0"):
        raise Problem(400, f"{name} should be true or false")
    return text in ("true", "1")


def named(part: Json, name: str) -> str:
    """A text inside a body's object that must be there."""
    value = part.get(name)
    if not isinstance(value, str) or not value:
        raise Problem(400, f"{name} is required")
    return value
