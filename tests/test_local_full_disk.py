"""A full disk: nothing half made is kept, the error says so, and all goes on once there is room again."""

import contextlib
import errno
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from neon_branch_mcp.local.changes import Changed, NewBranch
from neon_branch_mcp.local.plane import Opened
from neon_branch_mcp.local.problems import DiskFull
from neon_branch_mcp.local.store import BranchRow
from neon_branch_mcp.local.watchdog import postmasters_below

from .conftest import data_folder, local_config, plane_folder

FULL = "the disk of the data directory is full"


@contextlib.contextmanager
def opened(folder: Path) -> Iterator[Opened]:
    found = Opened(local_config(folder, sample=False, history=0))
    try:
        yield found
    finally:
        found.close()


def create(plane: Opened) -> Changed:
    service = plane.plane.service
    made = service.create_branch(plane.plane.project_id, NewBranch(name="new"))
    service.submit(made).result()
    return made


def check_nothing_is_left(plane: Opened, failed: Changed) -> None:
    service, project = plane.plane.service, plane.plane.project_id
    ended = [service.operation(project, o.id) for o in failed.operations]
    assert [o.status for o in ended] == ["failed", "cancelled"]
    assert FULL in str(ended[0].error)
    root = service.branches(project)
    assert [b.name for b in root] == ["main"]
    assert [e.branch_id for e in service.endpoints(project)] == [root[0].id]
    clusters = service.core.places.clusters
    assert [p.name for p in clusters.iterdir()] == [root[0].cluster_id]
    assert len(postmasters_below(clusters)) <= 1


def check_it_works(plane: Opened) -> None:
    made = create(plane)
    assert made.branch is not None
    uri = plane.plane.service.connection_uri(
        plane.plane.project_id, "neondb", "neondb_owner", branch_id=made.branch.id, endpoint_id=None
    )
    with psycopg.connect(uri) as conn:
        assert conn.execute("SELECT 1").fetchone() == (1,)


def test_a_copy_that_finds_no_room_leaves_no_branch_port_or_file(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with plane_folder() as folder, opened(folder) as plane:
        with monkeypatch.context() as patched:
            patched.setattr(os, "copy_file_range", full, raising=False)
            check_nothing_is_left(plane, create(plane))
        check_it_works(plane)


@contextlib.contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[None]:
    """A file system of this size in the folder. Skips where nobody may mount one."""
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=711", "none", str(folder)]
    if os.geteuid() != 0 or shutil.which("mount") is None or subprocess.run(mount, check=False).returncode:
        pytest.skip("no file system may be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def write_until_full(plane: Opened, root: BranchRow) -> None:
    for _ in range(1000):  # the state's file has some room of its own
        plane.plane.service.update_branch(root.project_id, root.id, {"name": "main"})


def test_on_a_disk_that_is_really_full_the_parent_goes_on_and_the_branch_is_made_once_there_is_room() -> None:
    with data_folder() as folder, small_disk(folder, 150), opened(folder) as plane:
        filler = folder / "filler"
        free = shutil.disk_usage(folder).free
        filler.write_bytes(b"\0" * (free - 12_000_000))
        check_nothing_is_left(plane, create(plane))
        root = plane.plane.service.branches(plane.plane.project_id)[0]
        with filler.open("ab", buffering=0) as rest, contextlib.suppress(OSError):
            while rest.write(b"\0" * 4096):
                pass
        with pytest.raises(DiskFull, match=FULL):
            write_until_full(plane, root)
        assert plane.plane.service.core.cluster_of(root).execute("SELECT 1") == [(1,)]
        filler.unlink()
        check_it_works(plane)
