"""Copying folders: reflinks where the file system has them, plain copies by the kernel else."""

import array
import errno
import fcntl
import functools
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

CHUNK = 1 << 30
FICLONE = 0x40049409  # linux/fs.h
FS_IOC_GETFLAGS, FS_IOC_SETFLAGS, FS_TOPDIR_FL = 0x80086601, 0x40086602, 0x20000  # linux/fs.h


def copy_tree(
    source: Path, target: Path, *, skip: Callable[[str], bool] = lambda _: False, uid: int | None = None
) -> None:
    """Copy a folder's contents into `target`, which is made if need be.

    `skip` is asked with each path relative to `source`, with slashes. Files that vanish meanwhile are left out. With `uid` the copies
    belong to it.
    """
    target.mkdir(exist_ok=True, mode=0o700)
    if uid is not None:
        os.chown(target, uid, uid)
    for entry, relative in _walk(source, ""):
        if skip(relative):
            continue
        to = target / relative
        if entry.is_symlink():
            os.symlink(os.readlink(entry.path), to)
        elif entry.is_dir():
            to.mkdir(mode=0o755 if uid is None else 0o700)
            if uid is not None:
                os.chown(to, uid, uid)
        else:
            copy_file(entry.path, str(to), uid=uid)


def _walk(folder: Path | str, prefix: str) -> Iterator[tuple[os.DirEntry[str], str]]:
    try:
        with os.scandir(folder) as entries:
            found = list(entries)
    except FileNotFoundError:
        return
    for entry in found:
        relative = prefix + entry.name
        yield entry, relative
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(entry.path, relative + "/")


def copy_file(source: str, target: str, *, uid: int | None = None) -> bool:
    """Copy one file with its mode; False when it vanished."""
    try:
        src = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        info = os.fstat(src)
        dst = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, stat.S_IMODE(info.st_mode))
        try:
            _copy_bytes(src, dst, info.st_size)
            if uid is not None:
                os.fchown(dst, uid, uid)
        finally:
            os.close(dst)
    finally:
        os.close(src)
    return True


def _copy_bytes(src: int, dst: int, size: int) -> None:
    """copy_file_range reflinks by itself on xfs and btrfs; where it cannot work between these two files, read and write."""
    copied = 0
    while copied < size:
        try:
            n = os.copy_file_range(src, dst, min(CHUNK, size - copied)) if hasattr(os, "copy_file_range") else -1
        except OSError as exc:
            if exc.errno not in (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
                raise
            n = -1
        if n <= 0:  # 0: it became shorter meanwhile, or this file system says so for what it cannot do
            _read_and_write(src, dst)
            return
        copied += n


def _read_and_write(src: int, dst: int) -> None:
    while data := os.read(src, 1 << 20):
        view = memoryview(data)
        while view:
            view = view[os.write(dst, view) :]


def give_tree(folder: Path, uid: int) -> None:
    """Make `uid` the owner of a folder and all below it."""
    os.chown(folder, uid, uid)
    for entry, _ in _walk(folder, ""):
        os.chown(entry.path, uid, uid, follow_symlinks=False)


@functools.cache
def has_reflinks(folder: Path) -> bool:
    """Whether copies in this folder share their blocks until they are changed (xfs, btrfs, …); found out by making one."""
    with tempfile.TemporaryFile(dir=folder) as source, tempfile.TemporaryFile(dir=folder) as target:
        source.write(b"x" * 65_536)
        source.flush()
        try:
            fcntl.ioctl(target.fileno(), FICLONE, source.fileno())
        except OSError:
            return False
    return True


def spread_folders(folder: Path) -> bool:
    """Have ext4 put each new folder in here into a part of the disk of its own; False where the file system knows no such wish.

    Without a journal ext4 gives the inode of a deleted file to nobody for five minutes and searches past every one of them: a branch made
    after another was deleted took four times as long.
    """
    opened = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        flags = array.array("l", [0])
        fcntl.ioctl(opened, FS_IOC_GETFLAGS, flags)
        if not flags[0] & FS_TOPDIR_FL:
            flags[0] |= FS_TOPDIR_FL
            fcntl.ioctl(opened, FS_IOC_SETFLAGS, flags)
        return True
    except OSError:
        return False
    finally:
        os.close(opened)


def disk_usage(folder: Path) -> int:
    """Bytes of the files below a folder, as their lengths say."""
    total = 0
    for entry, _ in _walk(folder, ""):
        try:
            total += entry.stat(follow_symlinks=False).st_size if entry.is_file(follow_symlinks=False) else 0
        except FileNotFoundError:
            continue
    return total
