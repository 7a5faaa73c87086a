"""What is inside a branch: databases, roles, the schema."""

from starlette.responses import Response

from . import administration, objects, schemas
from .access import FoundDatabase
from .history import Moment
from .problems import Problem, not_found
from .routes_common import BRANCH, Call, Route, answer, blocking, named, parse_time
from .store import BranchRow


async def list_databases(call: Call) -> Response:
    of: BranchRow = await blocking(call.service.branch, call.project_id, call.branch_id)
    rows = await blocking(call.service.databases, call.project_id, call.branch_id)
    return answer({"databases": [objects.database(r, of) for r in rows]})


async def create_database(call: Call) -> Response:
    asked = call.part("database")
    of: BranchRow = await blocking(call.service.branch, call.project_id, call.branch_id)
    row = await blocking(
        call.service.create_database, call.project_id, call.branch_id, named(asked, "name"), named(asked, "owner_name")
    )
    return answer({"database": objects.database(row, of), "operations": []}, 201)


async def get_database(call: Call) -> Response:
    of: BranchRow = await blocking(call.service.branch, call.project_id, call.branch_id)
    return answer({"database": objects.database(await _database(call), of)})


async def _database(call: Call) -> FoundDatabase:
    for row in await blocking(call.service.databases, call.project_id, call.branch_id):
        if row.name == call.path["database"]:
            return row
    raise not_found("database")


async def update_database(call: Call) -> Response:
    of: BranchRow = await blocking(call.service.branch, call.project_id, call.branch_id)
    before, asked = await _database(call), call.part("database")
    row = await blocking(
        administration.update_database,
        call.service,
        of,
        before,
        name=str(asked.get("name") or before.name),
        owner=str(asked.get("owner_name") or before.owner),
    )
    return answer({"database": objects.database(row, of), "operations": []})


async def delete_database(call: Call) -> Response:
    of: BranchRow = await blocking(call.service.branch, call.project_id, call.branch_id)
    row = await _database(call)
    await blocking(administration.delete_database, call.service, of, row)
    return answer({"database": objects.database(row, of), "operations": []})


async def get_role(call: Call) -> Response:
    row = await blocking(call.service.role, call.project_id, call.branch_id, call.path["role"])
    return answer({"role": objects.role(row)})


async def delete_role(call: Call) -> Response:
    row = await blocking(call.service.role, call.project_id, call.branch_id, call.path["role"])
    await blocking(administration.delete_role, call.service, row)
    return answer({"role": objects.role(row), "operations": []})


async def schema(call: Call) -> Response:
    """The schema as SQL, or as JSON with `format=json`; at an earlier moment with `lsn` or `timestamp`."""
    name, form, when = call.required("db_name"), call.query.get("format", "sql"), _moment(call)
    if form == "sql":
        return answer(
            {"sql": await blocking(schemas.as_sql, call.service, call.project_id, call.branch_id, name, when)}
        )
    if form == "json":
        return answer(
            {"json": await blocking(schemas.as_json, call.service, call.project_id, call.branch_id, name, when)}
        )
    raise Problem(400, "format is sql or json")


def _moment(call: Call, prefix: str = "") -> Moment:
    """The point in time of a query; none where neither is given."""
    lsn, stamp = call.query.get(f"{prefix}lsn") or None, call.query.get(f"{prefix}timestamp") or None
    if lsn is not None and stamp is not None:
        raise Problem(400, f"give {prefix}lsn or {prefix}timestamp, not both")
    return Moment(lsn, None if stamp is None else parse_time(stamp, f"{prefix}timestamp"))


async def compare_schema(call: Call) -> Response:
    branch: BranchRow = await blocking(call.service.branch, call.project_id, call.branch_id)
    base = call.query.get("base_branch_id") or branch.parent_id
    if base is None:
        raise Problem(400, "the branch has no parent; base_branch_id is required")
    name, when, base_when = call.required("db_name"), _moment(call), _moment(call, "base_")
    before = await blocking(schemas.as_sql, call.service, call.project_id, base, name, base_when)
    after = await blocking(schemas.as_sql, call.service, call.project_id, call.branch_id, name, when)
    return answer({"diff": schemas.unified_diff(before, after, name)})


async def list_roles(call: Call) -> Response:
    rows = await blocking(call.service.roles, call.project_id, call.branch_id)
    return answer({"roles": [objects.role(r) for r in rows]})


async def create_role(call: Call) -> Response:
    name = named(call.part("role"), "name")
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


async def no_functions(call: Call) -> Response:
    await blocking(call.service.branch, call.project_id, call.branch_id)
    return answer({"functions": []})


async def no_buckets(call: Call) -> Response:
    await blocking(call.service.branch, call.project_id, call.branch_id)
    return answer({"buckets": []})


ROUTES: tuple[Route, ...] = (
    ("GET", BRANCH + "/databases", list_databases),
    ("POST", BRANCH + "/databases", create_database),
    ("GET", BRANCH + "/databases/{database:path}", get_database),
    ("PATCH", BRANCH + "/databases/{database:path}", update_database),
    ("DELETE", BRANCH + "/databases/{database:path}", delete_database),
    ("GET", BRANCH + "/roles", list_roles),
    ("POST", BRANCH + "/roles", create_role),
    ("DELETE", BRANCH + "/roles/{role:path}", delete_role),
    ("GET", BRANCH + "/roles/{role:path}/reveal_password", reveal_password),
    ("POST", BRANCH + "/roles/{role:path}/reset_password", reset_password),
    ("GET", BRANCH + "/roles/{role:path}", get_role),
    ("GET", BRANCH + "/schema", schema),
    ("GET", BRANCH + "/compare_schema", compare_schema),
    ("GET", BRANCH + "/functions", no_functions),
    ("GET", BRANCH + "/buckets", no_buckets),
)
