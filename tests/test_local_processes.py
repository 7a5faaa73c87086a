"""Processes and folders: waking and sleeping, two processes on one data directory, root and closed folders, and what bad input gets."""

import contextlib
import os
import socket
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from neon_branch_mcp.config import LocalConfig
from neon_branch_mcp.errors import ConfigError
from neon_branch_mcp.local.binaries import find_binaries
from neon_branch_mcp.local.changes import Changed, NewBranch
from neon_branch_mcp.local.cluster import Cluster, major_of
from neon_branch_mcp.local.jobs import MAX_ATTEMPTS, schedule
from neon_branch_mcp.local.places import destroy, open_places
from neon_branch_mcp.local.plane import Opened
from neon_branch_mcp.local.problems import Problem
from neon_branch_mcp.local.store import BranchRow, JobRow
from neon_branch_mcp.local.watchdog import postmasters_below

from .conftest import data_folder, local_config, plane_folder

EMPTY = {"sample": False, "history": 0.0}


@contextmanager
def opened(folder: Path, **settings: Any) -> Iterator[Opened]:
    found = Opened(local_config(folder, **{**EMPTY, **settings}))
    try:
        yield found
    finally:
        found.close()


def root_of(plane: Opened) -> BranchRow:
    return plane.plane.service.branches(plane.plane.project_id)[0]


def uri_of(plane: Opened, branch_id: str) -> str:
    service, project = plane.plane.service, plane.plane.project_id
    return service.connection_uri(project, "neondb", "neondb_owner", branch_id=branch_id, endpoint_id=None)


def cluster_of(plane: Opened, branch_id: str) -> Cluster:
    core = plane.plane.service.core
    return core.cluster_of(core.branch(branch_id))


def wait_for(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with plane_folder() as made:
        yield made


def test_an_idle_branch_sleeps_without_a_process_and_a_connection_wakes_it(folder: Path) -> None:
    with opened(folder, suspend_after=0.3) as plane:
        root = root_of(plane)
        uri = uri_of(plane, root.id)
        cluster = cluster_of(plane, root.id)
        with psycopg.connect(uri) as conn:
            conn.execute("CREATE TABLE IF NOT EXISTS kept (n int)")
            conn.commit()
            time.sleep(1)
            assert cluster.running() is not None, "an open connection keeps it awake"
        wait_for(lambda: cluster.running() is None)
        assert postmasters_below(folder) == []
        with psycopg.connect(uri) as conn:
            assert conn.execute("SELECT count(*) FROM kept").fetchone() == (0,)


def test_a_connection_without_encryption_is_seen_to_end_too(folder: Path) -> None:
    """Both sides then close in order; with TLS the last bytes are never read, and a reset tells."""
    with opened(folder, suspend_after=0.3) as plane:
        root = root_of(plane)
        plain = uri_of(plane, root.id).partition("?")[0] + "?sslmode=disable"
        for _ in range(3):
            with psycopg.connect(plain) as conn:
                conn.execute("SELECT 1")
        wait_for(lambda: cluster_of(plane, root.id).running() is None)


def test_an_expired_branch_is_deleted(folder: Path) -> None:
    with opened(folder) as plane:
        service, project = plane.plane.service, plane.plane.project_id
        made = service.create_branch(project, NewBranch(expires_at=time.time() + 1))
        service.submit(made).result()
        wait_for(lambda: len(service.branches(project)) == 1)


def test_two_processes_share_a_data_directory_and_one_takes_over_from_the_other(folder: Path) -> None:
    first = Opened(local_config(folder, sample=False))
    with opened(folder) as second:
        made = second.plane.service.create_branch(second.plane.project_id, NewBranch())
        second.plane.service.submit(made).result()
        assert made.branch is not None
        uri = uri_of(second, made.branch.id)
        with psycopg.connect(uri) as conn:  # through the ports of the first, which leads
            conn.execute("CREATE TABLE t (n int)")
        first.close()
        assert cluster_of(second, made.branch.id).running() is not None, "the second still has it open"

        def answers() -> bool:
            with contextlib.suppress(psycopg.OperationalError), psycopg.connect(uri) as conn:
                return conn.execute("SELECT count(*) FROM t").fetchone() == (0,)
            return False

        wait_for(answers)
        second.plane.service.submit(second.plane.service.delete_branch(made.branch.project_id, made.branch.id)).result()
    assert postmasters_below(folder) == []


def test_after_the_last_close_no_process_is_left(folder: Path) -> None:
    with opened(folder) as plane:
        with psycopg.connect(uri_of(plane, root_of(plane).id)) as conn:
            conn.execute("SELECT 1")
        sockets = plane.plane.service.core.places.sockets
        assert postmasters_below(folder) != []
    assert postmasters_below(folder) == []
    assert not sockets.exists()


def test_a_killed_postgres_is_started_again_with_its_data(folder: Path) -> None:
    with opened(folder) as plane:
        root = root_of(plane)
        uri = uri_of(plane, root.id)
        with psycopg.connect(uri) as conn:
            conn.execute("CREATE TABLE IF NOT EXISTS precious (n int)")
            conn.execute("INSERT INTO precious VALUES (1)")
            conn.execute("SET LOCAL synchronous_commit = on")
        cluster = cluster_of(plane, root.id)
        running = cluster.running()
        assert running is not None
        os.kill(running.pid, 9)
        wait_for(lambda: cluster.running() is None)
        with psycopg.connect(uri) as conn:
            assert conn.execute("SELECT n FROM precious").fetchone() == (1,)
            conn.execute("DROP TABLE precious")


def test_a_cluster_that_does_not_start_says_why_in_the_clients_error(folder: Path) -> None:
    with opened(folder) as plane:
        root = root_of(plane)
        uri = uri_of(plane, root.id)
        cluster = cluster_of(plane, root.id)
        cluster.stop()
        control, hidden = cluster.data / "global" / "pg_control", cluster.data / "global" / "hidden"
        control.rename(hidden)
        with pytest.raises(psycopg.OperationalError, match="pg_control"):
            psycopg.connect(uri)
        hidden.rename(control)
        with psycopg.connect(uri) as conn:
            conn.execute("SELECT 1")


def test_a_data_directory_of_another_postgres_is_told_with_the_way_out(folder: Path) -> None:
    with opened(folder) as plane:
        root = root_of(plane)
        uri, cluster = uri_of(plane, root.id), cluster_of(plane, root.id)
        cluster.stop()
        version = cluster.data / "PG_VERSION"
        rightly = version.read_bytes()
        version.write_text("13\n", encoding="ascii")
        with pytest.raises(psycopg.OperationalError, match=r"made by Postgres 13.*set local\.bin_dir to a Postgres 13"):
            psycopg.connect(uri)
        version.write_bytes(rightly)
        with psycopg.connect(uri) as conn:
            conn.execute("SELECT 1")


def test_a_whole_branch_stays_though_the_end_of_its_making_was_cut_short_again_and_again(folder: Path) -> None:
    with opened(folder) as plane:
        service, project = plane.plane.service, plane.plane.project_id
        made = service.create_branch(project, NewBranch())
        service.finish(made)
        assert made.branch is not None
        with service.core.store.write() as tx:
            actions = ["create_branch", "start_compute"]
            job_id, _ = schedule(tx, service.core, "create_branch", project, branch_id=made.branch.id, actions=actions)
            tx.change(JobRow, job_id, attempts=MAX_ATTEMPTS)
        service.submit(Changed((), job_id=job_id)).result()
        with psycopg.connect(uri_of(plane, made.branch.id)) as conn:
            assert conn.execute("SELECT 1").fetchone() == (1,)
        service.finish(service.delete_branch(project, made.branch.id))


@contextmanager
def stranger_on_its_port(folder: Path) -> Iterator[int]:
    """Another program has the port of the folder's root branch, which nobody serves just now."""
    with opened(folder) as plane:
        port = plane.plane.service.endpoints(plane.plane.project_id)[0].port
    with socket.socket() as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        stranger.bind(("127.0.0.1", port))
        stranger.listen()
        yield port


def test_a_port_taken_by_another_program_is_replaced_before_anybody_is_told_of_it(folder: Path) -> None:
    with stranger_on_its_port(folder) as port, opened(folder) as plane:
        assert plane.plane.service.endpoints(plane.plane.project_id)[0].port != port
        with psycopg.connect(uri_of(plane, root_of(plane).id)) as conn:
            assert conn.execute("SELECT 1").fetchone() == (1,)


def test_where_another_program_has_the_only_port_the_rest_goes_on(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with stranger_on_its_port(folder) as port, opened(folder, first_port=port, last_port=port) as plane:
        assert plane.plane.service.endpoints(plane.plane.project_id)[0].port == port
    assert caplog.text.count("set local.first_port and local.last_port") == 1


def test_running_out_of_ports_is_a_refusal_that_names_the_settings(folder: Path) -> None:
    with opened(folder) as plane:
        port = plane.plane.service.endpoints(plane.plane.project_id)[0].port
    with opened(folder, first_port=port, last_port=port) as plane:
        with pytest.raises(Problem, match=r"local\.first_port"):
            plane.plane.service.create_branch(plane.plane.project_id, NewBranch())
        assert len(plane.plane.service.branches(plane.plane.project_id)) == 1


def test_a_damaged_state_file_is_named_and_nothing_is_touched(tmp_path: Path) -> None:
    (tmp_path / "state.db").write_bytes(b"this is no database" * 100)
    with pytest.raises(ConfigError, match=r"state\.db is damaged"):
        Opened(LocalConfig(data_dir=tmp_path))
    assert (tmp_path / "state.db").read_bytes().startswith(b"this is no database")


def test_a_start_that_is_refused_leaves_no_folder_for_sockets(tmp_path: Path) -> None:
    (tmp_path / "state.db").write_bytes(b"this is no database" * 100)
    sockets = open_places(tmp_path).sockets
    assert sockets.exists()
    for config in (LocalConfig(data_dir=tmp_path), LocalConfig(data_dir=tmp_path, bin_dir=tmp_path / "none")):
        with pytest.raises(ConfigError):
            Opened(config)
        assert not sockets.exists()


def test_a_data_directory_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "state.db")) as newer:
        newer.execute("PRAGMA user_version = 99")
    with pytest.raises(ConfigError, match="newer neon-branch-mcp"):
        Opened(LocalConfig(data_dir=tmp_path))


def test_where_the_first_project_was_deleted_the_oldest_other_or_a_new_one_is_the_default() -> None:
    with plane_folder() as folder:

        def delete(plane: Opened, project_id: str) -> None:
            plane.plane.service.submit(plane.plane.service.delete_project(project_id)).result()

        with opened(folder) as plane:
            other = plane.plane.service.create_project("other")
            plane.plane.service.submit(other).result()
            assert other.project is not None
            delete(plane, plane.plane.project_id)
        with opened(folder) as plane:
            assert plane.plane.project_id == other.project.id
            delete(plane, other.project.id)
        with opened(folder) as plane:
            assert root_of(plane).is_default


def test_a_file_in_the_data_directorys_place_is_told_as_such(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="is a file"):
        Opened(LocalConfig(data_dir=tmp_path / "file"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a folder of another user")
def test_a_data_directory_of_another_user_is_refused(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    os.chown(theirs, 12345, 12345)
    with pytest.raises(ConfigError, match="belongs to uid 12345"):
        Opened(LocalConfig(data_dir=theirs))


def test_a_folder_without_postgres_is_named_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no postgres there.*neon-branch-mcp\[local\]"):
        find_binaries(tmp_path)


def test_a_postgres_of_a_wrong_version_is_named(tmp_path: Path) -> None:
    for name in ("postgres", "initdb"):
        (tmp_path / name).write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 9.6.24'\n", encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    with pytest.raises(ConfigError, match=r"is version 9\.6"):
        find_binaries(tmp_path)


def test_of_several_installations_the_one_is_taken_that_can_run_the_clusters_there_are(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, said in (("postgres", "postgres (PostgreSQL) 14.99"), ("initdb", ""), ("pg_config", str(tmp_path))):
        (tmp_path / name).write_text(f"#!/bin/sh\necho '{said}'\n", encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    first = find_binaries(None)
    assert find_binaries(None, major=14).version == "14.99"
    assert find_binaries(None, major=first.major) == find_binaries(None, major=13) == first
    with opened(folder) as plane:
        places, binaries = plane.plane.service.core.places, plane.plane.service.core.binaries
    assert major_of(places) == binaries.major
    assert major_of(replace(places, root=tmp_path)) is None


@pytest.mark.skipif(
    os.geteuid() != 0, reason="as an ordinary user the servers run as ourselves, and reach what we reach"
)
def test_as_root_a_closed_folder_works_and_stays_closed(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    data = closed / "data"
    with opened(data) as plane:
        places = plane.plane.service.core.places
        with psycopg.connect(uri_of(plane, root_of(plane).id)) as conn:
            conn.execute("SELECT 1")
        assert {p.uids().effective for p in postmasters_below(places.clusters)} == {places.uid}
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    assert not places.root.is_relative_to(tmp_path)
    with opened(data) as plane:
        assert plane.plane.service.core.places.root == places.root
    destroy(data)
    assert not places.root.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="the whole suite runs as an ordinary user already")
def test_as_an_ordinary_user_it_works_too(tmp_path_factory: pytest.TempPathFactory) -> None:
    python = "/usr/bin/python3"
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    with contextlib.suppress(OSError):
        found = subprocess.run([python, "--version"], capture_output=True, text=True, check=False).stdout
        if f" {version}." not in found:
            pytest.skip("a user who is not root may not run this Python, and the system's is another version")
    with data_folder() as folder:
        os.chown(folder, 1, 1)
        script = (
            "import sys; from pathlib import Path; sys.path[:0] = sys.argv[2:]\n"
            "from neon_branch_mcp.config import LocalConfig; from neon_branch_mcp.local.plane import Opened\n"
            "import psycopg\n"
            "opened = Opened(LocalConfig(data_dir=Path(sys.argv[1]), sample=False)); plane = opened.plane\n"
            "uri = plane.service.connection_uri(plane.project_id, 'neondb', 'neondb_owner', branch_id=None, endpoint_id=None)\n"
            "print(psycopg.connect(uri).execute('SELECT 42').fetchone()); opened.close()\n"
        )
        paths = [p for p in sys.path if p and Path(p).is_dir()]
        done = subprocess.run(
            [python, "-c", script, str(folder), *paths],
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            env={"PATH": "/usr/bin:/bin", "HOME": str(folder)},
            user="daemon",
            group="daemon",
            extra_groups=[],
        )
        assert done.stdout == "(42,)\n", done.stderr
        assert postmasters_below(folder) == []
