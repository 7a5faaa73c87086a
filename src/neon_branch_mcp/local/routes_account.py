"""Who calls: the account, its organization, its API keys."""

from starlette.responses import Response

from . import objects
from .keys import Key, Kind
from .objects import ORG_ID, Json
from .problems import Problem
from .routes_common import Call, Route, answer, blocking, named, number

CREATED = 1_767_225_600.0  # 2026-01-01: the account and its organization have no history


_NO_BILLING: Json = {
    "state": "UNKNOWN",
    "payment_source": {"type": "none"},
    "subscription_type": "UNKNOWN",
    "payment_method": "none",
    "quota_reset_at_last": objects.timestamp(CREATED),
    **dict.fromkeys(("name", "address_city", "address_country", "address_line1", "address_line2"), ""),
    **dict.fromkeys(("address_postal_code", "address_state"), ""),
    "email": "local@example.com",
}


async def auth(call: Call) -> Response:
    method = {"organization": "api_key_org", "project": "api_key_org"}.get(call.key.kind, "api_key_user")
    account = ORG_ID if method == "api_key_org" else objects.OWNER_ID
    return answer({"account_id": account, "auth_method": method, "auth_data": str(call.key.id)})


async def me(call: Call) -> Response:
    return answer(
        {
            "active_seconds_limit": -1,
            "auth_accounts": [],
            "billing_account": _NO_BILLING,
            "email": "local@example.com",
            "id": objects.OWNER_ID,
            "image": "",
            "login": "local",
            "name": "Local",
            "last_name": "User",
            "projects_limit": -1,
            "branches_limit": -1,
            "max_autoscaling_limit": 0.25,
            "plan": "free_v3",
        }
    )


def organization() -> Json:
    """The one organization there is."""
    return {
        "id": ORG_ID,
        "name": "Local",
        "handle": "local",
        "plan": "free_v3",
        "created_at": objects.timestamp(CREATED),
        "updated_at": objects.timestamp(CREATED),
        "managed_by": "console",
        "require_mfa": False,
    }


async def my_organizations(call: Call) -> Response:
    return answer({"organizations": [organization()] if call.key.kind == "personal" else []})


async def get_organization(call: Call) -> Response:
    _own_organization(call)
    return answer(organization())


def _own_organization(call: Call) -> None:
    if call.path["org_id"] != ORG_ID:
        raise Problem(404, "organization not found")


async def regions(call: Call) -> Response:
    only = {"region_id": objects.REGION, "name": "This machine", "default": True, "geo_lat": "0", "geo_long": "0"}
    return answer({"regions": [only]})


def _key(key: Key) -> Json:
    scope = {"project_id": key.project_id} if key.project_id else {}
    return {"id": key.id, "name": key.name, "created_at": objects.timestamp(key.created_at), **scope}


async def create_key(call: Call) -> Response:
    """A personal key; below an organization, that organization's or, with project_id, one project's."""
    project_id = None
    if "org_id" in call.path:
        _own_organization(call)
        project_id = call.body.get("project_id")
        if project_id is not None:
            project_id = (await blocking(call.service.project, str(project_id))).id
    kind: Kind = "personal" if "org_id" not in call.path else "project" if project_id else "organization"
    key, secret = await blocking(call.keys.create, named(call.body, "key_name"), kind, project_id)
    return answer({**_key(key), "key": secret.reveal(), "created_by": objects.OWNER_ID})


async def list_keys(call: Call) -> Response:
    kinds = ("organization", "project") if "org_id" in call.path else ("personal",)
    rows = [k for k in await blocking(call.keys.all) if k.kind in kinds]
    who = {"id": objects.OWNER_ID, "name": "Local User", "image": ""}
    return answer([{**_key(k), "created_by": who, "last_used_from_addr": ""} for k in rows])


async def revoke_key(call: Call) -> Response:
    key_id = number(call.path["key_id"])
    if key_id is None:
        raise Problem(400, "key_id should be a number")
    key = await blocking(call.keys.revoke, key_id)
    return answer({**_key(key), "created_by": objects.OWNER_ID, "last_used_from_addr": "", "revoked": True})


ROUTES: tuple[Route, ...] = (
    ("GET", "/auth", auth),
    ("GET", "/users/me", me),
    ("GET", "/users/me/organizations", my_organizations),
    ("GET", "/organizations/{org_id}", get_organization),
    ("GET", "/regions", regions),
    ("GET", "/api_keys", list_keys),
    ("POST", "/api_keys", create_key),
    ("DELETE", "/api_keys/{key_id}", revoke_key),
    ("GET", "/organizations/{org_id}/api_keys", list_keys),
    ("POST", "/organizations/{org_id}/api_keys", create_key),
    ("DELETE", "/organizations/{org_id}/api_keys/{key_id}", revoke_key),
)
