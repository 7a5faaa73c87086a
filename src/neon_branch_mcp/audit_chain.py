"""The audit's file format: one JSON object per line, each sealed with the hash of the one before it.

A record holds `seq`, `prev` (the hash of the record before) and `hash`, the SHA-256 of the record without it. The chain runs on
through rotated files. A line that a crash cut off stays where it is, and the next record holds its hash as `torn`. A small head file
beside the log knows the newest record, so that cutting off the end shows, too. Whoever can rewrite all of these files can forge them:
the chain proves that nothing was changed by less.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from pydantic_core import PydanticSerializationError, to_json

GENESIS = "0" * 64
_ROTATED = re.compile(r"\.\d{12}\Z")


@dataclass(frozen=True)
class Head:
    """Where a chain ends: the number and the hash of its newest record."""

    seq: int = 0
    hash: str = GENESIS

    def text(self) -> bytes:
        """What the head file holds."""
        return f"{self.seq} {self.hash}\n".encode()


@dataclass(frozen=True)
class Verdict:
    """What verifying found: how many records, the first one's number, and the first problem, if any."""

    records: int
    first_seq: int
    torn: int
    problem: str | None


def seal(record: Mapping[str, Any], head: Head) -> tuple[bytes, Head]:
    """The line of `record` as the next one after `head`, and the new head."""
    body = {"seq": head.seq + 1, **record, "prev": head.hash}
    digest = _digest(body)
    return _as_written({**body, "hash": digest}) + b"\n", Head(head.seq + 1, digest)


def _digest(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(_as_hashed(body).encode()).hexdigest()


def _as_written(record: Mapping[str, Any]) -> bytes:
    try:
        return to_json(record)
    except PydanticSerializationError:  # half of a surrogate pair
        text = json.dumps(record, ensure_ascii=False, separators=(",", ":"))
        return text.encode(errors="backslashreplace")


# Made once: every call is recorded, and json.dumps makes an encoder each time.
_as_hashed = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"), sort_keys=True).encode


def parse(line: bytes) -> dict[str, Any] | None:
    """The record in a line, or None when it is not a whole record."""
    try:
        record = json.loads(line)
    except ValueError:
        return None
    whole = isinstance(record, dict) and isinstance(record.get("seq"), int) and isinstance(record.get("hash"), str)
    return record if whole else None


def torn_hash(line: bytes) -> str:
    """What the record after a cut-off line says of it."""
    return hashlib.sha256(line.rstrip(b"\n")).hexdigest()


def head_path(path: Path) -> Path:
    """The file beside the log that knows the newest record, and whose lock serialises writers."""
    return path.with_name(f"{path.name}.head")


def read_head(text: bytes) -> Head:
    """The head that the head file names; the start of a chain when it names none."""
    match = re.match(rb"(\d+) ([0-9a-f]{64})\n", text)
    return Head(int(match.group(1)), match.group(2).decode()) if match else Head()


def files(path: Path) -> list[Path]:
    """The log's files, oldest first: the rotated ones by the number of their last record, then the current one."""
    rotated = [p for p in path.parent.glob(f"{path.name}.*") if _ROTATED.search(p.name)]
    return [*sorted(rotated), *([path] if path.exists() else [])]


def streams(path: Path, *, after: int = 0) -> Iterator[tuple[Path, BinaryIO]]:
    """The log's files as in `files`, open; those that end before the record `after` are left out. Each comes once, and none is missed,
    though a writer puts the current one away meanwhile: it is opened before it is known which others there are.
    """
    with ExitStack() as stack:
        current: BinaryIO | None = None
        with suppress(FileNotFoundError):
            current = stack.enter_context(path.open("rb"))
        seen: list[os.stat_result] = []
        for file in files(path):
            if file == path or int(file.name.rpartition(".")[2]) <= after:
                continue
            try:
                stream = file.open("rb")
            except FileNotFoundError:
                continue  # somebody keeps it elsewhere from now on; whoever verifies sees the gap
            with stream:
                seen.append(os.fstat(stream.fileno()))
                yield file, stream
        if current is not None and not any(os.path.samestat(os.fstat(current.fileno()), one) for one in seen):
            yield path, current


def lines(path: Path) -> Iterator[tuple[Path, int, bytes]]:
    """(file, line number, line) of everything in the log."""
    for file, stream in streams(path):
        for number, line in enumerate(stream, 1):
            yield file, number, line


def verify(path: Path) -> Verdict:
    """Whether every record follows from the one before it and the head is among them. Reads only; raises OSError."""
    head_file = head_path(path)
    # Read before the records: a writer at work then only adds what the head does not name yet.
    claimed = read_head(head_file.read_bytes()) if head_file.exists() else Head()
    checker = _Checker()
    for file, number, line in lines(path):
        if (problem := checker.problem_of(line)) is not None:
            return checker.verdict(f"{file.name}, line {number}: {problem}")
    return checker.verdict(checker.problem_of_end(claimed))


class _Checker:
    def __init__(self) -> None:
        self.head: Head | None = None
        self.records = self.first_seq = self.torn = 0
        self.pending: bytes | None = None
        self.hashes: dict[int, str] = {}

    def problem_of(self, line: bytes) -> str | None:
        record = parse(line) if line.endswith(b"\n") else None
        if record is None:
            if self.pending is not None:
                return "two lines in a row are not records"
            self.pending = line
            return None
        stated = record.pop("hash")
        if _digest(record) != stated:
            return f"record {record['seq']} was changed: its hash does not fit"
        if self.head is not None and (record["seq"], record.get("prev")) != (self.head.seq + 1, self.head.hash):
            return f"record {record['seq']} does not follow record {self.head.seq}"
        if self.pending is not None:
            if record.get("torn") != torn_hash(self.pending):
                return "the line before it is not a record, and not one that a crash cut off"
            self.torn, self.pending = self.torn + 1, None
        elif "torn" in record:
            return f"record {record['seq']} speaks of a cut-off line that is not there"
        self.records += 1
        self.first_seq = self.first_seq or record["seq"]
        self.head = Head(record["seq"], stated)
        self.hashes[record["seq"]] = stated
        return None

    def problem_of_end(self, claimed: Head) -> str | None:
        last = self.head or Head()
        if claimed.seq > last.seq:
            return f"the end is missing: there were {claimed.seq} records, the log ends at {last.seq}"
        if self.first_seq <= claimed.seq and self.hashes.get(claimed.seq, claimed.hash) != claimed.hash:
            return f"record {claimed.seq} is not the one that was written"
        if self.pending is not None and self.pending.endswith(b"\n"):
            return "the last line is not a record"
        return None

    def verdict(self, problem: str | None) -> Verdict:
        torn = self.torn + (self.pending is not None)
        return Verdict(self.records, self.first_seq, torn, problem)
