"""Point in time: branches of, and restores to, earlier moments of a branch, over the API."""

import itertools
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, LiteralString

import psycopg
import pytest
from anyio.from_thread import BlockingPortal

from neon_branch_mcp.local.store import BaseRow, ClusterRow

from .conftest import PlaneApi, other_plane


@dataclass(frozen=True)
class Past:
    """A plane whose default branch got the rows 0, 1, 2 one after the other, and when and where each was there."""

    api: PlaneApi
    root: str
    times: list[datetime]
    lsns: list[str]

    def rows(self, branch_id: str, table: Literal["moments", "busy", "late"] = "moments") -> list[int]:
        with psycopg.connect(self.api.uri(branch_id, "neondb", "neondb_owner")) as conn:
            return [n for (n,) in conn.execute(f"SELECT n FROM {table} ORDER BY n")]

    def execute(self, branch_id: str, sql: LiteralString) -> None:
        with psycopg.connect(self.api.uri(branch_id, "neondb", "neondb_owner")) as conn:
            conn.execute(sql)

    def branch(self, branch_id: str) -> Any:
        return self.api("GET", f"{self.api.project}/branches/{branch_id}")["branch"]

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


def test_a_transaction_that_commits_at_the_lsn_itself_is_not_yet_there(past: Past) -> None:
    with psycopg.connect(past.api.uri(past.root, "neondb", "neondb_owner")) as conn:
        conn.execute("CREATE TABLE late (n int)")
        conn.commit()
        conn.execute("INSERT INTO late VALUES (1)")
        row = conn.execute("SELECT pg_current_wal_insert_lsn()::text").fetchone()
        conn.commit()
    assert row is not None
    made = past.api.create_branch("uncommitted", parent_lsn=row[0])
    assert past.rows(made["id"], "late") == []


def test_the_schema_of_an_earlier_moment_is_told_and_compared_and_leaves_nothing_behind(past: Past) -> None:
    path = f"{past.api.project}/branches/{past.root}"
    core = past.api.plane.service.core
    with psycopg.connect(past.api.uri(past.root, "neondb", "neondb_owner"), autocommit=True) as conn:
        conn.execute("CREATE TABLE later (n int)")
    ask = {"db_name": "neondb"}
    then, at = past.times[2].isoformat(), past.lsns[1]
    assert "TABLE public.later" not in past.api("GET", f"{path}/schema", params={**ask, "timestamp": then})["sql"]
    tables = past.api("GET", f"{path}/schema", params={**ask, "lsn": at, "format": "json"})["json"]["tables"]
    assert [t["name"] for t in tables] == ["moments"]
    compared = {**ask, "base_branch_id": past.root, "base_timestamp": then}
    assert "+CREATE TABLE public.later" in past.api("GET", f"{path}/compare_schema", params=compared)["diff"]
    with core.store.read() as tx:
        known = {row.id: row.purpose for row in tx.all(ClusterRow)}
    assert "past" not in known.values()
    assert {p.name for p in core.places.clusters.iterdir()} <= set(known)


@pytest.mark.parametrize(
    ("moment", "status", "said"),
    [
        ({"timestamp": "2020-01-01T00:00:00Z"}, 422, "outside the history"),
        ({"timestamp": "yesterday"}, 400, "timestamp should be a time"),
        ({"lsn": "FF/0"}, 422, "ahead of the branch"),
        ({"lsn": "0-1"}, 400, "is not an LSN"),
        ({"lsn": "0/1", "timestamp": "2020-01-01T00:00:00Z"}, 400, "not both"),
    ],
)
def test_a_schema_that_the_history_does_not_reach_is_refused(
    past: Past, moment: dict[str, str], status: int, said: str
) -> None:
    path = f"{past.api.project}/branches/{past.root}/schema"
    refused = past.api.request("GET", path, params={"db_name": "neondb", **moment})
    assert (refused.status_code, said in refused.json()["message"]) == (status, True), refused.text


def test_a_branch_is_restored_to_its_parents_past_on_the_same_connection_string(past: Past) -> None:
    made = past.api.create_branch("restored")
    before = past.api.uri(made["id"], "neondb", "neondb_owner")
    past.restore(made["id"], source_timestamp=past.times[0].isoformat())
    assert past.rows(made["id"]) == [0]
    past.restore(made["id"], source_lsn=past.lsns[1])
    assert past.rows(made["id"]) == [0, 1]
    assert past.api.uri(made["id"], "neondb", "neondb_owner") == before


def test_a_branch_of_a_time_before_a_password_was_reset_has_the_password_that_the_api_tells(past: Past) -> None:
    past.api("POST", f"{past.api.project}/branches/{past.root}/roles/neondb_owner/reset_password")
    made = past.api.create_branch("before-the-reset", parent_timestamp=past.times[0].isoformat())
    assert past.rows(made["id"]) == [0]
    past.restore(made["id"], source_timestamp=past.times[1].isoformat())
    assert past.rows(made["id"]) == [0, 1]


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


def test_what_a_branch_was_made_of_under_load_is_had_again_to_the_last_transaction(past: Past) -> None:
    """That moment is what a migration is verified against: a transaction more or less would look like a change of the migration."""
    uri = past.api.uri(past.root, "neondb", "neondb_owner")
    stop = threading.Event()

    def write(first: int) -> None:
        with psycopg.connect(uri, autocommit=True) as conn:
            for n in itertools.count(first, 2):
                conn.execute("INSERT INTO busy VALUES (%s)", [n])
                if stop.is_set():
                    return

    with psycopg.connect(uri, autocommit=True) as conn:
        conn.execute("CREATE TABLE busy (n int)")
    writers = [threading.Thread(target=write, args=[first]) for first in (0, 1)]
    for writer in writers:
        writer.start()
    try:
        made = past.api.create_branch("under-load")
        again = past.api.create_branch("again", parent_lsn=past.branch(made["id"])["parent_lsn"])
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    found = past.rows(made["id"], "busy")
    assert found
    assert past.rows(again["id"], "busy") == found


def test_a_child_has_a_past_from_when_it_is_first_branched_from(past: Past) -> None:
    child = past.api.create_branch("child")
    refused = past.api.request(
        "POST",
        f"{past.api.project}/branches",
        json={"branch": {"parent_id": child["id"], "parent_timestamp": past.times[0].isoformat()}},
    )
    assert (refused.status_code, "begins when it is first branched from" in refused.text) == (422, True)
    past.execute(child["id"], "INSERT INTO moments VALUES (10)")
    grandchild = past.api.create_branch("grandchild", parent_id=child["id"])
    taken = past.branch(grandchild["id"])["parent_lsn"]
    for n, sql in ((11, "INSERT INTO moments VALUES (11)"), (12, "INSERT INTO moments VALUES (12)")):
        past.execute(child["id"], sql)
        grandchild = past.api.create_branch(f"grandchild-{n}", parent_id=child["id"])
    for lsn, rows in ((taken, [10]), (past.branch(grandchild["id"])["parent_lsn"], [10, 11, 12])):
        again = past.api.create_branch(f"at-{lsn.replace('/', '-')}", parent_id=child["id"], parent_lsn=lsn)
        assert past.rows(again["id"])[3:] == rows
    past.restore(grandchild["id"], source_branch_id=child["id"], source_lsn=taken)
    assert past.rows(grandchild["id"])[3:] == [10]


def test_a_child_that_sleeps_is_woken_to_begin_its_past(past: Past) -> None:
    child = past.api.create_branch("sleeper")
    endpoint = past.api("GET", f"{past.api.project}/branches/{child['id']}/endpoints")["endpoints"][0]["id"]
    past.api("POST", f"{past.api.project}/endpoints/{endpoint}/suspend")
    grandchild = past.api.create_branch("of-a-sleeper", parent_id=child["id"])
    past.execute(child["id"], "DELETE FROM moments")
    taken = past.branch(grandchild["id"])["parent_lsn"]
    again = past.api.create_branch("of-a-sleeper-again", parent_id=child["id"], parent_lsn=taken)
    assert past.rows(again["id"]) == [0, 1, 2]


def test_the_first_branch_of_a_fresh_plane_begins_the_past(portal: BlockingPortal) -> None:
    with other_plane(portal, sample=False) as api:
        made = api.create_branch("first")
        lsn = api("GET", f"{api.project}/branches/{made['id']}")["branch"]["parent_lsn"]
        api.create_branch("first-again", parent_lsn=lsn)


def test_without_reflinks_a_large_child_has_no_past_and_the_refusal_says_why(portal: BlockingPortal) -> None:
    with other_plane(portal, sample=False, history_copy=0) as api:
        child = api.create_branch("child")
        if "reflinked" in str(api.plane.service.core.branch(child["id"]).made_by):
            pytest.skip("copies cost nothing on this file system")
        made = api.create_branch("grandchild", parent_id=child["id"])
        lsn = api("GET", f"{api.project}/branches/{made['id']}")["branch"]["parent_lsn"]
        asked = {"branch": {"parent_id": child["id"], "parent_lsn": lsn}}
        refused = api.request("POST", f"{api.project}/branches", json=asked)
        assert (refused.status_code, "local.history_copy" in refused.text) == (422, True), refused.text
        with api.plane.service.core.cluster_of(api.plane.service.core.branch(child["id"])).connect() as conn:
            assert conn.execute("SELECT slot_name FROM pg_replication_slots").fetchall() == []


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
