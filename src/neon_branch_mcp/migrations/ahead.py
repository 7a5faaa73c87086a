"""Which statements may be followed by others before what they did has been looked at.

The question about a statement is sent right behind it, and its answer usually is all there is to know. Sometimes it leads to another
question that only the state right after the statement can answer: rows of before that are gone must be told from the migration's own.
So a statement goes ahead only where this cannot come up, or where the later statements do not touch what it would ask about; and where that
rests on what the text says, the question itself fails when something else has changed, which keeps the later statements from running.

Where text and catalogue prove that a statement reaches one table alone, one question does for several of them: what has changed in a
table is the doing of the only statement that names it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal

import psycopg

from .measure import Measured, may_lose, target_of, words_of
from .plan import PlannedStatement
from .relations import Now

Question = Literal["plain", "unless_changed", "inserting", "changing"]
GUARDED = frozenset({"unless_changed", "inserting"})
"""These fail where what was not foreseen has happened."""
Expected = Literal["nothing", "its table"]
"""What of before a statement changes or deletes rows in: of nothing, or of the quiet table that it names alone."""
UNFORESEEN = "neon-branch-mcp: rows have changed that were not to"
WRITES = ("update", "delete", "insert")


def expected(statement: PlannedStatement, measured: Measured) -> Expected | None:
    """What the statement will do to rows of before, as far as its text and the catalogue tell; None where they do not."""
    words = words_of(statement.text)
    if measured.watched or measured.compares or not words.isdisjoint(measured.called):
        return None
    if statement.kind in WRITES and not words.isdisjoint(measured.read):
        return None
    match statement.kind:
        case "insert" | "create index" | "create table":
            return None if may_lose(statement, measured.functions) else "nothing"
        case "alter table":
            return "nothing" if not may_lose(statement, measured.functions) and _only_adds(statement) else None
        case "update" | "delete":
            # A default may call anything.
            sure = measured.as_said and "default" not in words and target_of(statement) in measured.quiet
            return "its table" if sure else None
        case _:
            return None


def reaches(statement: PlannedStatement, measured: Measured) -> str | None:
    """The table of before that a statement, of which `expected` knows what it does, takes hold of alone; None where that is not sure.

    A key of the table may have its other side read: that counts for nobody but a change of the schema.
    """
    if not measured.as_said:
        return None
    words, table = words_of(statement.text), target_of(statement)
    if statement.kind in WRITES:
        sure = table in measured.quiet and not (statement.kind == "insert" and "with" in words)
    else:
        sure = statement.kind == "alter table" and table in measured.alone and words.isdisjoint(_REACHING)
    return table if sure and words_of(table).isdisjoint(measured.made) else None


_REACHING = frozenset({"references", "using", "check", "unique", "primary", "exclude", "generated", "constraint"})
"""With one of these an ALTER TABLE that only adds may do more than hold its table."""


def _only_adds(statement: PlannedStatement) -> bool:
    """Whether an ALTER TABLE does nothing but add columns and constraints and set defaults."""
    actions: list[list[str]] = [[]]
    depth = 0
    for token in statement.tokens():
        depth += (token.text == "(") - (token.text == ")")
        if token.text == "," and depth == 0:
            actions.append([])
        else:
            actions[-1].append(token.word)
    head = actions[0]
    start = next((i for i, word in enumerate(head) if word in ("ADD", "ALTER") and i > 2), len(head))
    return all(_adds(a) for a in (head[start:], *actions[1:]))


def _adds(action: list[str]) -> bool:
    if action[:1] == ["ADD"]:
        return True
    rest = action[2:] if action[1:2] == ["COLUMN"] else action[1:]
    return action[:1] == ["ALTER"] and rest[1:3] in (["SET", "DEFAULT"], ["DROP", "DEFAULT"])


_TOLD = "COALESCE(pg_catalog.string_agg(pg_catalog.row_to_json(t)::text, E'\\n'), '')"
_CHANGED = "COALESCE(pg_catalog.sum(t.updated OPERATOR(pg_catalog.+) t.deleted), 0)::text"
_FILES = "COALESCE(pg_catalog.sum(t.filenode) FILTER (WHERE 'AccessExclusiveLock' = ANY (t.modes)), 0)::text"
# The script may have a search_path of its own.
_IS = "OPERATOR(pg_catalog.=)"
_COLUMNS = "'AccessExclusiveLock' = ANY (h.modes)"
_KEPT = "'neon_branch_mcp.changed'"


@dataclass(frozen=True)
class Questions:
    """The ways to ask what a statement did; each answers with a line of JSON for every relation of before that the transaction holds.

    `plain` can be asked at any time. The others stand among statements on their way, after `expecting`: `unless_changed` fails when rows
    of before were changed or deleted since the question before it, `inserting` also when a table got a new file, as TRUNCATE gives it one;
    `changing` takes it that rows were changed. These three leave the columns out: what is foreseen only adds some. None has parameters:
    Postgres plans them once.
    """

    plain: str
    unless_changed: str
    inserting: str
    changing: str

    @classmethod
    def of(cls, text: str) -> "Questions":
        """From the text, in which `{answer}` stands for what is asked for."""
        known, now = f"pg_catalog.current_setting({_KEPT}, true)", f"pg_catalog.concat({_CHANGED}, ' ', {_FILES})"
        noted = f"pg_catalog.set_config({_KEPT}, {now}, true)"
        # A text that is no truth value ends the subtransaction; concat, for a constant would be taken for one before anything is asked.
        fails = f"pg_catalog.concat('{UNFORESEEN}', {_CHANGED})::pg_catalog.bool::text"
        unless_changed = (
            f"CASE WHEN pg_catalog.split_part({known}, ' ', 1) {_IS} {_CHANGED} THEN {noted} ELSE {fails} END"
        )
        inserting = f"CASE WHEN {known} {_IS} {now} THEN '' ELSE {fails} END"
        rows_only = text.replace(_COLUMNS, "false")
        return cls(
            plain=text.replace("{answer}", _TOLD),
            unless_changed=rows_only.replace("{answer}", f"{_TOLD}, {unless_changed}"),
            inserting=rows_only.replace("{answer}", f"{_TOLD}, {inserting}"),
            changing=rows_only.replace("{answer}", f"{_TOLD}, {noted}"),
        )

    @staticmethod
    def expecting(known: Iterable[Now]) -> str:
        """Send this first; `known` is what the transaction holds."""
        changed = files = 0
        for row in known:
            changed += row.updated + row.deleted
            files += (row.filenode or 0) if "AccessExclusiveLock" in row.modes else 0
        return f"SELECT pg_catalog.set_config({_KEPT}, '{changed} {files}', true)"


def is_unforeseen(error: psycopg.Error) -> bool:
    """Whether `unless_changed` failed for what it is there for."""
    return error.sqlstate == "22P02" and UNFORESEEN in (error.diag.message_primary or "")


@dataclass(frozen=True)
class Sent:
    """A statement on its way, and the question that is sent right behind it. It `reaches` this table alone, where that is known; `later`:
    what it does there is asked behind a later statement.
    """

    statement: PlannedStatement
    question: Question | None
    reaches: str | None = None
    later: bool = False

    def disturbs(self, measured: Measured) -> bool:
        """Whether its locks could keep the reading of the schema waiting."""
        if self.question is None and not self.later:
            return False
        return self.reaches is None or (self.statement.kind not in WRITES and self.reaches not in measured.still)


@dataclass
class Stretch:
    """Statements that are sent together, as it grows. `written`: tables whose rows were changed or deleted in it; these stay as they are to
    its end, so that what is asked at the end is as it was right after the statement.
    """

    measured: Measured
    foresees: bool
    """Whether anything may follow a statement that has to be asked about."""
    sent: list[Sent] = field(default_factory=list)
    written: set[str] = field(default_factory=set)

    def takes(self, statement: PlannedStatement, *, meets_old: bool) -> bool:
        """Whether the statement may come after those before it."""
        if statement.kind in ("savepoint", "release") and any(sent.question for sent in self.sent):
            return False  # what is remembered there must be known by then
        if not meets_old or not self.written:
            return True
        return statement.kind in WRITES and self.written.isdisjoint(words_of(statement.text))

    def add(self, statement: PlannedStatement, *, meets_old: bool) -> bool:
        """Take the statement in; whether others may come after it."""
        if not meets_old:
            self.sent.append(Sent(statement, None))
            return True
        will = expected(statement, self.measured) if self.foresees else None
        if will == "its table":
            self.written |= words_of(target_of(statement))
        question: Question = "plain"
        if will == "its table":
            question = "changing"
        elif will == "nothing":
            question = "inserting" if statement.kind == "insert" else "unless_changed"
        self.sent.append(Sent(statement, question, None if will is None else reaches(statement, self.measured)))
        return will is not None

    def closed(self) -> list[Sent]:
        """It is complete: nothing depends on what is asked last."""
        found = list(self.sent)
        waiting: set[str] = set()
        for i in range(len(found) - 1):
            one, after = found[i], found[i + 1]
            if one.reaches is not None and after.reaches is not None and _alike(one.statement, after.statement):
                waiting |= words_of(one.reaches)
                if waiting.isdisjoint(words_of(after.statement.text)):
                    found[i] = replace(one, question=None, later=True)
                    # What it changed is foreseen, and so must be what the question that covers it finds.
                    found[i + 1] = replace(after, question="changing") if one.question == "changing" else after
                    continue
            waiting.clear()
        return [*found[:-1], replace(found[-1], question=found[-1].question and "plain")]


def _alike(one: PlannedStatement, other: PlannedStatement) -> bool:
    return (one.kind in WRITES) == (other.kind in WRITES)
