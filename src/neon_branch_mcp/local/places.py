"""Where things live on disk, and as whom Postgres runs.

Postgres refuses to run as root: as root the servers get a bare numeric uid. That uid must reach the clusters and the programs; where
the data directory or the virtual environment stands below a closed folder (`/root`, `mktemp -d`), both are kept in a folder of ours
elsewhere. Nobody else's folder is ever chmod'ed.
"""

import contextlib
import hashlib
import os
import shutil
import stat
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from . import watchdog
from .binaries import Binaries
from .files import copy_tree, spread_folders

SERVER_UID = 54329  # a bare number: no passwd entry has it, so nobody else's files or processes are concerned
ELSEWHERE = Path("/var/lib/neon-branch-mcp")
FOUND_AT = "clusters-at"
BELONGS_TO = "data-dir"
HALF_COPY, HALF_COPY_AGE = ".copy-", 600.0


@dataclass(frozen=True)
class Places:
    """The folders of one data directory. `uid` is None where the servers run as ourselves."""

    data_dir: Path
    root: Path
    """Holds clusters, templates and logs; `data_dir` itself unless the servers' uid cannot get there."""
    sockets: Path
    uid: int | None

    @property
    def state(self) -> Path:
        return self.data_dir / "state.db"

    @property
    def locks(self) -> Path:
        return self.data_dir / "locks"

    @property
    def clusters(self) -> Path:
        return self.root / "clusters"

    @property
    def spawn_as(self) -> dict[str, Any]:
        """Arguments for subprocess that make a child run as the servers' user."""
        return {} if self.uid is None else {"user": self.uid, "group": self.uid, "extra_groups": []}

    def keep_sockets(self) -> None:
        """Make the sockets' folder again if somebody tidied it away."""
        if not _own_folder(self.sockets, self.uid):
            raise ConfigError(f"{self.sockets}, where the servers' sockets were, belongs to somebody else now.")

    def leave_sockets(self) -> None:
        """Remove the sockets' folder unless another process has sockets there; for a start that is refused."""
        with contextlib.suppress(OSError):
            self.sockets.rmdir()

    def give(self, path: Path) -> None:
        """Make the servers' user the owner of a file or folder of ours."""
        if self.uid is not None:
            os.chown(path, self.uid, self.uid, follow_symlinks=False)


def open_places(data_dir: Path) -> Places:
    """Make the folders, or find them as they were left.

    Raises ConfigError when the data directory belongs to another user or cannot be made.
    """
    data_dir = Path(os.path.abspath(data_dir))
    uid = SERVER_UID if os.geteuid() == 0 else None
    if data_dir.exists() and not data_dir.is_dir():
        raise ConfigError(f"The data directory {data_dir} is a file; name another --data-dir.")
    try:
        made = not data_dir.exists()
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        if made and uid is not None:
            data_dir.chmod(0o711)
        owner = data_dir.stat().st_uid
        if owner != os.geteuid():
            raise ConfigError(
                f"The data directory {data_dir} belongs to uid {owner}, and this process runs as uid {os.geteuid()}; "
                "run as that user, or name another --data-dir."
            )
        root = _find_root(data_dir, uid)
        places = Places(data_dir, root, _sockets(data_dir, uid), uid)
        places.locks.mkdir(exist_ok=True, mode=0o700)
        _mkdir_for(places, places.clusters)
        for folder in (places.root, places.clusters):
            spread_folders(folder)
    except OSError as exc:
        raise ConfigError(f"The data directory {data_dir} cannot be used: {exc}; name another --data-dir.") from exc
    return places


def _mkdir_for(places: Places, path: Path) -> None:
    path.mkdir(exist_ok=True, mode=0o700)
    places.give(path)


def digest(path: Path) -> str:
    """A short name for a path."""
    return hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:12]


def can_traverse(path: Path, uid: int | None) -> bool:
    """Whether the servers' user may walk down to `path`."""
    if uid is None:
        return True
    for folder in (path, *path.parents):
        info = folder.stat()
        if not info.st_mode & (stat.S_IXUSR if info.st_uid == uid else stat.S_IXOTH):
            return False
    return True


def _find_root(data_dir: Path, uid: int | None) -> Path:
    note = data_dir / FOUND_AT
    if note.exists():
        root = Path(note.read_text(encoding="utf-8").strip())
        root.mkdir(parents=True, exist_ok=True)
        return root
    if can_traverse(data_dir.resolve(), uid):
        return data_dir
    root = _folder_elsewhere() / digest(data_dir)
    root.mkdir(exist_ok=True)
    root.chmod(0o711)
    (root / BELONGS_TO).write_text(f"{data_dir}\n", encoding="utf-8")
    note.write_text(f"{root}\n", encoding="utf-8")
    return root


def _temporary_elsewhere() -> Path:
    return Path(tempfile.gettempdir()) / "neon-branch-mcp-root"


def _folder_elsewhere() -> Path:
    """A folder of ours that everybody can walk through; only root needs one."""
    for folder in (ELSEWHERE, _temporary_elsewhere()):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        info = folder.lstat()
        if stat.S_ISDIR(info.st_mode) and info.st_uid == 0:
            folder.chmod(0o711)
            if can_traverse(folder, SERVER_UID):
                return folder
    raise ConfigError(f"Neither {ELSEWHERE} nor the temporary folder can hold the clusters; name another --data-dir.")


def _sockets(data_dir: Path, uid: int | None) -> Path:
    """A short folder for unix sockets (their paths may have 103 bytes), closed to everybody but the servers' user."""
    base = Path("/tmp") if Path("/tmp").is_dir() else Path(tempfile.gettempdir())
    for attempt in range(10):
        folder = base / f"nbm-{digest(data_dir)}{attempt or ''}"
        if _own_folder(folder, uid):
            return folder
    raise ConfigError(f"Somebody else owns every folder that could hold the servers' sockets ({base}/nbm-…).")


def _own_folder(folder: Path, uid: int | None) -> bool:
    """Make the folder closed and the servers' own; False when somebody else has one of that name."""
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
        if uid is not None:
            os.chown(folder, uid, uid)
    info = folder.lstat()
    want = os.geteuid() if uid is None else uid
    return stat.S_ISDIR(info.st_mode) and info.st_uid == want and stat.S_IMODE(info.st_mode) == 0o700


def destroy(data_dir: Path) -> None:
    """Delete a data directory that no process has open, with what it keeps elsewhere."""
    note = data_dir / FOUND_AT
    if note.exists():
        _remove_root(Path(note.read_text(encoding="utf-8").strip()), data_dir)
    shutil.rmtree(data_dir, ignore_errors=True)


def sweep_elsewhere(places: Places) -> None:
    """Remove what deleted data directories kept elsewhere. Only root keeps anything elsewhere."""
    if places.uid is None:
        return
    for note in (*ELSEWHERE.glob(f"*/{BELONGS_TO}"), *_temporary_elsewhere().glob(f"*/{BELONGS_TO}")):
        # Another process may be sweeping as well: what it took away is done.
        with contextlib.suppress(FileNotFoundError):
            data_dir = Path(note.read_text(encoding="utf-8").strip())
            if not data_dir.exists():
                _remove_root(note.parent, data_dir)
    _sweep_half_copies()


def _sweep_half_copies() -> None:
    """Copies of binaries that a kill cut short; a young one may be in the making."""
    for folder in (*ELSEWHERE.glob(f"{HALF_COPY}*"), *_temporary_elsewhere().glob(f"{HALF_COPY}*")):
        with contextlib.suppress(FileNotFoundError):
            if time.time() - folder.stat().st_mtime > HALF_COPY_AGE:
                shutil.rmtree(folder, ignore_errors=True)


def _remove_root(root: Path, data_dir: Path) -> None:
    """Only a folder that says itself whose it is."""
    note = root / BELONGS_TO
    if note.exists() and note.read_text(encoding="utf-8").strip() == str(data_dir):
        watchdog.stop_all(root)
        shutil.rmtree(root, ignore_errors=True)


def reachable(binaries: Binaries, uid: int | None) -> Binaries:
    """The binaries, or a copy of their installation where the servers' user cannot get to them."""
    real = binaries.folder.resolve()
    if can_traverse(real, uid):
        return binaries
    installation = real.parent
    stamp = int((real / "postgres").stat().st_mtime)
    copy = _folder_elsewhere() / f"postgres-{binaries.version}-{digest(installation)}-{stamp}"
    if not copy.exists():
        half = Path(tempfile.mkdtemp(prefix=HALF_COPY, dir=copy.parent))
        half.chmod(0o755)
        copy_tree(installation, half)
        try:
            half.rename(copy)
        except OSError:  # another process was faster
            shutil.rmtree(half)
    return replace(binaries, folder=copy / real.name)
