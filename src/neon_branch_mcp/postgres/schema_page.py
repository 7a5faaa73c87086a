"""Which objects an answer shows, and as much of their text as its budget holds."""

import difflib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final, Literal, TypeAlias
from urllib.parse import quote as percent
from urllib.parse import unquote

from ..errors import NotFound
from .ddl_names import quote, without_schema

Detail: TypeAlias = Literal["names", "tables", "full"]
KINDS: Final = ("enum", "domain", "composite", "range", "table", "view", "sequence", "function", "other")


@dataclass(frozen=True, slots=True)
class Entry:
    """One object by name; `identity` tells overloads of a function apart."""

    schema: str
    kind: str
    name: str
    identity: str = ""
    oid: int = 0
    label: str = ""
    rows: int | None = None

    @property
    def key(self) -> tuple[str, int, str, str]:
        """Its place in the answer."""
        return (self.schema, KINDS.index(self.kind), self.name, self.identity)

    def line(self) -> str:
        """What it is and its name, and for a table about how many rows."""
        arguments = f"({without_schema(self.identity, self.schema)})" if self.kind == "function" else ""
        rows = f" ~{self.rows} row{'' if self.rows == 1 else 's'}" if self.rows is not None else ""
        return f"{self.label} {self.identity if self.kind == 'other' and self.identity else quote(self.name)}{arguments}{rows}"


@dataclass(frozen=True, slots=True)
class Position:
    """Where an answer ended: before an object, or within it after some of its lines."""

    key: tuple[str, int, str, str]
    line: int = 0

    def cursor(self) -> str:
        """As text that a caller hands back."""
        schema, kind, name, identity = self.key
        parts = (schema, KINDS[kind], name, identity, str(self.line) if self.line else "")
        return "/".join(percent(p, safe="") for p in parts).rstrip("/")

    @classmethod
    def parse(cls, cursor: str) -> "Position":
        """The position of `cursor`. Raises NotFound when it is not one of ours."""
        parts = [unquote(p) for p in cursor.split("/")]
        parts += [""] * (5 - len(parts))
        if len(parts) != 5 or parts[1] not in KINDS or not (parts[4] or "0").isdecimal():
            raise NotFound(
                f"cursor {shortened(cursor)!r} is not one that describe_schema gave; leave it out to begin again."
            )
        return cls((parts[0], KINDS.index(parts[1]), parts[2], parts[3]), int(parts[4] or 0))


@dataclass(frozen=True, slots=True)
class SchemaText:
    """One answer. `tables` counts what was asked for, on this page or not; `cursor` gets the rest, None when nothing is left."""

    text: str
    tables: int
    cursor: str | None
    left_out: int


def select(entries: Sequence[Entry], patterns: Sequence[str]) -> tuple[list[Entry], list[str]]:
    """The entries that the names and globs mean, in order, and a line for each pattern that means none.

    A pattern is `name` or `schema.name`, where `*` and `?` stand for anything; in double quotes it is taken as it stands. Letter case
    counts where some name fits exactly, else it does not. Raises NotFound, with the nearest names, when no pattern fits anything.
    """
    if not patterns:
        return list(entries), []
    chosen: set[Entry] = set()
    missing: list[str] = []
    for pattern in patterns:
        found = _matching(entries, pattern)
        chosen.update(found)
        if not found:
            missing.append(f"Nothing is named {shortened(pattern)}{_nearest(entries, pattern)}.")
    if not chosen:
        raise NotFound(" ".join(missing))
    return [e for e in entries if e in chosen], missing


def shortened(text: str) -> str:
    """What a caller said, no longer than is needed to know it again."""
    return text if len(text) <= 100 else f"{text[:100]}… ({len(text):,} characters)"


def _parts(pattern: str) -> list[tuple[str, bool]]:
    """The names of a dotted pattern, each with whether it was quoted."""
    found = re.findall(r'"((?:[^"]|"")*)"|([^."]+)', pattern)
    return [(quoted.replace('""', '"'), True) if not plain else (plain.strip(), False) for quoted, plain in found]


def _matching(entries: Iterable[Entry], pattern: str) -> list[Entry]:
    text = pattern.strip()
    bare = text if '"' in text else re.sub(r"\(.*\)\Z", "", text, flags=re.DOTALL)
    parts = _parts(bare)
    # A name may hold a dot itself, so the whole is tried as a name too.
    wanted = [[(bare, False)], parts[-2:]] if len(parts) > 1 else [parts]
    for fold in (False, True):
        found = [e for e in entries if any(_fits(e, w, fold) for w in wanted if w)]
        if found:
            return found
    return []


def _fits(entry: Entry, wanted: list[tuple[str, bool]], fold: bool) -> bool:
    names = (entry.schema, entry.name)[-len(wanted) :]
    for name, (pattern, quoted) in zip(names, wanted, strict=True):
        if fold and not quoted:
            name, pattern = name.lower(), pattern.lower()
        if name != pattern and (quoted or not fnmatchcase(name, pattern)):
            return False
    return True


def _nearest(entries: Sequence[Entry], pattern: str) -> str:
    names: dict[str, str] = {}
    for e in entries:
        names.setdefault(e.name.lower(), quote(e.name))
        names.setdefault(f"{e.schema}.{e.name}".lower(), f"{quote(e.schema)}.{quote(e.name)}")
    wanted = pattern.replace('"', "").replace("*", "").lower()
    close = list(dict.fromkeys(names[n] for n in difflib.get_close_matches(wanted, names, n=8, cutoff=0.6)))
    bare = [n for n in close if not any(n.endswith(f".{o}") for o in close)]
    if bare:
        return f"; nearest: {', '.join(bare[:5])}"
    if not entries:
        return "; there are no objects at all"
    few = list(dict.fromkeys(quote(e.name) for e in entries))[:10]
    return f"; there are {', '.join(few)}{' …' if len(entries) > len(few) else ''}"


class Page:
    """Collects objects' lines until the budget, in bytes, is full."""

    TAIL: Final = 300  # room kept for the line that says what was left out
    LINE: Final = 4_000  # longer lines are broken, so that any object can be cut

    def __init__(self, header: Sequence[str], budget: int) -> None:
        self._lines = list(header)
        self._left = max(budget - self.TAIL, 500) - sum(len(line.encode()) + 1 for line in header)
        self._schema: str | None = None
        self.shown = 0

    def add(self, entry: Entry, lines: Sequence[str], first: int = 0) -> Position | None:
        """Adds the object's lines from `first` on. The position of what did not fit, None when all did."""
        lines = [piece for line in lines for piece in _pieces(line, self.LINE)][first:]
        heading = (
            []
            if entry.schema == self._schema
            else ["", f"schema {quote(entry.schema)}" if entry.schema else "of the whole database"]
        )
        cost = [len(line.encode()) + 1 for line in (*heading, *lines)]
        if sum(cost) > self._left and self.shown:
            return Position(entry.key, first)
        self._schema = entry.schema
        fitting = 0
        for size in cost:
            if size > self._left and fitting > len(heading):
                break
            self._left -= size
            fitting += 1
        self._lines += (*heading, *lines)[:fitting]
        shown = fitting - len(heading)
        if shown < len(lines):
            return Position(entry.key, first + shown)
        self.shown += 1
        return None

    def finish(self, entries: Sequence[Entry], stop: Position | None) -> SchemaText:
        """The page as text, with what was left out of `entries` said."""
        tables = sum(e.kind == "table" for e in entries)
        if stop is None:
            if entries and not self.shown:
                self._lines.append(
                    "-- nothing is left from this cursor on: it is of another call, or what it stood for is gone"
                )
            return SchemaText("\n".join(self._lines) + "\n", tables, None, 0)
        rest = [e for e in entries if e.key >= stop.key]
        cursor = stop.cursor()
        self._lines.append(f"-- left out: {counts(rest)}. The rest: cursor={cursor}")
        return SchemaText("\n".join(self._lines) + "\n", tables, cursor, len(rest))


def _pieces(line: str, limit: int) -> Iterable[str]:
    while len(line) > limit:
        at = line.rfind(" ", 1, limit)
        at = at if at > 0 else limit
        yield line[:at]
        line = line[at:]
    yield line


PLURALS: Final = {"composite": "composite types", "other": "other objects"}


def counts(entries: Iterable[Entry]) -> str:
    """How many of each kind: "6 tables, 2 views"."""
    number: dict[str, int] = {}
    for e in entries:
        number[e.kind] = number.get(e.kind, 0) + 1
    order = sorted(number, key=lambda k: (k != "table", k != "view", KINDS.index(k)))
    return ", ".join(f"{number[k]} {k if number[k] == 1 else PLURALS.get(k, k + 's')}" for k in order)


def header(database: str, server_version: int, entries: Sequence[Entry], extensions: Sequence[str]) -> list[str]:
    """What an answer begins with: where this is, and how much of it there is."""
    version = f"{server_version // 10000}.{server_version % 10000}"
    what = counts(entries) or "empty: no tables, views, types or functions"
    lines = [f"-- database {quote(database)}, PostgreSQL {version}: {what}"]
    if extensions:
        lines.append(f"-- extensions: {', '.join(extensions)}")
    return lines


def fill(
    page: Page, entries: Sequence[Entry], start: Position | None, lines: Callable[[Entry], Sequence[str] | None]
) -> Position | None:
    """Adds entries from `start` on. An entry without lines has gone meanwhile and is skipped."""
    for entry in entries:
        if start is not None and entry.key < start.key:
            continue
        text = lines(entry)
        if text is None:
            continue
        first = start.line if start is not None and entry.key == start.key else 0
        stop = page.add(entry, text, first)
        if stop is not None:
            return stop
    return None
