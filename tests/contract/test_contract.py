"""Every answer of the local control plane has the status and the shape that Neon's specification gives it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psycopg
import pytest

from neon_branch_mcp.local.api import ROUTES

from ..conftest import PlaneApi
from .spec import check, operation_of


@dataclass(frozen=True)
class Contract:
    """Calls the API and holds every answer against the specification."""

    api: PlaneApi
    project_id: str

    def __call__(self, method: str, path: str, *, status: int = 200, key: str | None = None, **kwargs: Any) -> Any:
        headers = {"authorization": f"Bearer {key}"} if key else {}
        answer = self.settled(method, path, headers=headers, **kwargs)
        check(answer)
        assert answer.status_code == status, answer.text
        body = answer.json()
        if method != "GET" and isinstance(body, dict):
            for operation in body.get("operations", []):
                self.api.wait(operation)
        return body

    def settled(self, method: str, path: str, **kwargs: Any) -> httpx.Response:
        """The answer once the project has time for it."""
        answer = self.api.request(method, path, **kwargs)
        while answer.status_code == 423:
            check(answer)
            answer = self.api.request(method, path, **kwargs)
        return answer

    @property
    def project(self) -> str:
        return f"/projects/{self.project_id}"

    def branch(self, **branch: Any) -> Any:
        body = {"branch": branch, "endpoints": [{"type": "read_write"}], "annotation_value": {"for": "contract"}}
        return self("POST", f"{self.project}/branches", status=201, json=body)["branch"]


@pytest.fixture(scope="module")
def contract(api: PlaneApi) -> Iterator[Contract]:
    """A project of its own, so that nothing here meets other tests."""
    made = Contract(api, "")("POST", "/projects", status=201, json={"project": {"name": "contract"}})
    found = Contract(api, made["project"]["id"])
    yield found
    found("DELETE", found.project)


def test_every_route_is_one_of_the_specification() -> None:
    for method, path, _ in ROUTES:
        operation_of(method, path.replace("{action}", "start"))


def test_account_and_organization(contract: Contract) -> None:
    assert contract("GET", "/auth")["auth_method"] == "api_key_user"
    assert contract("GET", "/users/me")["login"] == "local"
    assert contract("GET", "/users/me/organizations") == {"organizations": []}
    assert contract("GET", "/projects/shared") == {"projects": []}
    assert contract("GET", "/regions")["regions"]


def test_projects_are_listed_in_pages_that_end(contract: Contract) -> None:
    first = contract("GET", "/projects", params={"limit": 1})
    cursor = first["pagination"]["cursor"]
    second = contract("GET", "/projects", params={"limit": 1, "cursor": cursor})
    assert first["projects"][0]["id"] != second["projects"][0]["id"]
    seen, cursor = [], ""
    while page := contract("GET", "/projects", params={"limit": 1, **({"cursor": cursor} if cursor else {})})[
        "projects"
    ]:
        seen += [p["id"] for p in page]
        cursor = page[-1]["id"]
    assert contract.project_id in seen
    assert len(seen) == len(set(seen))


def test_a_project_is_renamed(contract: Contract) -> None:
    named = contract("PATCH", contract.project, json={"project": {"name": "renamed"}})
    assert named["project"]["name"] == "renamed"
    assert contract("GET", contract.project)["project"]["name"] == "renamed"


def test_a_branch_lives_by_the_contract(contract: Contract) -> None:
    branch = contract.branch(name="life")
    path = f"{contract.project}/branches/{branch['id']}"
    got = contract("GET", path)
    assert got["annotation"]["value"] == {"for": "contract"}
    assert got["branch"]["current_state"] == "ready"
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(days=20)
    renamed = contract(
        "PATCH", path, json={"branch": {"name": "second-life", "expires_at": until.isoformat(timespec="milliseconds")}}
    )["branch"]
    assert (renamed["name"], renamed["expires_at"]) == ("second-life", f"{until:%Y-%m-%dT%H:%M:%SZ}")
    parent = {"source_branch_id": branch["parent_id"]}
    assert contract("POST", f"{path}/restore", json=parent)["branch"]["id"] == branch["id"]
    contract("PATCH", path, json={"branch": {"expires_at": None}})
    assert "expires_at" not in contract("GET", path)["branch"]
    contract("DELETE", path)
    contract("GET", path, status=404)


def test_branches_come_with_annotations_and_a_next_even_on_the_last_page(contract: Contract) -> None:
    branch = contract.branch(name="listed")
    found = contract("GET", f"{contract.project}/branches", params={"search": "listed"})
    assert [b["id"] for b in found["branches"]] == [branch["id"]]
    assert found["annotations"][branch["id"]]["value"] == {"for": "contract"}
    empty = contract(
        "GET", f"{contract.project}/branches", params={"cursor": found["pagination"]["next"], "search": "listed"}
    )
    assert empty["branches"] == []
    assert contract("GET", f"{contract.project}/branches/count")["count"] == 2
    names = contract("GET", f"{contract.project}/branches", params={"sort_by": "name", "sort_order": "asc"})["branches"]
    assert [b["name"] for b in names] == ["listed", "main"]
    contract("DELETE", f"{contract.project}/branches/{branch['id']}")


def test_databases_and_roles_are_made_changed_and_dropped(contract: Contract) -> None:
    branch = contract.branch(name="inside")
    path = f"{contract.project}/branches/{branch['id']}"
    role = contract("POST", f"{path}/roles", status=201, json={"role": {"name": "app"}})["role"]
    assert contract("GET", f"{path}/roles/app/reveal_password")["password"] == role["password"]
    contract("POST", f"{path}/databases", status=201, json={"database": {"name": "one", "owner_name": "app"}})
    contract("PATCH", f"{path}/databases/one", json={"database": {"name": "two"}})
    assert contract("GET", f"{path}/databases/two")["database"]["owner_name"] == "app"
    contract("DELETE", f"{path}/roles/app", status=422)
    contract("DELETE", f"{path}/databases/two")
    contract("DELETE", f"{path}/roles/app")
    contract("GET", f"{path}/roles/app", status=404)
    contract("DELETE", path)


def test_a_reset_password_opens_the_branch_and_the_old_one_does_not(contract: Contract) -> None:
    branch = contract.branch(name="password")
    path = f"{contract.project}/branches/{branch['id']}"
    query = {"branch_id": branch["id"], "database_name": "neondb", "role_name": "neondb_owner", "pooled": "False"}
    before = contract("GET", f"{contract.project}/connection_uri", params=query)["uri"]
    role = contract("POST", f"{path}/roles/neondb_owner/reset_password")["role"]
    after = contract("GET", f"{contract.project}/connection_uri", params=query)["uri"]
    assert role["password"] in after
    with psycopg.connect(after) as conn:
        assert conn.execute("SELECT current_user").fetchone() == ("neondb_owner",)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(before)
    contract("DELETE", path)


def test_the_schema_is_told_and_compared(contract: Contract) -> None:
    branch = contract.branch(name="schema")
    path = f"{contract.project}/branches/{branch['id']}"
    query = {"branch_id": branch["id"], "database_name": "neondb", "role_name": "neondb_owner"}
    assert contract("GET", f"{path}/compare_schema", params={"db_name": "neondb"})["diff"] == ""
    with psycopg.connect(contract("GET", f"{contract.project}/connection_uri", params=query)["uri"]) as conn:
        conn.execute("CREATE TABLE noted (id int PRIMARY KEY, note text)")
    assert "CREATE TABLE public.noted" in contract("GET", f"{path}/schema", params={"db_name": "neondb"})["sql"]
    tables = contract("GET", f"{path}/schema", params={"db_name": "neondb", "format": "json"})["json"]["tables"]
    assert [(t["name"], [c["name"] for c in t["columns"]]) for t in tables] == [("noted", ["id", "note"])]
    assert (
        "+CREATE TABLE public.noted" in contract("GET", f"{path}/compare_schema", params={"db_name": "neondb"})["diff"]
    )
    contract("DELETE", path)


def test_computes_sleep_wake_and_change(contract: Contract) -> None:
    branch = contract.branch(name="compute")
    (endpoint,) = contract("GET", f"{contract.project}/branches/{branch['id']}/endpoints")["endpoints"]
    path = f"{contract.project}/endpoints/{endpoint['id']}"
    contract("POST", f"{path}/suspend")
    assert contract("GET", path)["endpoint"]["current_state"] == "idle"
    contract("POST", f"{path}/start")
    assert contract("GET", path)["endpoint"]["current_state"] == "active"
    changed = contract("PATCH", path, json={"endpoint": {"suspend_timeout_seconds": 60}})["endpoint"]
    assert changed["suspend_timeout_seconds"] == 60
    operations = contract("GET", f"{contract.project}/operations", params={"limit": 2})
    assert len(operations["operations"]) == 2
    contract("GET", f"{contract.project}/operations/{operations['operations'][0]['id']}")
    contract("DELETE", f"{contract.project}/branches/{branch['id']}")


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", "/branches/br-no-such-00000000", None, 404, ""),
        ("POST", "/branches", {"branch": {"name": "main"}}, 409, ""),
        ("POST", "/branches", {"branch": {"expires_at": "tomorrow"}}, 400, ""),
        ("PATCH", "/branches/{main}", {"branch": {"expires_at": "2096-12-20T10:00:00Z"}}, 400, "DEFAULT_BRANCH_EXPIRATION_NOT_ALLOWED"),
        ("POST", "/branches", {"branch": {"expires_at": "2096-12-20T10:00:00Z"}}, 400, ""),
        ("POST", "/branches", {"branch": {"expires_at": "2026-01-01T00:00:00Z"}}, 400, ""),
        ("POST", "/branches", {"branch": {"parent_lsn": "yesterday"}}, 400, ""),
        ("DELETE", "/branches/{main}", None, 422, ""),
        ("POST", "/branches/{main}/restore", {"source_branch_id": "{main}"}, 422, ""),
        ("GET", "/connection_uri", None, 400, ""),
        ("GET", "/branches?sort_by=colour", None, 400, ""),
        ("GET", "/operations?limit=0", None, 400, ""),
    ],
)  # fmt: skip
def test_a_refusal_is_an_error_body(
    contract: Contract, method: str, path: str, body: Any, status: int, code: str
) -> None:
    main = contract("GET", f"{contract.project}/branches", params={"search": "main"})["branches"][0]["id"]
    if body and body.get("source_branch_id"):
        body = {"source_branch_id": main}
    answer = contract.settled(method, contract.project + path.replace("{main}", main), json=body)
    check(answer)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["x-neon-ret-request-id"] == answer.json()["request_id"]


class TestKeys:
    ORG = "org-local-plane-00000001"

    def test_a_wrong_key_is_401(self, contract: Contract) -> None:
        contract("GET", "/projects", status=401, key="napi_wrong")

    def test_a_personal_key_must_name_its_organization(self, contract: Contract) -> None:
        made = contract("POST", "/api_keys", json={"key_name": "mine"})
        refused = contract("GET", "/projects", status=400, key=made["key"])
        assert refused["message"].startswith("org_id is required")
        (organization,) = contract("GET", "/users/me/organizations", key=made["key"])["organizations"]
        assert contract("GET", "/projects", key=made["key"], params={"org_id": organization["id"]})["projects"]
        contract("DELETE", f"/api_keys/{made['id']}")
        contract("GET", "/auth", status=401, key=made["key"])

    def test_an_organization_key_has_no_user(self, contract: Contract) -> None:
        made = contract("POST", f"/organizations/{self.ORG}/api_keys", json={"key_name": "ours"})
        assert contract("GET", "/auth", key=made["key"])["auth_method"] == "api_key_org"
        assert contract("GET", "/projects", key=made["key"])["projects"]
        said = contract("GET", "/users/me", status=404, key=made["key"])["message"]
        assert said == "not allowed for organization API keys"

    def test_a_projects_key_reaches_that_project_only_and_names_it_when_it_refuses(self, contract: Contract) -> None:
        body = {"key_name": "one", "project_id": contract.project_id}
        made = contract("POST", f"/organizations/{self.ORG}/api_keys", json=body)
        assert contract("GET", contract.project, key=made["key"])["project"]["id"] == contract.project_id
        said = contract("GET", "/projects", status=404, key=made["key"])["message"]
        assert f'subject_project_id:"{contract.project_id}"' in said
        contract("DELETE", contract.project, status=404, key=made["key"])
        assert made["id"] in [k["id"] for k in contract("GET", f"/organizations/{self.ORG}/api_keys")]
