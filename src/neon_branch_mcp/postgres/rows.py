"""Values as Postgres prints them → JSON that a model can read.

Numbers keep their digits: an integer beyond 2^53 and every `numeric` are strings, because JSON readers would round them. Times are
Postgres' own ISO text, bytea is hex, NULL is null, arrays are lists, json is nested. A cell longer than the cap is cut and says how
long it was.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache, partial, reduce
from typing import Any

from pydantic_core import to_json

Json = Any
"""What `json.dumps` takes: None, bool, int, float, str, lists and dicts of these."""

SAFE_INTEGER = 2**53 - 1
LONGEST_SAFE = len(str(-SAFE_INTEGER))
HARD_CELL_MINIMUM = 16
DEEP = 100
"""Lists and objects in a value of json, of which so many may stand in each other; what writes answers takes some 250 levels."""
AROUND = 12
"""Levels around such a value in an answer: six of an array of json, and those of the result."""


@dataclass(frozen=True)
class Column:
    """A column of a result and its type as Postgres names it."""

    name: str
    type: str


@dataclass(frozen=True)
class RowSet:
    """What a statement returned.

    `row_count` is what the command tag counts: rows returned or affected; None where the command counts nothing. When rows were
    left out, `truncated` is true and `note` says how to get them. `statements` counts the statements of a script; columns and rows
    are those of the last. `warnings` are Postgres' notices and our own.
    """

    columns: tuple[Column, ...]
    rows: list[list[Json]]
    row_count: int | None
    command: str
    truncated: bool = False
    note: str = ""
    statements: int = 1
    warnings: tuple[str, ...] = ()


def _integer(text: str) -> Json:
    if len(text) > LONGEST_SAFE:  # Python refuses to read some thousand digits
        return text
    value = int(text)
    return value if abs(value) <= SAFE_INTEGER else text


def _float(text: str) -> Json:
    value = float(text)
    return value if math.isfinite(value) else text


def _json_float(text: str) -> Json:
    """A float where that is the same number, else the digits."""
    value = float(text)
    try:
        is_same = math.isfinite(value) and Decimal(repr(value)) == Decimal(text)
    except ArithmeticError:  # an exponent that is no number of its own
        return text
    return value if is_same else text


def _json(text: str) -> Json:
    """Nested; as text where it cannot be said again: it holds half of a surrogate pair, or nests too deep."""
    if "\\u" not in text and text.count("[") + text.count("{") < DEEP:
        return json.loads(text, parse_int=_integer, parse_float=_json_float)
    try:
        value = json.loads(text, parse_int=_integer, parse_float=_json_float)
        to_json(reduce(lambda inner, _: [inner], range(AROUND), value))
    except (ValueError, RecursionError):
        return text
    return value


# Built-in types by OID (pg_type.dat); these never change. Name as format_type() gives it, and how its text becomes JSON.
_TEXT: Callable[[str], Json] = str
BUILTIN: Mapping[int, tuple[str, Callable[[str], Json]]] = {
    16: ("boolean", lambda text: text == "t"),
    17: ("bytea", _TEXT),
    18: ('"char"', _TEXT),
    19: ("name", _TEXT),
    20: ("bigint", _integer),
    21: ("smallint", _integer),
    23: ("integer", _integer),
    25: ("text", _TEXT),
    26: ("oid", _integer),
    114: ("json", _json),
    700: ("real", _float),
    701: ("double precision", _float),
    705: ("unknown", _TEXT),
    869: ("inet", _TEXT),
    1042: ("character", _TEXT),
    1043: ("character varying", _TEXT),
    1082: ("date", _TEXT),
    1083: ("time without time zone", _TEXT),
    1114: ("timestamp without time zone", _TEXT),
    1184: ("timestamp with time zone", _TEXT),
    1186: ("interval", _TEXT),
    1266: ("time with time zone", _TEXT),
    1700: ("numeric", _TEXT),
    2205: ("regclass", _TEXT),
    2249: ("record", _TEXT),
    2278: ("void", _TEXT),
    2950: ("uuid", _TEXT),
    3802: ("jsonb", _json),
}
# Array type → element type.
ARRAYS: Mapping[int, int] = {
    1000: 16,
    1001: 17,
    1002: 18,
    1003: 19,
    1005: 21,
    1007: 23,
    1009: 25,
    1014: 1042,
    1015: 1043,
    1016: 20,
    1021: 700,
    1022: 701,
    1028: 26,
    1115: 1114,
    1182: 1082,
    1185: 1184,
    1187: 1186,
    1231: 1700,
    199: 114,
    2951: 2950,
    3807: 3802,
}


def type_name(oid: int) -> str | None:
    """The name of a built-in type; None for one that only the catalogue knows."""
    if oid in ARRAYS:
        return f"{BUILTIN[ARRAYS[oid]][0]}[]"
    known = BUILTIN.get(oid)
    return known[0] if known else None


def value_of(oid: int, raw: bytes | None, max_cell: int) -> Json:
    """One value, from the text format of Postgres in UTF-8, cut at `max_cell` characters."""
    return None if raw is None else _read(reader(oid), raw, max_cell)


def _read(read: Callable[[str], Json], raw: bytes, max_cell: int) -> Json:
    text = raw.decode("utf-8", "replace")
    return read(text) if len(text) <= max_cell else f"{text[:max_cell]}… ({len(text):,} characters)"


@lru_cache(maxsize=1024)
def reader(oid: int) -> Callable[[str], Json]:
    """How the text of a value of this type becomes JSON."""
    if oid in ARRAYS:
        return partial(parse_array, element=BUILTIN[ARRAYS[oid]][1])
    known = BUILTIN.get(oid)
    return known[1] if known else _TEXT


def parse_array(text: str, element: Callable[[str], Json]) -> Json:
    """`{1,2,NULL}` → [1, 2, None], nested as deep as it is; bounds other than 1 (`[0:1]={…}`) stay text."""
    if not text.startswith("{"):
        return text
    stack: list[list[Json]] = [[]]
    i = 0
    while i < len(text):
        char = text[i]
        if char == "{":
            stack.append([])
            i += 1
        elif char == "}":
            done = stack.pop()
            stack[-1].append(done)
            i += 1
        elif char == ",":
            i += 1
        else:
            item, i = _array_item(text, i)
            stack[-1].append(None if item is None else element(item))
    return stack[0][0]


def _array_item(text: str, start: int) -> tuple[str | None, int]:
    """The item that begins at `start` and where it ends; quoted with backslash escapes, or bare."""
    if text[start] != '"':
        end = start
        while text[end] not in ",}":
            end += 1
        bare = text[start:end]
        return (None if bare == "NULL" else bare), end
    out: list[str] = []
    i = start + 1
    while text[i] != '"':
        if text[i] == "\\":
            i += 1
        out.append(text[i])
        i += 1
    return "".join(out), i + 1


class RowSink:
    """Takes raw rows until the rows or bytes of an answer are full; keeps counting what it leaves out."""

    def __init__(self, *, max_rows: int, max_bytes: int, max_cell: int) -> None:
        self.max_rows = max_rows
        self.max_bytes = max_bytes
        self.max_cell = max_cell
        self.rows: list[list[Json]] = []
        self.size = 0
        self.cut = 0
        """Bytes that came for cells that were cut."""
        self.left_out = 0
        self.full_by: str = ""

    @property
    def full(self) -> bool:
        """True once a row did not fit."""
        return bool(self.full_by)

    def add_all(
        self, readers: Sequence[Callable[[str], Json]], columns: Sequence[Sequence[bytes | None]], rows: int
    ) -> None:
        """Take so many rows, which come as their columns: as `add` takes each in its turn, in less time where they all fit."""
        if self.full or not columns or not self._take(readers, columns, rows):
            for row in range(rows):
                self.add(readers, [column[row] for column in columns])

    def _take(
        self, readers: Sequence[Callable[[str], Json]], columns: Sequence[Sequence[bytes | None]], rows: int
    ) -> bool:
        """Takes them unless a cell is to be cut, or they have too many bytes together. False: nothing was taken."""
        room = self.max_rows - len(self.rows)
        columns = [column[:room] for column in columns]
        left = self.max_bytes - self.size
        for column in columns:  # before any value is read: reading takes much longer than seeing that it is in vain
            lengths = list(map(len, filter(None, column)))
            left -= sum(lengths)
            if left < 0 or max(lengths, default=0) > self.max_cell:
                return False
        values = [_values(read, column) for read, column in zip(readers, columns, strict=True)]
        taken = list(map(list, zip(*values, strict=True)))
        size = _size(taken) - 2 if taken else 0
        if self.size + size > self.max_bytes:
            return False
        self.rows += taken
        self.size += size
        if rows > room:
            self.full_by = "rows"
            self.left_out += rows - room
        return True

    def add(self, readers: Sequence[Callable[[str], Json]], raw: Sequence[bytes | None]) -> None:
        """Take a row, or note that it did not fit. The first row always fits: its cells are cut shorter. `readers`: of its columns."""
        if not self.full and len(self.rows) >= self.max_rows:
            self.full_by = "rows"
        if self.full:
            self.left_out += 1
            return
        row = self._row(readers, raw, self.max_cell)
        size = _size(row)
        if self.size + size > self.max_bytes and not self.rows:
            cell = max(HARD_CELL_MINIMUM, self.max_bytes // (4 * max(1, len(row))))
            row = self._row(readers, raw, min(cell, self.max_cell))
            size = _size(row)
        elif self.size + size > self.max_bytes:
            self.full_by = "bytes"
            self.left_out += 1
            return
        self.rows.append(row)
        self.size += size

    @property
    def row_bytes(self) -> int:
        """Bytes that a row of those that were taken came in, about. There must be one."""
        return (self.size + self.cut) // len(self.rows)

    def _row(self, readers: Sequence[Callable[[str], Json]], raw: Sequence[bytes | None], max_cell: int) -> list[Json]:
        row: list[Json] = []
        for read, value in zip(readers, raw, strict=True):
            if value is None:
                row.append(None)
            elif len(value) <= max_cell:  # no more characters than bytes
                row.append(read(value.decode("utf-8", "replace")))
            else:
                row.append(_read(read, value, max_cell))
                self.cut += len(value)
        return row

    def clear(self) -> None:
        """Begin again: a script returns the rows of its last statement."""
        self.rows, self.size, self.cut, self.left_out, self.full_by = [], 0, 0, 0, ""

    def note(self) -> str:
        """How to get the rest; empty when nothing was left out."""
        if self.full_by == "rows":
            return (
                f"Cut at {self.max_rows:,} rows: there are more. Ask for an aggregate, add LIMIT and OFFSET (or a WHERE on the "
                "last key), or raise max_rows (at most 10,000)."
            )
        if self.full_by == "bytes":
            return (
                f"Cut after {len(self.rows):,} rows: the answer reached {self.max_bytes:,} bytes. Select fewer columns, "
                "or page with LIMIT and OFFSET."
            )
        return ""


def _values(read: Callable[[str], Json], column: Sequence[bytes | None]) -> list[Json]:
    if read is _TEXT:
        return [None if raw is None else str(raw, "utf-8", "replace") for raw in column]
    return [None if raw is None else read(str(raw, "utf-8", "replace")) for raw in column]


def _size(row: list[Json]) -> int:
    """Bytes of the row as JSON, with what stands between it and the next."""
    return len(to_json(row)) + 1
