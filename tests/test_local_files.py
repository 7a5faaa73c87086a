"""Copying files where the file system helps, where it refuses, and where it is full."""

import errno
import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from neon_branch_mcp.local.files import copy_file, copy_tree, has_reflinks, spread_folders

from .conftest import data_folder

CONTENT = bytes(range(256)) * 20_000


def refuses(code: int) -> Callable[..., int]:
    def refuse(*args: object) -> int:
        raise OSError(code, os.strerror(code))

    return refuse


@pytest.mark.parametrize("code", [errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP])
def test_where_the_file_system_cannot_copy_by_itself_the_bytes_are_read_and_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    (tmp_path / "a").write_bytes(CONTENT)
    (tmp_path / "a").chmod(0o640)
    monkeypatch.setattr(os, "copy_file_range", refuses(code), raising=False)
    assert copy_file(str(tmp_path / "a"), str(tmp_path / "b"))
    assert (tmp_path / "b").read_bytes() == CONTENT
    assert (tmp_path / "b").stat().st_mode == (tmp_path / "a").stat().st_mode


def test_a_copy_that_ends_early_is_finished_by_reading_and_writing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some file systems say that there is nothing more where there is."""
    parts = iter([10_000, 0])

    def short(src: int, dst: int, count: int) -> int:
        return os.write(dst, os.read(src, next(parts)))

    (tmp_path / "a").write_bytes(CONTENT)
    monkeypatch.setattr(os, "copy_file_range", short, raising=False)
    copy_file(str(tmp_path / "a"), str(tmp_path / "b"))
    assert (tmp_path / "b").read_bytes() == CONTENT


def test_a_full_disk_ends_the_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "a").write_bytes(CONTENT)
    monkeypatch.setattr(os, "copy_file_range", refuses(errno.ENOSPC), raising=False)
    with pytest.raises(OSError, match="No space left"):
        copy_tree(tmp_path / "tree", tmp_path / "copy")


def test_a_folder_is_copied_between_two_file_systems(tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "er" / "a").write_bytes(CONTENT)
    (tmp_path / "deep" / "skipped").write_bytes(b"x")
    (tmp_path / "deep" / "link").symlink_to("er/a")
    with data_folder() as other:
        copy_tree(tmp_path / "deep", other / "copy", skip=lambda path: path == "skipped")
        assert (other / "copy" / "er" / "a").read_bytes() == CONTENT
        assert (other / "copy" / "link").read_bytes() == CONTENT
        assert not (other / "copy" / "skipped").exists()


def test_a_file_system_that_refuses_to_share_blocks_is_not_said_to_do_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fcntl, "ioctl", refuses(errno.EOPNOTSUPP))
    assert not has_reflinks(tmp_path / ".")
    assert list(tmp_path.iterdir()) == []


def test_a_file_system_that_knows_no_place_for_folders_is_left_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert spread_folders(tmp_path) == spread_folders(tmp_path)
    monkeypatch.setattr(fcntl, "ioctl", refuses(errno.ENOTTY))
    assert not spread_folders(tmp_path)
