"""The record of every call: what was asked, what was decided, what came of it.

A change is on disk before it is sent (`begin`), its outcome after (`end`); a read is one line at its end. Several processes may write
to one log; a line that a crash cut off is kept and accounted for. No secret is written: the SQL goes through `redact`.
"""

import errno
import fcntl
import hashlib
import logging
import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import anyio
import anyio.to_thread
import platformdirs

from . import audit_chain
from .audit_chain import Head
from .config import APP_NAME, AuditConfig
from .errors import Refused
from .redact import redact

log = logging.getLogger(__name__)

MAX_SQL = 20_000
"""Characters of SQL kept in a record; longer text is cut, and its hash tells the whole."""
NEAR = 1 << 16
"""Bytes of other writers' records that are read in less time than a thread takes."""


@dataclass(frozen=True)
class Entry:
    """A call: who asked for what, where. `effect` is what the call may do, not what its tool could."""

    tool: str
    effect: Literal["read", "write"]
    caller: str = ""
    client: str = ""
    session: str = ""
    project: str = ""
    branch: str = ""
    branch_id: str = ""
    database: str = ""
    access: str = ""
    sql: str | None = None


@dataclass(frozen=True)
class Outcome:
    """What came of a call: "ok" or the code of the error, with the guard's rule for a refusal and the SQLSTATE of an SQL error."""

    result: str = "ok"
    rule: str = ""
    rows: int | None = None
    sqlstate: str = ""


@dataclass(frozen=True)
class Token:
    """A call that has begun."""

    call: str
    entry: Entry
    started: float
    recorded: bool
    facts: Mapping[str, Any] | None = None
    """The entry as it is written, where that is made already."""


def new_id() -> str:
    """What a call is called in the record: twelve hexadecimal digits."""
    return os.urandom(6).hex()


def default_path() -> Path:
    """Where the audit is when the configuration names no place."""
    return platformdirs.user_state_path(APP_NAME) / "audit.jsonl"


class Audit:
    """The writer of one log. Safe to share between tasks and threads."""

    def __init__(self, config: AuditConfig) -> None:
        self._config = config
        self.path = config.path or default_path()
        self._file = LogFile(self.path, config.max_bytes)

    async def begin(self, entry: Entry) -> Token:
        """Opens the record of a call; that of a change is on disk when this returns.

        Raises Refused when a change cannot be recorded: then it must not be made.
        """
        token = Token(new_id(), entry, time.monotonic(), entry.effect == "write")
        if not (token.recorded and self._config.enabled):
            return token
        try:
            record = _stamped({"event": "begin", "call": token.call, **self._facts(entry)})
            await anyio.to_thread.run_sync(lambda: self._file.append(record, durable=True))
        except OSError as exc:
            raise Refused(
                f"The audit {self.path} cannot be written ({exc.strerror or exc.__class__.__name__}). Nothing was done.",
                rule="audit",
                remedy="Make it writable, name another file in audit.path, or read only.",
            ) from exc
        return token

    def foresee(self, entry: Entry, started: float) -> Token:
        """A read, with all that is written of it when it ends but its outcome. `started` is by the monotonic clock."""
        return Token(
            new_id(), entry, started, recorded=False, facts=self._facts(entry) if self._config.enabled else None
        )

    async def end(self, token: Token, outcome: Outcome) -> None:
        """Records what came of a call. Never fails the call: what happened has happened, and the log says if this was not written."""
        if not self._config.enabled:
            return
        facts: Mapping[str, Any] = {} if token.recorded else token.facts or self._facts(token.entry)
        record = {
            "event": "end" if token.recorded else "call",
            "call": token.call,
            **facts,
            "decision": "refused" if outcome.result == "refused" else "allowed",
            **{k: v for k, v in vars(outcome).items() if v not in ("", None)},
            "ms": round((time.monotonic() - token.started) * 1000),
        }
        stamped = _stamped(record)
        try:  # a line that only goes to the system's cache costs less than a thread does
            self._file.append(stamped, durable=False, wait=False)
            return
        except OSError:
            pass  # a real fault shows again, and is told, below
        with anyio.CancelScope(shield=True):
            try:
                await anyio.to_thread.run_sync(lambda: self._file.append(stamped, durable=False))
            except OSError as exc:
                log.error("The end of call %s (%s) is not in the audit: %s", token.call, token.entry.tool, exc)

    async def record(self, entry: Entry, outcome: Outcome) -> None:
        """Records a call that came to nothing, such as a refused one, in one line."""
        await self.end(Token(new_id(), entry, time.monotonic(), recorded=False), outcome)

    def _facts(self, entry: Entry) -> dict[str, Any]:
        facts = {k: v for k, v in vars(entry).items() if v not in ("", None) and k != "sql"}
        if entry.sql is not None:
            hashed = self._config.sql == "hash"
            text = "" if hashed else redact(entry.sql)
            if not hashed:
                facts["sql"] = text[:MAX_SQL]
            if len(text) > MAX_SQL:
                facts["sql_length"] = len(text)
            if hashed or len(text) > MAX_SQL:
                facts["sql_sha256"] = hashlib.sha256(entry.sql.encode(errors="backslashreplace")).hexdigest()
        return facts


def _stamped(record: dict[str, Any]) -> dict[str, Any]:
    return {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), **record}


@dataclass
class LogFile:
    """The files of one log: appending under a lock, rotating, and going on after a crash."""

    path: Path
    max_bytes: int
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _fd: int = -1
    _size: int = -1
    _file: tuple[int, int] = (0, 0)
    """Device and inode of the file that is open."""
    _head: Head = field(default_factory=Head)

    def __post_init__(self) -> None:
        self._head_path = str(audit_chain.head_path(self.path))
        self._path = str(self.path)

    def append(self, record: dict[str, Any], *, durable: bool, wait: bool = True) -> None:
        """Adds a record; it is on disk when this returns if `durable`. Raises OSError, and then nothing was added: BlockingIOError
        where it would have to `wait` for another writer, or for a file that is full to be put away.
        """
        if not self._lock.acquire(blocking=wait):
            raise BlockingIOError("another thread writes to the log")
        try:
            lock_fd = self._open_head()
            try:
                fcntl.flock(lock_fd, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
                more = self._more()
                if more == 0:
                    self._write(record, durable=durable)
                    os.pwrite(lock_fd, self._head.text(), 0)
                    return
                if not wait and not 0 < more < NEAR:
                    raise BlockingIOError("the log is to be read or rotated first")
                torn = self._catch_up(lock_fd)
                self._write(record if torn is None else {**record, "torn": torn}, durable=durable)
                text = self._head.text()
                if os.pwrite(lock_fd, text, 0) < os.fstat(lock_fd).st_size:
                    os.ftruncate(lock_fd, len(text))
            finally:
                os.close(lock_fd)
        finally:
            self._lock.release()

    def _open_head(self) -> int:
        for _ in range(2):
            try:
                return os.open(self._head_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            except FileNotFoundError:
                self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        raise FileNotFoundError(errno.ENOENT, "the folder does not stay", str(self.path.parent))

    def _more(self) -> int:
        """Bytes that others have added to the file that was written to last; -1 where it is no longer that one, or takes no more."""
        if self._fd < 0:
            return -1
        try:
            found = os.stat(self._path)
        except FileNotFoundError:
            return -1
        if (found.st_dev, found.st_ino) != self._file or not self._size <= found.st_size < self.max_bytes:
            return -1
        return found.st_size - self._size

    def _catch_up(self, lock_fd: int) -> str | None:
        """Opens the current file and finds the head, which another process may have moved. Returns the hash of a cut-off line."""
        fd = self._open()
        size = os.fstat(fd).st_size
        newest, torn = self._newest(fd, size)
        # Where the head file knows of more, records were taken away: going on after them lets `verify` see the gap.
        self._head = max(newest, audit_chain.read_head(os.pread(lock_fd, 128, 0)), key=lambda head: head.seq)
        if size >= self.max_bytes:
            os.fsync(fd)
            self.path.rename(self.path.with_name(f"{self.path.name}.{self._head.seq:012d}"))
            size = os.fstat(self._open()).st_size
        self._size = size
        return torn

    def _newest(self, fd: int, size: int) -> tuple[Head, str | None]:
        """The newest record's head, and the hash of a cut-off line behind it; of the last rotated file while the current is empty."""
        rotated = [] if size else [p for p in audit_chain.files(self.path) if p != self.path]
        if not rotated:
            return self._read_end(fd, size)
        with rotated[-1].open("rb") as stream:
            return self._read_end(stream.fileno(), os.fstat(stream.fileno()).st_size)

    def _open(self) -> int:
        """The descriptor of the file that now has the log's name."""
        if self._fd >= 0:
            try:
                if os.path.samestat(os.fstat(self._fd), os.stat(self.path)):
                    return self._fd
            except FileNotFoundError:
                pass
            os.close(self._fd)
            self._fd = self._size = -1
        self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        opened = os.fstat(self._fd)
        self._file = (opened.st_dev, opened.st_ino)
        folder = os.open(self.path.parent, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return self._fd

    def _read_end(self, fd: int, size: int) -> tuple[Head, str | None]:
        parts: list[bytes] = []
        start, newlines = size, 0
        while start > 0 and newlines < 2:
            step = min(65_536, start)
            start -= step
            parts.append(os.pread(fd, step, start))
            newlines += parts[-1].count(b"\n")
        whole, _, cut = b"".join(reversed(parts)).rpartition(b"\n")
        torn = audit_chain.torn_hash(cut) if cut else None
        if (record := audit_chain.parse(whole.rpartition(b"\n")[2])) is not None:
            return Head(record["seq"], record["hash"]), torn
        if whole:
            raise OSError(f"{self.path.name} ends in a line that is not a record; run audit verify")
        return Head(), torn

    def _write(self, record: dict[str, Any], *, durable: bool) -> None:
        data, head = audit_chain.seal(record, self._head)
        if "torn" in record and self._size:
            data = b"\n" + data
        size, left = self._size + len(data), data
        try:
            while left:
                left = left[os.write(self._fd, left) :]
            if durable:
                os.fsync(self._fd)
        except OSError:
            os.ftruncate(self._fd, self._size)
            raise
        self._head, self._size = head, size
