"""Making a cluster: from a template, or as a copy of a parent, running or stopped."""

import os
import pwd
import secrets
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ..errors import ConfigError, Unreachable
from .binaries import Binaries
from .cluster import Cluster
from .files import copy_file, copy_tree, give_tree
from .locks import locked
from .places import Places
from .problems import DiskFull
from .settings import SUPERUSER, write_settings
from .tls import write_certificate

TEMPLATE_VERSION = 1  # part of the template's name: raise it when what is made here changes
EMPTIED = (  # folders whose contents belong to the running server, not to the data
    "pg_wal/",
    "pg_replslot/",
    "pg_dynshmem/",
    "pg_notify/",
    "pg_serial/",
    "pg_snapshots/",
    "pg_stat_tmp/",
    "pg_subtrans/",
)
CHECKPOINT_AT = 32  # bytes into pg_control: after the system's id, two versions, the state and the time
LEFT_OUT = frozenset({"postmaster.pid", "postmaster.opts", "backup_label", "tablespace_map"})


@dataclass(frozen=True)
class Cloned:
    """Where in the parent's history a copy stands, and how it was made."""

    lsn: str
    """The end: all that begins before it in the parent's history is in the copy, and nothing that begins there or later."""
    start: str
    """From here on the copy needs WAL to become consistent."""
    way: Literal["copy of a running parent", "copy of a stopped parent", "point in time", "warm spare", "schema only"]


def make_from_template(cluster: Cluster) -> None:
    """A fresh, empty cluster. It does not run yet.

    The first one of a data directory comes from initdb itself; later ones are copies of a template, in a tenth of the time.
    """
    places = cluster.places
    prepare_folder(cluster)
    with locked(places.locks / "template"):
        first = not any(p.name != cluster.id for p in places.clusters.iterdir())
        if first and not template_of(places, cluster.binaries).exists():
            _initdb(places, cluster.binaries, cluster.data)
            return
        template = make_template(places, cluster.binaries)
    copy_tree(template, cluster.data, uid=places.uid)


def template_of(places: Places, binaries: Binaries) -> Path:
    """Where the template of this Postgres is, or will be."""
    return places.root / f"template-{binaries.version}-{TEMPLATE_VERSION}"


def make_template(places: Places, binaries: Binaries) -> Path:
    """The template, made at first need. The caller holds its lock, or has the data directory to itself."""
    template = template_of(places, binaries)
    if not template.exists():
        _initdb(places, binaries, template)
    return template


def prepare_folder(cluster: Cluster) -> None:
    """The cluster's folder, open to the servers' user."""
    cluster.folder.mkdir(mode=0o700)
    cluster.places.give(cluster.folder)


def configure(cluster: Cluster, *, durable: bool, extra: Mapping[str, str] | None = None) -> None:
    """Write the settings, with `extra` ones after ours, and the certificate where the binaries speak TLS."""
    write_settings(cluster.data, cluster.binaries, durable=durable, extra=extra)
    if cluster.binaries.has_openssl:
        for name, mode in (("server.crt", 0o600), ("server.key", 0o600)):
            target = cluster.data / name
            shutil.copyfile(certificate(cluster.places) / name, target)
            target.chmod(mode)
            cluster.places.give(target)


def remove(cluster: Cluster) -> None:
    """Stop it at once and delete its files. Nothing is left, whatever state it was in."""
    with locked(cluster.lock):
        cluster.stop_locked(immediate=True)
        shutil.rmtree(cluster.folder, ignore_errors=True)
        cluster.lock.unlink(missing_ok=True)


def clone(parent: Cluster, child: Cluster) -> Cloned:
    """Copy a parent as it is now. A parent that runs goes on running, and what is committed before the end is in the copy.

    The child does not run yet. On an error the half copy is left to the caller to remove.
    """
    prepare_folder(child)
    with locked(parent.lock):
        if parent.running() is None:
            copy_tree(parent.data, child.data, skip=_skip_stopped, uid=child.places.uid)
            lsn = _checkpoint_lsn(child)
            return Cloned(lsn, lsn, "copy of a stopped parent")
    return clone_running(parent, child)


def _skip_stopped(path: str) -> bool:
    return path in LEFT_OUT or path.startswith("pg_replslot/")


def _skip_running(path: str) -> bool:
    return path in LEFT_OUT or path.startswith(EMPTIED) or "/pgsql_tmp" in path


def clone_running(parent: Cluster, child: Cluster, *, interrupt: Callable[[], None] = lambda: None) -> Cloned:
    """Copy a running parent into the child's folder; `interrupt` is called before each file and may raise."""

    def skip(path: str) -> bool:
        interrupt()
        return _skip_running(path)

    slot = f"clone_{secrets.token_hex(4)}"
    with parent.connect() as conn:
        if conn.execute("SELECT 1 FROM pg_tablespace WHERE spcname NOT IN ('pg_default', 'pg_global')").fetchone():
            raise Unreachable("The parent has tablespaces; a branch with tablespaces cannot be copied.")
        conn.execute("SELECT pg_create_physical_replication_slot(%s, true, true)", [slot])  # keeps the WAL we need
        before_15 = parent.binaries.major < 15
        start_call = "pg_start_backup(%s, true, false)" if before_15 else "pg_backup_start(%s, true)"
        stop_call = "pg_stop_backup(false, false)" if before_15 else "pg_backup_stop(false)"
        started = conn.execute(f"SELECT lsn, pg_walfile_name(lsn) FROM {start_call} AS lsn", [slot]).fetchone()
        copy_tree(parent.data, child.data, skip=skip, uid=child.places.uid)
        stopped = conn.execute(
            f"SELECT pg_walfile_name(lsn), labelfile, lsn - '0/0', pg_size_bytes(current_setting('wal_segment_size')) FROM {stop_call}"
        ).fetchone()
        assert started is not None
        assert stopped is not None
        last, label, stop, segment = stopped
        _copy_wal(parent, child, first=str(started[1]), last=str(last))
    target = child.data / "backup_label"
    target.write_text(label, encoding="utf-8")
    child.places.give(target)
    # The backup's end begins a new segment. What others wrote before that is in the copied one, and is replayed.
    end = -(-int(stop) // segment) * segment
    return Cloned(lsn_text(end), str(started[0]), "copy of a running parent")


def _copy_wal(parent: Cluster, child: Cluster, *, first: str, last: str) -> None:
    """Segments in whose names sort between the two; all are on one timeline or carry its history with them."""
    folder = parent.data / "pg_wal"
    for path in sorted(folder.iterdir()):
        if path.name.endswith(".history") or (len(path.name) == 24 and first <= path.name <= last):
            copy_file(str(path), str(child.data / "pg_wal" / path.name), uid=child.places.uid)


def _checkpoint_lsn(cluster: Cluster) -> str:
    """The last checkpoint of a cluster that was shut down, which is the end of its history; at the same place from 14 to 18."""
    (lsn,) = struct.unpack_from("=Q", (cluster.data / "global" / "pg_control").read_bytes(), CHECKPOINT_AT)
    return lsn_text(lsn)


def lsn_text(lsn: int) -> str:
    """A log position as Postgres writes it."""
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"


def fork_point(cluster: Cluster) -> str:
    """Where a promoted cluster left its parent's history, by the file that says so: all that begins before it was replayed."""
    newest = max((cluster.data / "pg_wal").glob("*.history"), key=lambda path: path.name)
    last = [line for line in newest.read_text(encoding="utf-8").splitlines() if line.strip()][-1]
    return last.split()[1]


def certificate(places: Places) -> Path:
    """The folder with this data directory's server.crt and server.key, made at first need."""
    folder = places.data_dir / "tls"
    with locked(places.locks / "tls"):
        if not (folder / "server.crt").exists():
            folder.mkdir(exist_ok=True, mode=0o700)
            write_certificate(folder / "server.crt.new", folder / "server.key")
            (folder / "server.crt.new").rename(folder / "server.crt")
    return folder


def _initdb(places: Places, binaries: Binaries, target: Path) -> None:
    with _initdb_place(places) as (data, spawn_as):
        # Builds know C.UTF-8 by themselves from 17 on; before, and for lc_ctype, it is the system's, which may lack it.
        builtin = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"] if binaries.major >= 17 else []
        for locale in ("C.UTF-8", "C"):
            answer = _run_initdb(binaries, data, [f"--locale={locale}", *builtin], spawn_as)
            if answer.returncode == 0:
                break
        else:
            if "No space left on device" in answer.stderr:
                raise DiskFull
            raise ConfigError(f"initdb of Postgres {binaries.version} failed: {answer.stderr.strip()[-1500:]}")
        if places.uid is not None:
            give_tree(data, places.uid)
        data.rename(target)


def _run_initdb(
    binaries: Binaries, data: Path, locale: list[str], spawn_as: dict[str, Any]
) -> subprocess.CompletedProcess[str]:
    fixed = ["-U", SUPERUSER, "-E", "UTF8", "--auth=trust", "--no-sync", "--wal-segsize=4"]
    return subprocess.run(
        [binaries.tool("initdb"), "-D", str(data), *fixed, *locale],
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
        **spawn_as,
    )


@contextmanager
def _initdb_place(places: Places) -> Iterator[tuple[Path, dict[str, Any]]]:
    """initdb alone wants a user with a name: as root it runs as `nobody`, in a folder of its own."""
    folder = Path(tempfile.mkdtemp(prefix="initdb-", dir=places.root))
    try:
        spawn_as: dict[str, Any] = {}
        if places.uid is not None:
            nobody = pwd.getpwnam("nobody")
            os.chown(folder, nobody.pw_uid, nobody.pw_gid)
            spawn_as = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        yield folder / "data", spawn_as
    finally:
        shutil.rmtree(folder, ignore_errors=True)
