"""What is written into a cluster before it starts: postgresql.conf and pg_hba.conf."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from .binaries import Binaries

SUPERUSER = "cloud_admin"  # Neon's name for it; it can log in through the private unix socket only
SMALL_SHM = 8 << 20


def postgresql_conf(binaries: Binaries, *, durable: bool) -> str:
    """Lean settings. `durable` is for root branches, which hold the only copy of a user's data; a child can be made again.

    A child still keeps every commit it has acknowledged when its Postgres is killed: without fsync, `synchronous_commit` costs it one
    write to the kernel. A root may lose the last 0.6 s, the price of imports that do not wait for the disk.

    Connections cost memory whether they are made or not: with 64 an idle branch stays below 10 MB.
    full_page_writes stays on everywhere: a clone copies pages while they are written.
    """
    settings = {
        "listen_addresses": "127.0.0.1",
        "unix_socket_permissions": "0700",
        "max_connections": "64",
        "superuser_reserved_connections": "4",
        "shared_buffers": "16MB",
        "max_worker_processes": "4",
        "max_parallel_workers": "2",
        "max_wal_senders": "4",
        "max_replication_slots": "8",
        "max_logical_replication_workers": "0",
        "wal_level": "replica",
        "max_wal_size": "256MB",
        "min_wal_size": "32MB",
        "checkpoint_timeout": "15min",
        "full_page_writes": "on",
        "fsync": "on" if durable else "off",
        "synchronous_commit": "off" if durable else "on",
        "jit": "off",
        "huge_pages": "off",
        "password_encryption": "scram-sha-256",
        "timezone": "GMT",
        "log_timezone": "GMT",
        "log_line_prefix": "%m [%p] %q%u@%d ",
        "lc_messages": "C",
        "ssl": "on" if binaries.has_openssl else "off",
    }
    # History is kept for point in time, but not at the price of a full disk.
    settings["max_slot_wal_keep_size"] = "4GB" if durable else "1GB"
    if sys.platform == "linux":
        settings["recovery_init_sync_method"] = "syncfs"
        if _shm_is_small():
            settings["dynamic_shared_memory_type"] = "mmap"
    if binaries.major >= 18:
        settings["io_method"] = "sync"
    return "".join(f"{name} = '{value}'\n" for name, value in settings.items())


def _shm_is_small() -> bool:
    try:
        info = os.statvfs("/dev/shm")
    except OSError:
        return True
    return info.f_bavail * info.f_frsize < SMALL_SHM


HBA = f"""\
local all         {SUPERUSER} trust
local replication {SUPERUSER} trust
host  all         {SUPERUSER} 127.0.0.1/32 reject
host  all         all         127.0.0.1/32 scram-sha-256
"""


def write_settings(data: Path, binaries: Binaries, *, durable: bool, extra: Mapping[str, str] | None = None) -> None:
    """Replace the cluster's settings by ours. Files keep their owner: they are written in place."""
    more = "".join(f"{name} = {_quoted(value)}\n" for name, value in (extra or {}).items())
    text = postgresql_conf(binaries, durable=durable) + more
    (data / "postgresql.conf").write_text(text, encoding="utf-8")
    (data / "pg_hba.conf").write_text(HBA, encoding="utf-8")


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
