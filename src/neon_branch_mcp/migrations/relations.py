"""A relation before the migration, and as it is after a statement: what the tracer compares."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from .measure import Columns, Counted
from .plan import PlannedStatement


@dataclass(frozen=True)
class Before:
    """A relation as it was before the transaction. `root` is the partitioned table that it belongs to, itself included; `parents` are
    the names of all that it is a part of.
    """

    oid: int
    schema: str
    name: str
    kind: str
    filenode: int | None
    estimate: int | None
    root: int | None
    root_label: str | None
    parents: list[str] | None
    table_oid: int | None
    columns: Columns | None

    @property
    def label(self) -> str:
        return self.name if self.schema == "public" else f"{self.schema}.{self.name}"

    @property
    def whole(self) -> str:
        """The name a person knows it by: a partition goes by its partitioned table's."""
        return self.root_label or self.label

    @property
    def is_table(self) -> bool:
        return self.kind in ("r", "p")

    @property
    def is_index(self) -> bool:
        return self.kind in ("i", "I")


@dataclass(frozen=True)
class Now:
    """A relation as the migrating transaction sees it after a statement; not `present` when it was dropped.

    The counters run from the beginning of the transaction; `acts` says that it has triggers or rules; `columns` is there only where the
    lock would let them change.
    """

    oid: int
    modes: list[str]
    present: bool
    schema: str | None
    name: str | None
    filenode: int | None
    read: int
    inserted: int
    updated: int
    deleted: int
    doubt: bool
    acts: bool
    columns: Columns | None


@dataclass
class Seen:
    """What was seen of a relation at the last look, within one transaction.

    `touched` counts the rows of before that were deleted or updated, where that is known; `changed`: some of them were updated. `base` is
    what the values were at the last count.
    """

    filenode: int | None
    columns: Columns | None
    read: int = 0
    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    strength: int = 0
    present: bool = True
    touched: int | None = 0
    changed: bool = False
    rewritten: bool = False
    stale: bool = False
    base: Counted | None = None
    modes: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Change:
    """One relation across one statement."""

    before: Before
    seen: Seen
    now: Now

    @property
    def read(self) -> int:
        return self.now.read - self.seen.read

    @property
    def inserted(self) -> int:
        return self.now.inserted - self.seen.inserted

    @property
    def updated(self) -> int:
        return self.now.updated - self.seen.updated

    @property
    def deleted(self) -> int:
        return self.now.deleted - self.seen.deleted

    @property
    def dropped(self) -> bool:
        return self.seen.present and not self.now.present

    @property
    def columns(self) -> Columns | None:
        """The columns now: as at the last look where they cannot have changed since."""
        return self.seen.columns if self.now.columns is None else self.now.columns

    @property
    def renewed(self) -> bool:
        """It has a new file: rewritten, or truncated."""
        return self.now.present and self.seen.filenode is not None and self.now.filenode != self.seen.filenode


@dataclass(frozen=True)
class Step:
    """A statement that has run: when, in milliseconds of the script's own time, and how long. `deferred` is what it left to the end."""

    statement: PlannedStatement
    at: float
    ms: float
    deferred: bool = False


@dataclass(frozen=True)
class Answer:
    """What was answered after a statement. `earlier`: statements before it that are not asked about by themselves, each with the only
    table of before that it reaches; no two reach the same.
    """

    step: Step
    text: str
    earlier: Sequence[tuple[Step, str]] = ()
