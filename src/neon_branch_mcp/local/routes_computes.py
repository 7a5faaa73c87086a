"""Computes, connection strings and operations."""

from starlette.responses import Response

from . import administration, objects
from .objects import Json
from .problems import Problem
from .routes_common import BRANCH, PROJECT, Call, Route, answer, blocking, flag, page
from .service import COMPUTE_ACTIONS
from .store import EndpointRow


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


async def update_endpoint(call: Call) -> Response:
    row = await blocking(
        administration.update_endpoint, call.service, call.project_id, call.path["endpoint_id"], call.part("endpoint")
    )
    return answer({"endpoint": await _endpoint(call, row), "operations": []})


async def delete_endpoint(call: Call) -> Response:
    row = await blocking(administration.delete_endpoint, call.service, call.project_id, call.path["endpoint_id"])
    return answer({"endpoint": objects.endpoint(row, active=False), "operations": []})


async def compute(call: Call) -> Response:
    action = next((a for a in COMPUTE_ACTIONS if a == call.path["action"]), None)
    if action is None:
        raise Problem(404, "not found")
    changed = await blocking(
        call.service.compute,
        call.project_id,
        call.path["endpoint_id"],
        action,
    )
    call.service.submit(changed)
    return answer(
        {
            "endpoint": await _endpoint(call, changed.endpoints[0]),
            "operations": [objects.operation(o) for o in changed.operations],
        }
    )


async def connection_uri(call: Call) -> Response:
    flag(call, "pooled")
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
    shown = page(call, rows, lambda r: r.id, default=100, most=1000)
    return answer(
        {
            "operations": [objects.operation(r) for r in shown],
            **({"pagination": {"cursor": shown[-1].id}} if shown else {}),
        }
    )


async def get_operation(call: Call) -> Response:
    row = await blocking(call.service.operation, call.project_id, call.path["operation_id"])
    return answer({"operation": objects.operation(row)})


ROUTES: tuple[Route, ...] = (
    ("GET", BRANCH + "/endpoints", list_endpoints),
    ("GET", PROJECT + "/endpoints", list_endpoints),
    ("POST", PROJECT + "/endpoints", create_endpoint),
    ("GET", PROJECT + "/endpoints/{endpoint_id}", get_endpoint),
    ("PATCH", PROJECT + "/endpoints/{endpoint_id}", update_endpoint),
    ("DELETE", PROJECT + "/endpoints/{endpoint_id}", delete_endpoint),
    ("POST", PROJECT + "/endpoints/{endpoint_id}/{action}", compute),
    ("GET", PROJECT + "/connection_uri", connection_uri),
    ("GET", PROJECT + "/operations", list_operations),
    ("GET", PROJECT + "/operations/{operation_id}", get_operation),
)
