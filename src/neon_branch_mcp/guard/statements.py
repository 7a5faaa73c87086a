"""SQL text → what it is, so far as that can be shown from the text alone.

`inspect` runs in a worker process (statements_pool.py) that is killed when it takes too long: sqlglot can be made to run for minutes.
What is not understood is never called a read.
"""

import re
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

from . import lexer
from .functions import beyond_in_text, beyond_statement_in_text, outside_in_text
from .lexer import Kind, LexError, Names, Token
from .statements_spelling import TYPE_WORDS, simplified

HEADER = struct.Struct(">I")  # before each JSON frame between the server and a worker
MAX_BYTES = 100_000  # of a statement that must be shown to only read
MAX_BYTES_WRITE = 4_000_000
MAX_PARENTHESES = 40
MAX_COMMENTS = (
    1_000  # Postgres looks at all that follows `/*` for each of `/**//**/…`: 25,000 of them keep it busy for seconds
)
MAX_BRACKETS = 8
MAX_TYPES = 5
NESTING = (
    f"it nests more than {MAX_PARENTHESES} parentheses, {MAX_BRACKETS} brackets or {MAX_TYPES} calls of a type's name"
)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f]")
_UNICODE_ESCAPE = re.compile(r"[uU]&['\"]")
_ESCAPED = re.compile(r"[^\w\s'\"](?:\+([0-9A-Fa-f]{6})|([0-9A-Fa-f]{4}))")
# EXECUTE of a text that is put together at run time; CREATE TRIGGER … EXECUTE FUNCTION and GRANT EXECUTE ON are none.
_ASSEMBLES = re.compile(r"(?i)\b(?:execute\b(?!\s+(?:function|procedure|on)\b)|plv8\s*\.|plpy\s*\.|spi_\w+)")
_TRANSACTION = frozenset({"BEGIN", "START TRANSACTION", "COMMIT", "END", "ROLLBACK", "ABORT", "PREPARE TRANSACTION"})
READ_STARTS = frozenset({"select", "with", "values", "table"})
DML_STARTS = frozenset({"insert", "update", "delete", "merge"})
_FALSE = frozenset({"off", "false", "0", "'off'", "'false'", "'0'"})

StatementKind = Literal["read", "show", "explain", "explain-analyze", "other", "unparsed", "bad"]
"""`read`: one SELECT, VALUES or TABLE that contains nothing else. `unparsed`: looks like one, but the parser does not know it.
`explain`: shows a plan of a read or of INSERT, UPDATE, DELETE, MERGE. `bad`: failed the text checks. `other`: all else."""


@dataclass(frozen=True)
class Report:
    """What the text of a call shows. Offsets count characters from 0.

    `assembles`: code in it runs SQL that it puts together; `commits`: it may begin or end transactions of its own.
    """

    kind: StatementKind
    rule: str = ""
    reason: str = ""
    offset: int | None = None
    count: int = 0
    heads: tuple[str, ...] = ()
    body: int = 0
    calls: tuple[str, ...] = ()
    operators: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    casts: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    outside: str | None = None
    beyond: str | None = None
    beyond_statement: str | None = None
    assembles: bool = False
    commits: bool = False
    logins: tuple[str, ...] = ()

    @property
    def uses(self) -> Names:
        """What the text uses, by name."""
        return Names(*map(frozenset, (self.calls, self.casts, self.operators, self.names, self.fields)))

    def to_json(self) -> dict[str, Any]:
        """For the pipe."""
        return vars(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """The way back."""
        fields: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in data.items()
        }
        return cls(**fields)


@dataclass(frozen=True)
class TreeVerdict:
    """What the parser says of a text that should only read: nothing, or a reason, with the offset where parsing failed."""

    reason: str = ""
    rule: str = "statement"
    parsed: bool = True
    offset: int | None = None


Parse = Callable[[str], TreeVerdict]
Mode = Literal["read", "write", "script"]
"""`read`: must be shown to only read. `write`: may do anything; parsed, to know a plain read. `script`: the same, not parsed."""


def too_long(sql: str, mode: Mode) -> Report | None:
    """The one check that comes before everything, so that no worker is ever sent a text it would choke on."""
    size = len(sql) if len(sql) > MAX_BYTES_WRITE else len(sql.encode("utf-8", "replace"))
    limit = MAX_BYTES if mode == "read" else MAX_BYTES_WRITE
    if size <= limit:
        return None
    return Report("bad", "text", f"the text has {size:,} bytes, more than {limit:,}")


def inspect(sql: str, mode: Mode, parse: Parse) -> Report:
    """Everything that the text shows."""
    if (bad := _bad_text(sql, mode)) is not None:
        return bad
    try:
        found = lexer.tokens(sql)
    except LexError as exc:
        return Report("bad", "text", exc.what, exc.offset)
    parts = lexer.statements(found)
    names = lexer.names(found)
    facts: dict[str, Any] = {
        "count": len(parts),
        "heads": tuple(head_of(part) for part in parts[:50]),
        "calls": tuple(names.calls),
        "operators": tuple(names.operators),
        "names": tuple(names.words),
        "casts": tuple(names.casts),
        "fields": tuple(names.fields),
        "outside": outside_in_text(sql),
        "beyond": beyond_in_text(_unescaped(sql)),
        "beyond_statement": _beyond_statement(sql, parts),
        "assembles": any(holds_code(head_of(part)) for part in parts) and _ASSEMBLES.search(sql) is not None,
        "commits": any(map(_commits, parts)),
        "logins": tuple(sorted(set(filter(None, map(_login_changed, parts))))),
    }
    if not parts:
        return Report("bad", "text", "there is no statement in it", **facts)
    if len(parts) > 1:
        return Report("other", "one-statement", f"{len(parts)} statements in one call", parts[1][0].start, **facts)
    kind, verdict, body = _classify(sql, parts[0], None if mode == "script" else parse)
    return Report(kind, verdict.rule if verdict.reason else "", verdict.reason, verdict.offset, body=body, **facts)


def _bad_text(sql: str, mode: Mode) -> Report | None:
    """What no honest statement holds, or what hides names. Where writing is allowed only what libpq or Postgres cannot take."""
    if "\0" in sql:
        return Report("bad", "text", "the text holds a NUL, at which libpq would cut it", sql.index("\0"))
    try:
        sql.encode("utf-8")
    except UnicodeEncodeError as exc:
        return Report("bad", "text", "the text holds half of a surrogate pair", exc.start)
    if mode != "read":
        return None
    if match := _CONTROL.search(sql):
        return Report("bad", "text", f"the text holds the control character U+{ord(match[0]):04X}", match.start())
    if sql.count("/*") > MAX_COMMENTS:
        return Report("bad", "text", f"the text holds more than {MAX_COMMENTS:,} comments")
    if match := _UNICODE_ESCAPE.search(sql):
        return Report("bad", "text", "the text holds U& escapes, which can hide a name", match.start())
    return None


def _unescaped(sql: str) -> str:
    """The text with the escapes of U&"…" read, where it has any, so that a name cannot hide behind them."""
    if not _UNICODE_ESCAPE.search(sql):
        return sql
    return _ESCAPED.sub(lambda m: chr(int(m[1] or m[2], 16) % 0x110000), sql)


def _classify(sql: str, part: Sequence[Token], parse: Parse | None) -> tuple[StatementKind, TreeVerdict, int]:
    """Kind, reason and where the statement that is explained begins."""
    first = next((t for t in part if not t.is_char("(")), part[0])
    if part[0].is_word("explain"):
        return _explain(sql, part, parse)
    if part[0].is_word("show"):
        return _show(part)
    if not first.is_word(*READ_STARTS):
        return "other", TreeVerdict(f"this is {_a(head_of(part))}"), 0
    kind, verdict = _read(sql, part, parse)
    return kind, verdict, part[0].start


def _read(sql: str, part: Sequence[Token], parse: Parse | None) -> tuple[StatementKind, TreeVerdict]:
    """A statement that begins like a read: does it contain anything else?"""
    if (deep := _too_deep(part)) is not None:
        return "bad", deep
    if parse is None:
        return "unparsed", TreeVerdict("was not parsed", parsed=False)
    start = part[0].start
    text = sql[start : part[-1].end]
    verdict = parse(text)
    if not verdict.parsed and (other := simplified(sql, part)[start : part[-1].end]) != text:
        again = parse(other)
        verdict = again if again.parsed else verdict
    offset = None if verdict.offset is None else verdict.offset + start
    verdict = TreeVerdict(verdict.reason, verdict.rule, verdict.parsed, offset)
    if (not verdict.reason or not verdict.parsed) and (seen := _seen_to_write(part)) is not None:
        return "other", seen
    if not verdict.parsed:
        return "unparsed", verdict
    return ("other" if verdict.reason else "read"), verdict


def _seen_to_write(part: Sequence[Token]) -> TreeVerdict | None:
    """What makes a SELECT write, by words alone: in Postgres' grammar none of it is spelled otherwise.

    Stands beside the parser, whose own scanner may end a string or a comment elsewhere than Postgres does.
    """
    before: Token | None = None
    older: Token | None = None
    for token, after in zip(part, (*part[1:], None), strict=True):
        field = before and before.is_char(".") and not (older and older.kind is Kind.NUMBER)  # `1. INTO t` is no field
        if token.is_word("into") and not (before and (field or before.is_word("as"))):
            return TreeVerdict("SELECT … INTO creates a table", "creates", offset=token.start)
        if token.is_word("for") and after is not None and after.is_word("update", "share", "no", "key"):
            return TreeVerdict("FOR UPDATE or FOR SHARE locks rows", offset=token.start)
        opens = before is not None and before.kind is Kind.OTHER and before.text in "()" and token.is_word(*DML_STARTS)
        if (
            opens
            and after is not None
            and (token.text == "update" or after.is_word("into", "from"))
            and after.kind in _NAMED
        ):
            return TreeVerdict(f"it contains a statement that writes ({token.text.upper()})", offset=token.start)
        older, before = before, token
    return None


_NAMED = frozenset({Kind.WORD, Kind.QUOTED})


def _too_deep(part: Sequence[Token]) -> TreeVerdict | None:
    """Nesting that no real statement has, and that makes a parser run for minutes or crash."""
    opened: list[str] = []
    before: Token | None = None
    for token in part:
        if token.kind is Kind.OTHER and token.text in "([":
            typed = token.text == "(" and before is not None and before.kind is Kind.WORD and before.text in TYPE_WORDS
            opened.append("type" if typed else token.text)
            types, brackets = opened.count("type"), opened.count("[")
            if len(opened) - brackets > MAX_PARENTHESES or brackets + types > MAX_BRACKETS or types > MAX_TYPES:
                return TreeVerdict(NESTING, "text", offset=token.start)
        elif token.kind is Kind.OTHER and token.text in ")]" and opened:
            opened.pop()
        before = token
    return None


def _show(part: Sequence[Token]) -> tuple[StatementKind, TreeVerdict, int]:
    """SHOW name, SHOW a.b, SHOW ALL, SHOW TIME ZONE, …: words and dots, nothing else."""
    names = part[1:]
    plain = 1 <= len(names) <= 8 and all(t.kind in (Kind.WORD, Kind.QUOTED) or t.is_char(".") for t in names)
    return ("show", TreeVerdict(), 0) if plain else ("other", TreeVerdict("this SHOW is not understood"), 0)


def _explain(sql: str, part: Sequence[Token], parse: Parse | None) -> tuple[StatementKind, TreeVerdict, int]:
    analyze, rest = _explain_options(part)
    if rest is None or not rest:
        return "other", TreeVerdict("this EXPLAIN is not understood"), 0
    body = rest[0].start
    head = next((t for t in rest if not t.is_char("(")), rest[0])
    if head.is_word(*READ_STARTS):
        kind, verdict = _read(sql, rest, parse)
        if kind == "read":
            return ("explain-analyze" if analyze else "explain"), verdict, body
        if analyze or not verdict.parsed or verdict.rule == "text":
            return kind, _prefixed(verdict, "EXPLAIN ANALYZE runs it: " if analyze else ""), body
        # Without ANALYZE nothing runs: a plan of SELECT … FOR UPDATE or of WITH … DELETE is only a plan.
        return ("other" if verdict.rule == "creates" else "explain"), verdict, body
    if head.is_word(*DML_STARTS) and not analyze:
        return "explain", TreeVerdict(), body
    if analyze:
        return "other", TreeVerdict(f"EXPLAIN ANALYZE runs what it explains, and this is {_a(head_of(rest))}"), body
    return "other", TreeVerdict(f"this is an EXPLAIN of {_a(head_of(rest))}"), body


def _a(head: str) -> str:
    return f"an {head}" if head[:1] in "AEIOU" else f"a {head}"


def _prefixed(verdict: TreeVerdict, words: str) -> TreeVerdict:
    return TreeVerdict(words + verdict.reason, verdict.rule, verdict.parsed, verdict.offset)


def _explain_options(part: Sequence[Token]) -> tuple[bool, Sequence[Token] | None]:
    """Whether EXPLAIN would run the statement, and that statement's tokens; None where the options are not understood."""
    i = 1
    if i < len(part) and part[i].is_char("("):
        end = next((n for n in range(i, len(part)) if part[n].is_char(")")), None)
        # `EXPLAIN (SELECT 1)` explains a SELECT in parentheses; options begin with another word.
        inside = part[i + 1 : end]
        if end is None or not inside:
            return True, None
        if not inside[0].is_word(*READ_STARTS) and not inside[0].is_char("("):
            return _option_list(inside), part[end + 1 :]
    analyze = False
    while i < len(part) and part[i].is_word("analyze", "analyse", "verbose"):
        analyze = analyze or not part[i].is_word("verbose")
        i += 1
    return analyze, part[i:]


def _option_list(inside: Sequence[Token]) -> bool:
    """ANALYZE in `(option [value], …)`, whatever the spelling, unless it is plainly switched off. The last one wins in Postgres;
    here any that is on does."""
    analyze = False
    start = 0
    for i in range(len(inside) + 1):
        if i < len(inside) and not inside[i].is_char(","):
            continue
        option = inside[start:i]
        start = i + 1
        if option and option[0].text.lower() in ("analyze", "analyse"):
            off = len(option) == 2 and option[1].text.lower() in _FALSE
            analyze = analyze or not off
    return analyze


def head_of(part: Sequence[Token]) -> str:
    """What a statement is, by its first words: `DELETE`, `DROP TABLE`, `CREATE UNIQUE INDEX`."""
    words: list[str] = []
    for token in part[:4]:
        if token.kind is not Kind.WORD:
            break
        words.append(token.text.upper())
        if words[0] not in (
            "CREATE",
            "DROP",
            "ALTER",
            "PREPARE",
            "SET",
            "COMMENT",
            "REFRESH",
            "IMPORT",
            "START",
            "LOCK",
            "DROP",
        ):
            break
        if words[-1] in _OBJECTS:
            break
    return " ".join(words) or (part[0].text[:20] if part else "")


_OBJECTS_TEXT = """TABLE INDEX VIEW FUNCTION PROCEDURE ROLE USER DATABASE SCHEMA SEQUENCE TYPE DOMAIN TRIGGER RULE POLICY EXTENSION SERVER
    SUBSCRIPTION PUBLICATION AGGREGATE OPERATOR CAST COLLATION LANGUAGE TRANSACTION OWNED SESSION ON STATISTICS SYSTEM GROUP"""
_OBJECTS = frozenset(_OBJECTS_TEXT.split())


def _beyond_statement(sql: str, parts: Sequence[Sequence[Token]]) -> str | None:
    found = next(filter(None, map(beyond_branch, parts)), None)
    if found is None and any(holds_code(head_of(part)) for part in parts):
        return beyond_statement_in_text(_unescaped(sql))
    return found


def _commits(part: Sequence[Token]) -> bool:
    """Ends a transaction, or is a DO whose code does."""
    head = head_of(part)
    if head != "DO":
        return head in _TRANSACTION
    for token in part:
        if token.kind is Kind.STRING:
            try:
                if any(t.is_word("commit", "rollback") for t in lexer.tokens(_inside(token.text))):
                    return True
            except LexError:
                return True
    return False


def _inside(string: str) -> str:
    """The text of a string constant, near enough to see its words."""
    if string.startswith("$"):
        tag = string[: string.index("$", 1) + 1]
        return string[len(tag) : -len(tag)]
    return string[string.index("'") + 1 : -1].replace("''", "'")


def holds_code(head: str) -> bool:
    """A statement whose strings may be run as SQL: DO, CREATE FUNCTION and the like."""
    return head == "DO" or head.startswith("CREATE")


def _login_changed(part: Sequence[Token]) -> str | None:
    """The role whose login ALTER ROLE changes: password, name, right to log in."""
    words = [t.text for t in part if t.kind in (Kind.WORD, Kind.QUOTED)]
    if len(words) < 4 or words[0] != "alter" or words[1] not in ("role", "user"):
        return None
    return words[2] if {"password", "rename", "nologin", "valid"}.intersection(words[3:]) else None


def beyond_branch(part: Sequence[Token]) -> str | None:
    """The statement's name when it makes or changes a connection to another server; None else. DROP of one only cuts it."""
    words = [t.text for t in part[:8] if t.kind is Kind.WORD]
    if len(words) < 2:
        return None
    head, rest = words[0], words[1:]
    if rest[0] == "subscription" and head in ("create", "alter", "drop"):
        return f"{head} subscription".upper()
    if rest[0] == "server" and head in ("create", "alter"):
        return f"{head} server".upper()
    if rest[:2] == ["user", "mapping"] and head in ("create", "alter"):
        return f"{head} user mapping".upper()
    if words[:3] == ["import", "foreign", "schema"]:
        return "IMPORT FOREIGN SCHEMA"
    if words[:3] == ["create", "foreign", "table"]:
        return "CREATE FOREIGN TABLE"
    if head == "copy" and any(t.is_word("program") for t in part):
        return "COPY … PROGRAM"
    return None
