"""The local control plane as its users meet it: branches over the API, SQL through the connection strings."""

import shutil
import time
from collections.abc import Callable, Sequence

import psycopg
import pytest
from anyio.from_thread import BlockingPortal

from neon_branch_mcp.local import access
from neon_branch_mcp.local.store import BranchRow, SpareRow
from tests.conftest import MadeBranch, PlaneApi, other_plane


def test_a_branch_has_the_parents_rows_and_its_own_changes(api: PlaneApi, branch: MadeBranch) -> None:
    main = next(b for b in api("GET", f"{api.project}/branches")["branches"] if b["default"])
    with psycopg.connect(branch.uri) as conn:
        conn.execute("DROP TABLE order_items CASCADE")
    with psycopg.connect(branch.uri) as conn, psycopg.connect(api.uri(main["id"])) as parent:
        assert conn.execute("SELECT to_regclass('order_items')").fetchone() == (None,)
        assert conn.execute("SELECT count(*) FROM users").fetchone() == (10_000,)
        assert parent.execute("SELECT count(*) FROM order_items").fetchone() == (30_000,)


def test_the_owner_is_no_superuser_and_speaks_tls_where_the_binaries_can(api: PlaneApi, branch: MadeBranch) -> None:
    with psycopg.connect(branch.uri) as conn:
        found = conn.execute(
            "SELECT rolsuper, rolcreatedb, rolcreaterole, pg_has_role('pg_read_all_data', 'usage'), ssl"
            " FROM pg_roles JOIN pg_stat_ssl ON pid = pg_backend_pid() WHERE rolname = current_user"
        ).fetchone()
    has_openssl = api.plane.service.core.binaries.has_openssl
    assert found == (False, True, True, True, has_openssl)
    assert ("sslmode=require" in branch.uri, "sslmode=disable" in branch.uri) == (has_openssl, not has_openssl)


def test_a_reset_brings_the_parents_data_back_on_the_same_connection_string(api: PlaneApi, branch: MadeBranch) -> None:
    with psycopg.connect(branch.uri) as conn:
        conn.execute("DELETE FROM order_items")
    parent = api("GET", f"{api.project}/branches/{branch.id}")["branch"]["parent_id"]
    api("POST", f"{api.project}/branches/{branch.id}/restore", json={"source_branch_id": parent})
    with psycopg.connect(branch.uri) as conn:
        assert conn.execute("SELECT count(*) FROM order_items").fetchone() == (30_000,)


def test_a_deleted_branch_is_gone_with_its_port_and_files(
    api: PlaneApi, make_branch: Callable[..., MadeBranch]
) -> None:
    made = make_branch()
    core = api.plane.service.core
    folder = core.cluster_of(core.branch(made.id)).folder
    assert folder.exists()
    api("DELETE", f"{api.project}/branches/{made.id}")
    assert not folder.exists()
    assert api.request("GET", f"{api.project}/branches/{made.id}").status_code == 404


def test_a_branch_whose_files_are_gone_is_told_as_such_and_made_whole_by_a_reset(
    api: PlaneApi, make_branch: Callable[..., MadeBranch]
) -> None:
    made = make_branch()
    core = api.plane.service.core
    branch = core.branch(made.id)
    core.cluster_of(branch).stop()
    shutil.rmtree(core.cluster_of(branch).folder)
    path = f"{api.project}/branches/{made.id}"
    refused = api.request("GET", f"{path}/roles")
    assert (refused.status_code, "has no files" in refused.json()["message"]) == (500, True), refused.text
    with core.store.write() as tx:
        tx.change(BranchRow, made.id, pending_state="deleting")  # its files go before its row does
    assert api.request("GET", f"{path}/roles").status_code == 404
    with core.store.write() as tx:
        tx.change(BranchRow, made.id, pending_state=None)
    api("POST", f"{path}/restore", json={"source_branch_id": branch.parent_id})
    with psycopg.connect(made.uri) as conn:
        assert conn.execute("SELECT count(*) FROM users").fetchone() == (10_000,)


def test_a_password_is_hashed_as_often_as_strict_clients_ask(api: PlaneApi, superuser_uri: str) -> None:
    """pg8000's scramp refuses less than RFC 7677's 4,096 rounds."""
    with psycopg.connect(superuser_uri) as conn:
        row = conn.execute("SELECT rolpassword FROM pg_authid WHERE rolname = 'shop_owner'").fetchone()
    assert row is not None
    assert int(str(row[0]).split("$")[1].split(":")[0]) >= 4096


def test_a_question_that_a_reset_cut_short_is_asked_again(api: PlaneApi, monkeypatch: pytest.MonkeyPatch) -> None:
    plane, asked = api.plane, list[int]()
    rightly = access.login_roles

    def cut_once(conn: access.Connection) -> Sequence[str]:
        asked.append(conn.info.backend_pid)
        if len(asked) == 1:
            conn.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        return rightly(conn)

    monkeypatch.setattr(access, "login_roles", cut_once)
    root = next(b for b in plane.service.branches(plane.project_id) if b.is_default)
    assert "shop_owner" in [r.name for r in plane.service.roles(plane.project_id, root.id)]
    assert len(asked) == 2


def test_a_scratch_database_is_empty_and_its_owners(database_uri: str, superuser_uri: str) -> None:
    with psycopg.connect(database_uri) as conn:
        conn.execute("CREATE TABLE t (a int)")
    with psycopg.connect(superuser_uri) as conn:
        assert conn.execute("SELECT tableowner FROM pg_tables WHERE schemaname = 'public'").fetchall() == [
            ("shop_owner",)
        ]
        assert conn.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone() == (True,)


def test_a_branch_of_a_spare_has_all_that_was_committed(portal: BlockingPortal) -> None:
    with other_plane(portal, spares=True) as api:
        root = api("GET", f"{api.project}/branches")["branches"][0]
        core = api.plane.service.core
        for turn in range(2):
            for _ in range(600):
                with core.store.read() as tx:
                    if tx.all(SpareRow):
                        break
                time.sleep(0.05)
            with psycopg.connect(api.uri(root["id"])) as conn:
                conn.execute("CREATE TABLE IF NOT EXISTS t (n int)")
                conn.execute("INSERT INTO t VALUES (1)")
            made = api.create_branch(f"spare-{turn}")
            assert core.branch(made["id"]).made_by == "warm spare"
            with psycopg.connect(api.uri(made["id"])) as conn:
                assert conn.execute("SELECT count(*) FROM t").fetchone() == (turn + 1,)
                conn.execute("INSERT INTO t VALUES (9)")
