"""A migration script → what will be run: statements, transactions, checksum. Pure: nothing is sent anywhere.

A script runs in one transaction unless it says otherwise: its own BEGIN and COMMIT are kept as boundaries, and a statement that Postgres
refuses inside a transaction stands alone between them.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from ..errors import LimitExceeded, Refused, SqlPosition
from .lexer import Token, lexical_error, statements, tokens

MAX_SCRIPT = 16_000_000

Ending = Literal["commit", "rollback"]

_RULE = "a migration is a script of plain SQL statements"


@lru_cache(maxsize=256)
def _kept_tokens(text: str) -> tuple[Token, ...]:
    return tuple(tokens(text))


@dataclass(frozen=True)
class PlannedStatement:
    """One statement as it stands in the script: `text == sql[offset:offset + len(text)]`; `line` and `index` count from 1.

    The script's own BEGIN and COMMIT are not counted: each has the number of the statement next to it, within its transaction.

    `kind` is what it is in lower-case words ("alter table", "create index", "insert", "do"); `transactional` is False where Postgres
    refuses it inside a transaction block.
    """

    index: int
    text: str
    offset: int
    line: int
    kind: str
    transactional: bool

    def tokens(self) -> tuple[Token, ...]:
        """The statement's tokens, with offsets in `text`; only some are kept, for a long script has too many."""
        return _kept_tokens(self.text) if len(self.text) < 1_000 else tuple(tokens(self.text))

    def words(self) -> list[str]:
        """Keywords and bare identifiers in upper case, everything else as it stands; no comments."""
        return [t.word for t in self.tokens()]

    @property
    def summary(self) -> str:
        """The statement on one line, cut to about 60 characters."""
        flat = " ".join(self.text[:400].split())
        return flat if len(flat) <= 60 else flat[:57] + "…"


@dataclass(frozen=True)
class Group:
    """Statements that stand or fall together. `begin` and `end` are the script's own BEGIN and COMMIT where it has them.

    A group that is not `transactional` holds exactly one statement, which runs outside any transaction.
    """

    statements: tuple[PlannedStatement, ...]
    transactional: bool = True
    begin: PlannedStatement | None = None
    end: PlannedStatement | None = None
    ending: Ending = "commit"


@dataclass(frozen=True)
class Plan:
    """A script, understood.

    `statements` leaves out the script's own BEGIN and COMMIT, which `groups` hold; `checksum` is the SHA-256 of `sql`.
    """

    sql: str
    statements: tuple[PlannedStatement, ...]
    groups: tuple[Group, ...]
    checksum: str

    @property
    def grouping(self) -> str:
        """How the script runs, in a few words."""
        parts: list[str] = []
        lone: list[int] = []
        for group in self.groups:
            if not group.transactional:
                lone.append(group.statements[0].index)
                continue
            parts += _lone_words(lone)
            lone = []
            parts.append(_group_words(group))
        parts += _lone_words(lone)
        if len(parts) == 1 and self.groups[0].transactional:
            return parts[0].partition(" in ")[2]
        return ", then ".join(parts)


def _group_words(group: Group) -> str:
    own = " of the script's own" if group.begin or group.end else ""
    own += ", rolled back" if group.ending == "rollback" else ""
    return f"{len(group.statements)} in one transaction{own}"


def _lone_words(indexes: Sequence[int]) -> list[str]:
    if not indexes:
        return []
    plural = "s" if len(indexes) > 1 else ""
    return [f"statement{plural} {', '.join(map(str, indexes))} outside any transaction"]


def checksum(sql: str) -> str:
    """SHA-256 of the exact text as UTF-8, in hex."""
    return hashlib.sha256(sql.encode("utf-8")).hexdigest()


def plan(sql: str) -> Plan:
    """Take a script apart.

    Raises Refused for text that is not plain SQL (nothing in it, NUL, psql's own commands, COPY data), LimitExceeded above 16 MB, and
    SqlError with the position for strings and comments that do not end.
    """
    _check_text(sql)
    planned: list[PlannedStatement] = []
    line, counted, number = 1, 0, 1
    for found in statements(sql):
        offset = found[0].start
        line, counted = line + sql.count("\n", counted, offset), offset
        planned.append(_planned(sql, found, number, line))
        if (boundary := _boundary(planned[-1])) is None:
            number += 1
        elif boundary != "begin":
            planned[-1] = replace(planned[-1], index=max(1, number - 1))
    if not planned:
        raise Refused("The script holds no statement: it is empty or only comments.", rule=_RULE)
    groups = _group(sql, planned)
    inner = tuple(s for g in groups for s in g.statements)
    if not inner:
        raise Refused("The script begins and ends transactions but does nothing in them.", rule=_RULE)
    return Plan(sql, inner, groups, checksum(sql))


def _check_text(sql: str) -> None:
    if len(sql) > MAX_SCRIPT:
        raise LimitExceeded(
            f"The script has {len(sql):,} characters; {MAX_SCRIPT:,} is the most. Split it in several migrations."
        )
    if (nul := sql.find("\0")) >= 0:
        at = SqlPosition.find(sql, nul + 1)
        raise Refused(
            f"The script holds a NUL byte at {at.line}:{at.column}, which Postgres' text cannot hold.", rule=_RULE
        )
    try:
        sql.encode("utf-8")
    except UnicodeEncodeError as exc:
        at = SqlPosition.find(sql, exc.start + 1)
        raise Refused(
            f"The script is not valid Unicode text at {at.line}:{at.column} (a lone surrogate). Save it as UTF-8.",
            rule=_RULE,
        ) from None


def _planned(sql: str, found: Sequence[Token], index: int, line: int) -> PlannedStatement:
    offset, end = found[0].start, found[-1].end
    words = [t.word for t in found]
    kind = _kind(words[:12])
    _refuse_unplannable(sql, found, words, kind, f"Statement {index} (line {line})")
    return PlannedStatement(index, sql[offset:end], offset, line, kind, _transactional(kind, words, found))


_OBJECTS_OF_TWO_WORDS = {
    "MATERIALIZED": "VIEW", "FOREIGN": "*", "EVENT": "TRIGGER", "TEXT": "SEARCH", "ACCESS": "METHOD", "OPERATOR": "*",
    "USER": "MAPPING", "DEFAULT": "PRIVILEGES", "LARGE": "OBJECT",
}  # fmt: skip
_FILLERS = frozenset({"OR", "REPLACE", "GLOBAL", "LOCAL", "TEMP", "TEMPORARY", "UNLOGGED", "UNIQUE", "RECURSIVE", "TRUSTED",
                      "PROCEDURAL", "CONSTRAINT"})  # fmt: skip


def _kind(head: Sequence[str]) -> str:
    """What a statement is, from its first words: verb, and for CREATE, ALTER and DROP the sort of object."""
    verb = head[0].lower() if head else ""
    if verb not in ("create", "alter", "drop", "refresh"):
        return "select" if verb in ("(", "table", "values") else verb
    rest = [w for w in head[1:] if w not in _FILLERS]
    if not rest:
        return verb
    second = _OBJECTS_OF_TWO_WORDS.get(rest[0])
    if second and len(rest) > 1 and rest[1] in (("TABLE", "DATA", "CLASS", "FAMILY") if second == "*" else (second,)):
        return f"{verb} {rest[0]} {rest[1]}".lower()
    return f"{verb} {rest[0]}".lower()


def _refuse_unplannable(sql: str, found: Sequence[Token], words: Sequence[str], kind: str, which: str) -> None:
    """Refuse what cannot be part of a migration at all, with the reason and the way out."""
    for token in found:
        if token.text == "\\":
            raise _psql_command(sql, token.start)
    if kind == "copy" and "STDIN" in words:
        raise Refused(
            f"{which} is COPY … FROM STDIN: its rows come after it as data, not as SQL.",
            rule=_RULE,
            remedy="Write the rows as INSERT statements, or load them with psql and get_connection_string.",
        )
    if kind == "copy" and "STDOUT" in words:
        raise Refused(f"{which} is COPY … TO STDOUT, which changes nothing.", rule=_RULE, remedy="Read with query.")
    if kind == "prepare" and words[1:2] == ["TRANSACTION"]:
        raise Refused(
            f"{which} is PREPARE TRANSACTION: it would leave locks that nobody ends.", rule=_RULE, remedy="Use COMMIT."
        )
    off = {"OFF", "FALSE", "NO", "0", "'off'", "'false'", "'0'"}
    if kind == "set" and "STANDARD_CONFORMING_STRINGS" in words and off & set(words):
        raise Refused(
            f"{which} turns standard_conforming_strings off, which changes where strings end.",
            rule=_RULE,
            remedy="Write E'…' strings where a backslash escapes.",
        )


def _psql_command(sql: str, offset: int) -> Refused:
    at = SqlPosition.find(sql, offset + 1)
    shown = sql[offset : offset + 200].split("\n", 1)[0].strip()[:40]
    return Refused(
        f"`{shown}` at {at.line}:{at.column} is a command of psql, not SQL; the server does not know it.",
        rule=_RULE,
        remedy="Leave it out, or run the file with psql and get_connection_string.",
    )


_NEVER_IN_A_TRANSACTION = frozenset({
    "create database", "drop database", "create tablespace", "drop tablespace", "alter system", "vacuum",
    "create subscription", "drop subscription", "alter subscription",
})  # fmt: skip


def _transactional(kind: str, words: Sequence[str], found: Sequence[Token]) -> bool:
    """Whether Postgres (12 or later) takes the statement inside a transaction block."""
    if kind in _NEVER_IN_A_TRANSACTION:
        return False
    match kind:
        case "create index" | "drop index" | "reindex":
            return "CONCURRENTLY" not in words[:14] and not (kind == "reindex" and _reindexes_many(words))
        case "cluster":
            return any(t.kind in ("word", "quoted") and t.word != "VERBOSE" for t in found[1:])
        case "alter table":
            return not ("DETACH" in words and "CONCURRENTLY" in words)
        case "alter database":
            return "TABLESPACE" not in words
        case "discard":
            return "ALL" not in words
        case "commit" | "rollback":
            return "PREPARED" not in words
        case "do":
            return not _commits_inside(found)
        case _:
            return True


def _reindexes_many(words: Sequence[str]) -> bool:
    what = [w for w in words[1:6] if w not in ("(", ")", "VERBOSE")]
    return what[:1] in (["SCHEMA"], ["DATABASE"], ["SYSTEM"])


def _commits_inside(found: Sequence[Token]) -> bool:
    """A DO block whose body has COMMIT or ROLLBACK as a statement of its own: only possible outside a transaction."""
    for token in found:
        if token.kind != "string" or not token.text.startswith("$"):
            continue
        tag = token.text.index("$", 1) + 1
        before = ";"
        for inner in tokens(token.text[tag:-tag]):
            if inner.word in ("COMMIT", "ROLLBACK") and before in (";", "BEGIN", "LOOP", "THEN", "ELSE"):
                return True
            before = inner.word
    return False


@dataclass
class _Grouping:
    """Statements gathered so far, cut into groups at the script's own boundaries."""

    sql: str
    groups: list[Group]
    current: list[PlannedStatement]
    begin: PlannedStatement | None = None

    def close(self, end: PlannedStatement | None, ending: Ending = "commit") -> None:
        if self.current:
            self.groups.append(Group(tuple(self.current), True, self.begin, end, ending))
        self.current, self.begin = [], None

    def add(self, s: PlannedStatement) -> None:
        match _boundary(s):
            case "begin":
                if self.begin is None:
                    self.close(None)
                    self.begin = s
            case "rollback" if self.begin is None:
                raise lexical_error(self.sql, s.offset, "ROLLBACK without a BEGIN before it.", index=s.index)
            case "commit" | "rollback" as ending:
                self.close(s, ending)
                words = s.words()
                self.begin = s if "CHAIN" in words and "NO" not in words else None
            case None if s.transactional:
                self.current.append(s)
            case None:
                self.add_lone(s)

    def add_lone(self, s: PlannedStatement) -> None:
        if self.begin is not None:
            message = (
                f"{s.kind.upper()} here cannot run in a transaction, and the BEGIN of line {self.begin.line} opens one."
            )
            raise lexical_error(self.sql, s.offset, message, index=s.index, hint="Move it after the COMMIT.")
        self.close(None)
        self.groups.append(Group((s,), transactional=False))


def _group(sql: str, planned: Sequence[PlannedStatement]) -> tuple[Group, ...]:
    grouping = _Grouping(sql, [], [])
    for s in planned:
        grouping.add(s)
    if (begin := grouping.begin) is not None:
        message = "This transaction is never ended: psql would roll it back."
        raise lexical_error(sql, begin.offset, message, index=begin.index, hint="Add COMMIT, or leave BEGIN out.")
    grouping.close(None)
    return tuple(grouping.groups)


def without_concurrently(s: PlannedStatement) -> str:
    """The text without the word CONCURRENTLY, where that lets it run inside a transaction; else as it is."""
    if s.kind not in ("create index", "drop index", "reindex", "alter table"):
        return s.text
    for token in s.tokens():
        if token.word == "CONCURRENTLY":
            return s.text[: token.start] + " " * len(token.text) + s.text[token.end :]
    return s.text


def _boundary(s: PlannedStatement) -> Literal["begin", "commit", "rollback"] | None:
    if s.kind not in ("begin", "start", "commit", "end", "rollback", "abort"):
        return None
    words = s.words()
    if s.kind == "begin" or (s.kind == "start" and words[1:2] == ["TRANSACTION"]):
        return "begin"
    if s.kind in ("commit", "end") and "PREPARED" not in words:
        return "commit"
    if s.kind in ("rollback", "abort") and not {"TO", "PREPARED"} & set(words):
        return "rollback"
    return None
