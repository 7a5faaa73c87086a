"""Restoring a branch from its own past or another branch: who its parent is then, and what opens it. And what a compute may not be."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from anyio.from_thread import BlockingPortal

from neon_branch_mcp.local.lifecycle import session

from .conftest import PlaneApi, other_plane


@pytest.fixture(scope="module")
def own(portal: BlockingPortal) -> Iterator[PlaneApi]:
    with other_plane(portal, sample=False) as api:
        yield api


def found(api: PlaneApi, name: str) -> Any:
    return next(b for b in api("GET", f"{api.project}/branches")["branches"] if b["name"] == name)


def uri(api: PlaneApi, branch: Any, role: str = "neondb_owner") -> str:
    return api.uri(branch["id"], "neondb", role)


def execute(api: PlaneApi, branch: Any, sql: str, role: str = "neondb_owner") -> list[Any]:
    with psycopg.connect(uri(api, branch, role), autocommit=True) as conn:
        cursor = conn.execute(sql.encode())
        return [row[0] for row in cursor.fetchall()] if cursor.description else []


def restore(api: PlaneApi, branch: Any, **body: Any) -> None:
    api("POST", f"{api.project}/branches/{branch['id']}/restore", json=body)


def begin(api: PlaneApi) -> Any:
    """The default branch, with a history."""
    main = next(b for b in api("GET", f"{api.project}/branches")["branches"] if b["default"])
    execute(api, main, "DROP TABLE IF EXISTS t; CREATE TABLE t (a int); INSERT INTO t VALUES (1)")
    for _ in range(300):
        asked = {"branch": {"name": "probe", "parent_timestamp": datetime.now(UTC).isoformat()}}
        answer = api.request("POST", f"{api.project}/branches", json=asked)
        if answer.status_code == 201:
            api.wait(answer.json()["operations"][0])
            api("DELETE", f"{api.project}/branches/{answer.json()['branch']['id']}")
            return main
        time.sleep(0.1)
    raise AssertionError(answer.text)


def test_what_a_branch_was_becomes_the_parent_of_what_it_goes_back_to_and_a_reset_undoes_that(own: PlaneApi) -> None:
    main = begin(own)
    before = datetime.now(UTC)
    time.sleep(0.05)
    execute(own, main, "INSERT INTO t VALUES (2)")
    restore(own, main, source_branch_id=main["id"], source_timestamp=before.isoformat(), preserve_under_name="was")
    back, was = found(own, "main"), found(own, "was")
    assert (back["parent_id"], "parent_id" in was, back["parent_timestamp"]) == (
        was["id"],
        False,
        before.strftime("%Y-%m-%dT%H:%M:%SZ"),
    )
    assert execute(own, back, "SELECT a FROM t") == [1]
    # The log position is one of that parent's.
    again = own.create_branch("again", parent_id=was["id"], parent_lsn=back["parent_lsn"])
    assert execute(own, again, "SELECT a FROM t") == [1]
    restore(own, back, source_branch_id=was["id"])
    assert execute(own, back, "SELECT a FROM t ORDER BY a") == [1, 2]


def test_a_root_branch_takes_a_backups_place_and_its_children_stay_with_what_it_was(own: PlaneApi) -> None:
    main = begin(own)
    backup = own.create_branch("backup")
    execute(own, main, "DELETE FROM t")
    path = f"{own.project}/branches/{main['id']}/restore"
    refused = own.request("POST", path, json={"source_branch_id": backup["id"]})
    assert (refused.status_code, "preserve_under_name" in refused.text) == (422, True)
    restore(own, main, source_branch_id=backup["id"], preserve_under_name="broken")
    assert execute(own, found(own, "main"), "SELECT a FROM t") == [1]
    assert found(own, "main")["parent_id"] == backup["id"]
    assert found(own, "backup")["parent_id"] == found(own, "broken")["id"]


def test_the_logins_that_come_with_another_branchs_data_are_known_and_ones_own_passwords_stay(own: PlaneApi) -> None:
    source, target = own.create_branch("source"), own.create_branch("target")
    at = f"{own.project}/branches/{source['id']}"
    own("POST", f"{at}/roles", json={"role": {"name": "came/along"}})
    own("POST", f"{at}/roles/neondb_owner/reset_password")
    kept = uri(own, target)
    restore(own, target, source_branch_id=source["id"])
    assert uri(own, target) == kept
    assert execute(own, target, "SELECT current_user") == ["neondb_owner"]
    assert execute(own, target, "SELECT current_user", "came/along") == ["came/along"]
    own("DELETE", f"{own.project}/branches/{target['id']}/roles/came%2Falong")
    refused = own.request("GET", f"{own.project}/branches/{target['id']}/roles/came%2Falong")
    assert refused.json()["message"] == "role not found"


def test_a_branch_that_ends_cannot_become_a_parent_by_a_restore(own: PlaneApi) -> None:
    ends = own.create_branch("ends", expires_at="2026-12-20T00:00:00Z")
    branch = own.create_branch("stays")
    path = f"{own.project}/branches/{branch['id']}/restore"
    refused = own.request("POST", path, json={"source_branch_id": ends["id"]})
    assert (refused.status_code, refused.json()["message"]) == (422, "branches with an expiration cannot have children")


def test_a_read_only_compute_is_refused_and_not_made_as_another(own: PlaneApi) -> None:
    asked = {"branch": {"name": "replica"}, "endpoints": [{"type": "read_only"}]}
    refused = own.request("POST", f"{own.project}/branches", json=asked)
    assert (refused.status_code, "read_write computes only" in refused.json()["message"]) == (422, True)
    assert "replica" not in [b["name"] for b in own("GET", f"{own.project}/branches")["branches"]]


def test_a_disabled_compute_lets_nobody_in_until_it_is_enabled(own: PlaneApi) -> None:
    branch = own.create_branch("closed")
    (endpoint,) = own("GET", f"{own.project}/branches/{branch['id']}/endpoints")["endpoints"]
    path, key = f"{own.project}/endpoints/{endpoint['id']}", uri(own, branch)
    own("PATCH", path, json={"endpoint": {"disabled": True}})
    with pytest.raises(psycopg.OperationalError, match="endpoint is disabled"):
        psycopg.connect(key)
    assert own.request("POST", f"{path}/start").status_code == 422
    own("PATCH", path, json={"endpoint": {"disabled": False}})
    psycopg.connect(key).close()


def test_a_project_is_made_with_what_was_asked_for_it_or_not_at_all(own: PlaneApi) -> None:
    major = own.plane.service.core.binaries.major
    asked: dict[str, Any] = {
        "name": "asked",
        "pg_version": major,
        "history_retention_seconds": 60,
        "settings": {"allowed_ips": {"ips": ["10.0.0.1"]}},
        "default_endpoint_settings": {"autoscaling_limit_max_cu": 2, "suspend_timeout_seconds": 60},
    }
    made = own("POST", "/projects", json={"project": asked})
    project = own("GET", f"/projects/{made['project']['id']}")["project"]
    assert {key: project[key] for key in asked} == asked
    assert made["endpoints"][0]["autoscaling_limit_max_cu"] == 2
    own("DELETE", f"/projects/{project['id']}")
    for wrong in ({"pg_version": 14 if major != 14 else 15}, {"branch": {"role_name": "pg_monitor"}}):
        refused = own.request("POST", "/projects", json={"project": {"name": "refused", **wrong}})
        assert refused.status_code == 422, refused.text
    assert "refused" not in [p["name"] for p in own("GET", "/projects")["projects"]]


def test_what_the_api_does_inside_a_branch_keeps_it_awake(portal: BlockingPortal) -> None:
    with other_plane(portal, sample=False, suspend_after=0.2) as api:
        core = api.plane.service.core
        branch = core.branch(api.create_branch("awake")["id"])
        with session(core, branch.id) as conn:
            for _ in range(30):
                conn.execute("SELECT 1")
                time.sleep(0.05)
        until = time.monotonic() + 30
        while core.cluster_of(branch).running() is not None and time.monotonic() < until:
            time.sleep(0.05)
        assert core.cluster_of(branch).running() is None
