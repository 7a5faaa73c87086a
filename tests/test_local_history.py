"""Point in time: branches of, and restores to, earlier moments of a root branch, over the API."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest
from anyio.from_thread import BlockingPortal

from neon_branch_mcp.local.store import BaseRow

from .conftest import PlaneApi, other_plane


@dataclass(frozen=True)
class Past:
    """A plane whose default branch got the rows 0, 1, 2 one after the other, and when and where each was there."""

    api: PlaneApi
    root: str
    times: list[datetime]
    lsns: list[str]

    def rows(self, branch_id: str) -> list[int]:
        with psycopg.connect(self.api.uri(branch_id, "neondb", "neondb_owner")) as conn:
            return [n for (n,) in conn.execute("SELECT n FROM moments ORDER BY n")]

    def restore(self, branch_id: str, **body: Any) -> None:
        path = f"{self.api.project}/branches/{branch_id}/restore"
        self.api("POST", path, json={"source_branch_id": self.root, **body})


def wait_for_a_base(api: PlaneApi) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with api.plane.service.core.store.read() as tx:
            if tx.all(BaseRow):
                return
        time.sleep(0.02)
    raise AssertionError("no base copy was made")


@pytest.fixture(scope="module")
def past(portal: BlockingPortal) -> Iterator[Past]:
    with other_plane(portal, sample=False) as api:
        wait_for_a_base(api)
        root = api("GET", f"{api.project}/branches")["branches"][0]["id"]
        found = []
        with psycopg.connect(api.uri(root, "neondb", "neondb_owner"), autocommit=True) as conn:
            conn.execute("CREATE TABLE moments (n int)")
            for n in range(3):
                conn.execute("INSERT INTO moments VALUES (%s)", [n])
                row = conn.execute("SELECT clock_timestamp(), pg_current_wal_insert_lsn()::text").fetchone()
                assert row is not None
                found.append(row)
                time.sleep(0.02)
        yield Past(api, root, [t for t, _ in found], [lsn for _, lsn in found])


def test_a_branch_of_an_earlier_time_has_the_rows_of_that_time(past: Past) -> None:
    made = past.api.create_branch("by-time", parent_timestamp=past.times[0].isoformat())
    assert past.rows(made["id"]) == [0]


def test_a_branch_of_an_earlier_lsn_has_the_rows_up_to_it_and_can_be_written(past: Past) -> None:
    made = past.api.create_branch("by-lsn", parent_lsn=past.lsns[1])
    assert past.rows(made["id"]) == [0, 1]
    with psycopg.connect(past.api.uri(made["id"], "neondb", "neondb_owner")) as conn:
        conn.execute("INSERT INTO moments VALUES (7)")


def test_a_branch_is_restored_to_its_parents_past_on_the_same_connection_string(past: Past) -> None:
    made = past.api.create_branch("restored")
    before = past.api.uri(made["id"], "neondb", "neondb_owner")
    past.restore(made["id"], source_timestamp=past.times[0].isoformat())
    assert past.rows(made["id"]) == [0]
    past.restore(made["id"], source_lsn=past.lsns[1])
    assert past.rows(made["id"]) == [0, 1]
    assert past.api.uri(made["id"], "neondb", "neondb_owner") == before


@pytest.mark.parametrize(
    ("moment", "status", "said"),
    [
        ({"parent_timestamp": "2020-01-01T00:00:00Z"}, 422, "outside the history"),
        ({"parent_timestamp": "{tomorrow}"}, 422, "outside the history"),
        ({"parent_lsn": "0/1"}, 422, "outside the history"),
        ({"parent_lsn": "FF/0"}, 422, "ahead of the branch"),
        ({"parent_lsn": "0-1"}, 400, "is not an LSN"),
    ],
)
def test_what_the_history_does_not_reach_is_refused_with_what_it_reaches(
    past: Past, moment: dict[str, str], status: int, said: str
) -> None:
    tomorrow = (past.times[0] + timedelta(days=1)).isoformat()
    asked = {key: value.replace("{tomorrow}", tomorrow) for key, value in moment.items()}
    made = past.api.request("POST", f"{past.api.project}/branches", json={"branch": asked})
    assert (made.status_code, said in made.json()["message"]) == (status, True), made.text
    restore = {"source_branch_id": past.root, "preserve_under_name": "never"}
    restore |= {key.replace("parent", "source"): value for key, value in asked.items()}
    path = f"{past.api.project}/branches/{past.root}/restore"
    refused = past.api.request("POST", path, json=restore)
    assert (refused.status_code, said in refused.json()["message"]) == (status, True), refused.text
    names = [b["name"] for b in past.api("GET", f"{past.api.project}/branches")["branches"]]
    assert "never" not in names


def test_only_roots_have_a_past(past: Past) -> None:
    child = past.api.create_branch("childless")
    asked = {"branch": {"parent_id": child["id"], "parent_timestamp": past.times[0].isoformat()}}
    refused = past.api.request("POST", f"{past.api.project}/branches", json=asked)
    assert (refused.status_code, "root branches only" in refused.text) == (422, True)


def test_the_default_branch_goes_back_in_its_own_history_and_what_it_was_is_kept(past: Past) -> None:
    """The last test of the file: a restored root begins a history anew."""
    past.restore(past.root, source_timestamp=past.times[1].isoformat(), preserve_under_name="as-it-was")
    kept = past.api("GET", f"{past.api.project}/branches", params={"search": "as-it-was"})["branches"][0]
    assert past.rows(past.root) == [0, 1]
    past.api(
        "POST", f"{past.api.project}/endpoints", json={"endpoint": {"branch_id": kept["id"], "type": "read_write"}}
    )
    assert past.rows(kept["id"]) == [0, 1, 2]
    asked = {"branch": {"parent_timestamp": past.times[0].isoformat()}}
    assert past.api.request("POST", f"{past.api.project}/branches", json=asked).status_code == 422
