"""Branches: list, make, change, delete, reset."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import psycopg
from starlette.responses import Response

from ..errors import NeonBranchError
from . import objects
from .changes import Changed, NewBranch
from .objects import Json
from .problems import Problem
from .routes_common import BRANCH, PROJECT, Call, Route, answer, blocking, named, page, parse_time
from .routes_projects import connection_details
from .shapes import BRANCH as BRANCH_BODY
from .shapes import RESTORE, objects_in, shaped, texts
from .store import BranchRow

SORT_KEYS: Mapping[str, Callable[[BranchRow], Any]] = {
    "name": lambda r: r.name,
    "created_at": lambda r: (r.created_at, r.id),
    "updated_at": lambda r: (r.updated_at, r.id),
}


async def list_branches(call: Call) -> Response:
    """Neon gives a `next` even on the last page; clients stop on an empty one."""
    rows = await blocking(call.service.branches, call.project_id)
    search = call.query.get("search", "")
    sort_by, order = call.query.get("sort_by", "updated_at"), call.query.get("sort_order", "desc").lower()
    if sort_by not in SORT_KEYS or order not in ("asc", "desc"):
        raise Problem(400, f"sort_by is one of {', '.join(SORT_KEYS)}; sort_order is asc or desc")
    found = sorted(
        (r for r in rows if search in r.name or search in r.id), key=SORT_KEYS[sort_by], reverse=order == "desc"
    )
    shown = page(call, found, lambda r: r.id, default=10_000, most=10_000)
    last = shown[-1].id if shown else call.query.get("cursor")
    return answer(
        {
            "branches": [objects.branch(r) for r in shown],
            "annotations": {r.id: objects.annotation(r) for r in shown if r.annotation},
            "pagination": {**({"next": last} if last else {}), "sort_by": sort_by, "sort_order": order.upper()},
        }
    )


async def count_branches(call: Call) -> Response:
    search = call.query.get("search", "")
    rows = await blocking(call.service.branches, call.project_id)
    return answer({"count": sum(search in r.name or search in r.id for r in rows)})


async def get_branch(call: Call) -> Response:
    row = await blocking(call.service.branch, call.project_id, call.branch_id)
    return answer({"branch": objects.branch(row), "annotation": objects.annotation(row)})


async def create_branch(call: Call) -> Response:
    asked = shaped(call.part("branch"), BRANCH_BODY)
    endpoints = objects_in(call.body.get("endpoints"), "endpoints")
    if len(endpoints) > 1:
        raise Problem(422, "a branch has one read_write compute here, and no other")
    if asked.get("init_source") not in (None, "", "parent-data", "schema-only"):
        raise Problem(400, "init_source is parent-data or schema-only")
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
        annotation=texts(call.part("annotation_value"), "annotation_value"),
    )
    changed = await blocking(call.service.create_branch, call.project_id, wanted)
    parent_id = (
        (await blocking(call.service.branch, call.project_id, wanted.parent_id)).id if wanted.parent_id else None
    )
    source = parent_id or next(b.id for b in await blocking(call.service.branches, call.project_id) if b.is_default)
    try:
        databases = await blocking(call.service.databases, call.project_id, source)
    except (NeonBranchError, psycopg.Error):  # the branch is being made already, and its operations tell of the rest
        databases = ()
    call.service.submit(changed)
    assert changed.branch is not None
    uris = [
        connection_details(call.service.uri(e, d.name, changed.roles[0]), e, d.name, changed)
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
    given = call.part("branch")
    asked = shaped(given, BRANCH_BODY)
    columns: Json = {}
    if asked.get("name") == "":
        raise Problem(400, "name should have 1 to 256 characters")
    if "name" in asked:
        columns["name"] = asked["name"]
    if "protected" in asked:
        columns["is_protected"] = asked["protected"]
    if "expires_at" in given:  # null clears it
        until = parse_time(asked["expires_at"], "expires_at") if "expires_at" in asked else None
        seconds = None if until is None else max(1, round(until - datetime.now(UTC).timestamp()))
        columns |= {"expires_at": until, "ttl_seconds": seconds}
    return _branch_answer(await blocking(call.service.update_branch, call.project_id, call.branch_id, columns))


async def delete_branch(call: Call) -> Response:
    changed = await blocking(call.service.delete_branch, call.project_id, call.branch_id)
    call.service.submit(changed)
    return _branch_answer(changed)


async def restore_branch(call: Call) -> Response:
    asked = shaped(call.body, RESTORE)
    source = named(asked, "source_branch_id")
    stamp = asked.get("source_timestamp") or None
    changed = await blocking(
        call.service.restore_branch,
        call.project_id,
        call.branch_id,
        source,
        preserve_under_name=asked.get("preserve_under_name"),
        source_lsn=asked.get("source_lsn") or None,
        source_timestamp=None if stamp is None else parse_time(stamp, "source_timestamp"),
    )
    call.service.submit(changed)
    return _branch_answer(changed)


async def set_as_default(call: Call) -> Response:
    return _branch_answer(await blocking(call.service.set_default, call.project_id, call.branch_id))


ROUTES: tuple[Route, ...] = (
    ("GET", PROJECT + "/branches", list_branches),
    ("POST", PROJECT + "/branches", create_branch),
    ("GET", PROJECT + "/branches/count", count_branches),
    ("GET", BRANCH, get_branch),
    ("PATCH", BRANCH, update_branch),
    ("DELETE", BRANCH, delete_branch),
    ("POST", BRANCH + "/restore", restore_branch),
    ("POST", BRANCH + "/set_as_default", set_as_default),
)
