"""Any call with any body, on real branches and projects, is answered as the specification says; nothing breaks, nothing is left behind.

NEON_BRANCH_MCP_FUZZ_CALLS sets the number of calls; the suite makes a few hundred.
"""

import json
import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal

from neon_branch_mcp.local.api import ROUTES
from neon_branch_mcp.local.objects import ORG_ID
from neon_branch_mcp.local.problems import Problem
from neon_branch_mcp.local.store import BaseRow, BranchRow, ClusterRow, EndpointRow, JobRow, SpareRow
from neon_branch_mcp.local.watchdog import running_below

from ..conftest import PlaneApi, other_plane
from .spec import check

CALLS = int(os.environ.get("NEON_BRANCH_MCP_FUZZ_CALLS", "300"))
WORDS = ["", "main", "dev", "neondb", "neondb_owner", "app", "postgres", "template1", "cloud_admin", "neon_superuser", "pg_read_all_data",
         "public", "x" * 64, "x" * 300, "a b", "a/b", "a\0b", "é😀", "\ud800", "'; DROP TABLE x; --", "null", "0", "-1", "²", "9" * 30,
         "read_only", "read_write", "schema-only", "parent-data", "sql", "json", "name", "ASC", "true", "False", "0/1", "0/0", "-1/0",
         " 0/1", "0/2_0", "FFFFFFFFF/0", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-13-01", "2099-01-01T00:00:00Z",
         "1970-01-01", "2026-W01-1"]  # fmt: skip
KEYS = ["name", "parent_id", "parent_lsn", "parent_timestamp", "protected", "init_source", "expires_at", "type", "branch_id", "pg_version",
        "autoscaling_limit_min_cu", "autoscaling_limit_max_cu", "suspend_timeout_seconds", "disabled", "org_id", "branch", "role_name",
        "database_name", "owner_name", "settings", "history_retention_seconds", "quota", "allowed_ips", "ips", "maintenance_window",
        "default_endpoint_settings", "source_branch_id", "source_lsn", "source_timestamp", "preserve_under_name", "key_name",
        "project_id", "project", "endpoint", "endpoints", "database", "role", "annotation_value"]  # fmt: skip
QUERY = ["limit", "cursor", "search", "sort_by", "sort_order", "org_id", "db_name", "database_name", "role_name", "branch_id",
         "endpoint_id", "pooled", "format", "lsn", "timestamp", "base_branch_id", "base_lsn"]  # fmt: skip
WRAPPERS = ["project", "branch", "endpoint", "endpoints", "database", "role", "annotation_value"]
JUNK: list[Any] = [None, True, False, 0, -1, 1, 0.5, 60, 2**31, 2**63, 2**70, 1e308, float("inf"), [], {}, [[]], [{}], ["x"], [None],
                   {"a": {"b": [None]}}]  # fmt: skip


class Calls:
    """Makes calls by dice; ids are those of what there is now, or none."""

    def __init__(self, api: PlaneApi, dice: random.Random) -> None:
        self._dice = dice
        service = api.plane.service
        projects = [p.id for p in service.projects()]
        self._branches, self._endpoints = [(projects[0], "br-none")], []
        for project in projects:
            with suppress(Problem):  # its end may come meanwhile
                self._branches += [(project, b.id) for b in service.branches(project)]
                self._endpoints += [(project, e.id) for e in service.endpoints(project)]
        self._ids = [*projects, *(b for _, b in self._branches), *(e for _, e in self._endpoints), ORG_ID]

    def value(self) -> Any:
        pool: list[Any] = self._dice.choice([WORDS, WORDS, self._ids, JUNK])
        return self._dice.choice(pool)

    def some(self, keys: list[str], most: int) -> dict[str, Any]:
        return {key: self.value() for key in self._dice.sample(keys, self._dice.randint(0, most))}

    def body(self) -> Any:
        """What the route asks for, mostly, among much else."""
        if self._dice.random() < 0.1:
            return self.value()
        body: dict[str, Any] = {**self.some(KEYS, 4), "source_branch_id": self._dice.choice(self._branches)[1]}
        for name in WRAPPERS:
            likely = {
                "name": f"n{self._dice.randrange(20)}",
                "owner_name": "neondb_owner",
                "branch_id": self._dice.choice(self._branches)[1],
            }
            inside = {key: value for key, value in likely.items() if self._dice.random() < 0.7} | self.some(KEYS, 2)
            if self._dice.random() < 0.3:
                inside["settings"] = self.some(KEYS, 3)
            if self._dice.random() < 0.7:
                body[name] = [inside] if name == "endpoints" else inside
        return body

    def path(self, template: str) -> str:
        project, branch = self._dice.choice(self._branches)
        real = {
            "project_id": project,
            "branch_id": branch,
            "org_id": ORG_ID,
            "database": "neondb",
            "role": "neondb_owner",
        }
        real |= {"key_id": str(self._dice.randint(1, 9)), "endpoint_id": "ep-none", "operation_id": "x"}
        if "{endpoint_id}" in template and self._endpoints:
            real["project_id"], real["endpoint_id"] = self._dice.choice(self._endpoints)
        if self._dice.random() < 0.15:
            real[self._dice.choice(list(real))] = self._dice.choice(
                ["no-such", "9" * 30, "x" * 300, "%00", "%C3", *self._ids]
            )
        return template.replace(":path", "").format(action=self._dice.choice(["start", "suspend", "restart"]), **real)

    def query(self) -> dict[str, str]:
        given = {
            key: self._dice.choice([*WORDS, *self._ids]) for key in self._dice.sample(QUERY, self._dice.randint(0, 3))
        }
        likely = {"db_name": "neondb", "database_name": "neondb", "role_name": "neondb_owner"}
        given = {key: value for key, value in likely.items() if self._dice.random() < 0.7} | given
        return {key: value.encode("utf-8", "replace").decode() for key, value in given.items()}

    def one(self) -> tuple[str, str, dict[str, Any]]:
        method, template, _ = self._dice.choice(ROUTES)
        if (
            template in ("/projects", "/projects/{project_id}")
            and method in ("POST", "DELETE")
            and self._dice.random() < 0.5
        ):
            return self.one()
        arguments: dict[str, Any] = {"params": self.query()}
        if method != "GET":
            arguments["content"] = json.dumps(self.body())
        return method, self.path(template), arguments


@pytest.fixture(scope="module")
def fuzzed(portal: BlockingPortal) -> Iterator[PlaneApi]:
    """A plane of this file's own, small, with history and spares."""
    with other_plane(portal, sample=False, spares=True, max_projects=4, max_branches=6, suspend_after=2) as api:
        yield api


def keep_something(api: PlaneApi) -> None:
    """A project that the next calls can be about."""
    if not [p for p in api.plane.service.projects() if p.state == "ready"]:
        api("POST", "/projects", json={"project": {"name": "again"}})


seen: Counter[int] = Counter()


@pytest.mark.parametrize("seed", [int(os.environ.get("NEON_BRANCH_MCP_FUZZ_SEED", "1"))])
def test_any_call_is_answered_as_the_specification_says(fuzzed: PlaneApi, seed: int) -> None:
    dice = random.Random(seed)
    for _ in range(CALLS):
        keep_something(fuzzed)
        method, path, arguments = Calls(fuzzed, dice).one()
        answer = fuzzed.request(method, path, **arguments)
        for _ in range(500):  # a project that is busy would answer nothing else
            if answer.status_code != 423:
                break
            time.sleep(0.01)
            answer = fuzzed.request(method, path, **arguments)
        seen[answer.status_code] += 1
        told = f"{method} {path} {arguments} → {answer.status_code} {answer.text[:300]}"
        assert answer.status_code < 500, told
        assert answer.headers["content-type"] == "application/json", told
        check(answer)
        if not answer.is_success:
            assert answer.headers["x-neon-ret-request-id"] == answer.json()["request_id"], told


def test_after_all_calls_nothing_is_left_that_has_no_owner(fuzzed: PlaneApi) -> None:
    core = fuzzed.plane.service.core
    deadline = time.monotonic() + 30
    while True:
        with core.store.read() as tx:
            active = tx.all(JobRow, "status = 'active'")
            used = (
                {b.cluster_id for b in tx.all(BranchRow)}
                | {c.id for c in tx.all(BaseRow)}
                | {c.id for c in tx.all(SpareRow)}
            )
            clusters = {c.id for c in tx.all(ClusterRow)}
            ports = [e.port for e in tx.all(EndpointRow)]
        if (not active and clusters == used) or time.monotonic() > deadline:
            break
        time.sleep(0.1)
    assert active == []
    assert clusters == used
    assert {p.name for p in core.places.clusters.iterdir()} == used
    assert {data for data, _ in running_below(core.places.clusters)} <= {core.cluster(c).data for c in clusters}
    assert len(ports) == len(set(ports))
    assert {200, 201, 400, 404} <= set(seen)
