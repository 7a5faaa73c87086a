"""Projects: list, make, change, delete."""

from starlette.responses import Response

from . import administration, objects
from .changes import Changed
from .keys import org_required
from .objects import ORG_ID, Json
from .problems import Problem
from .routes_common import PROJECT, Call, Route, answer, blocking, flag, page
from .shapes import PROJECT as PROJECT_BODY
from .shapes import shaped
from .store import EndpointRow


async def list_projects(call: Call) -> Response:
    rows = [] if flag(call, "recoverable") else await blocking(call.service.projects)  # what was deleted is gone
    org_id = call.query.get("org_id")
    if org_id and org_id != ORG_ID:
        raise Problem(404, "organization not found")
    search = call.query.get("search", "")
    shown = page(call, [r for r in rows if search in r.name or search in r.id], lambda r: r.id, default=10, most=400)
    return answer(
        {
            "projects": [objects.project(r) for r in shown],
            "applications": {r.id: [] for r in shown},
            "integrations": {r.id: [] for r in shown},
            **({"pagination": {"cursor": shown[-1].id}} if shown else {}),
        }
    )


async def shared_projects(call: Call) -> Response:
    return answer({"projects": []})


async def update_project(call: Call) -> Response:
    asked = call.part("project")
    changed = await blocking(administration.update_project, call.service, call.project_id, asked)
    return answer({"project": objects.project(changed), "operations": []})


async def no_permissions(call: Call) -> Response:
    await blocking(call.service.project, call.project_id)
    return answer({"project_permissions": []})


async def no_snapshots(call: Call) -> Response:
    await blocking(call.service.project, call.project_id)
    return answer({"snapshots": []})


async def no_vpc_endpoints(call: Call) -> Response:
    await blocking(call.service.project, call.project_id)
    return answer({"endpoints": []})


async def no_issues(call: Call) -> Response:
    await blocking(call.service.project, call.project_id)
    return answer({"issues": []})


async def get_project(call: Call) -> Response:
    return answer({"project": objects.project(await blocking(call.service.project, call.project_id))})


async def create_project(call: Call) -> Response:
    asked = shaped(call.part("project"), PROJECT_BODY)
    if call.key.kind == "personal" and not asked.get("org_id"):
        raise org_required()
    branch = asked.get("branch") or {}
    major = call.service.core.binaries.major
    if asked.get("pg_version", major) != major:
        raise Problem(422, f"this control plane runs Postgres {major} only; local.bin_dir chooses another")
    settings = dict(asked.get("settings", {}))
    if "default_endpoint_settings" in asked:
        settings[objects.COMPUTE_DEFAULTS] = asked["default_endpoint_settings"]
    changed = await blocking(
        call.service.create_project,
        str(asked.get("name") or "project"),
        branch=str(branch.get("name") or "main"),
        role=branch.get("role_name") or None,
        database=branch.get("database_name") or None,
        history=asked.get("history_retention_seconds"),
        settings=settings,
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
            "connection_uris": [connection_details(uri, changed.endpoints[0], database, changed)],
            "operations": [objects.operation(o) for o in changed.operations],
        },
        201,
    )


def connection_details(uri: str, endpoint: EndpointRow, database: str, changed: Changed) -> Json:
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


ROUTES: tuple[Route, ...] = (
    ("GET", "/projects", list_projects),
    ("POST", "/projects", create_project),
    ("GET", "/projects/shared", shared_projects),
    ("GET", PROJECT, get_project),
    ("PATCH", PROJECT, update_project),
    ("DELETE", PROJECT, delete_project),
    ("GET", PROJECT + "/permissions", no_permissions),
    ("GET", PROJECT + "/snapshots", no_snapshots),
    ("GET", PROJECT + "/vpc_endpoints", no_vpc_endpoints),
    ("GET", PROJECT + "/advisors", no_issues),
)
