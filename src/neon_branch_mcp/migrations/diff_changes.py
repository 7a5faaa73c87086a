"""What a difference between two schemas is made of."""

from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias, TypeVar

from ..postgres.ddl_names import quote, without_schema
from ..postgres.schema import Composite, Domain, Enum, Function, Range, SchemaObject, Sequence, Table, View

ChangeKind: TypeAlias = Literal["added", "removed", "changed", "renamed"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Change:
    """One change: of which object, as `column orders.note`; in one line; and the statements that make it."""

    kind: ChangeKind
    object: str
    summary: str
    ddl: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SchemaDiff:
    """All changes in order. `notes` say what makes the two hard to compare: other Postgres versions, what could not be read."""

    changes: tuple[Change, ...] = ()
    notes: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.changes)

    @property
    def ddl(self) -> str:
        """The statements that lead from before to after, one block per change."""
        return "".join(f"{s}\n" if s.startswith("--") else f"{s};\n" for c in self.changes for s in c.ddl)

    def text(self) -> str:
        """A line per note and change; says so when there is none."""
        lines = [f"-- {note}" for note in self.notes]
        return "\n".join(lines + ([c.summary for c in self.changes] or ["no difference"]))


def local(text: str) -> str:
    """A name or definition without `public.`, which a reader does not miss."""
    return without_schema(text, "public")


def dotted(schema: str, name: str) -> str:
    """The name, with its schema unless that is public."""
    return quote(name) if schema == "public" else f"{quote(schema)}.{quote(name)}"


def kind_of(obj: SchemaObject) -> str:
    """What an object is called in a summary."""
    match obj:
        case Table():
            return "foreign table" if obj.kind == "foreign table" else "table"
        case View():
            return "materialized view" if obj.materialized else "view"
        case Enum() | Composite() | Range():
            return "type"
        case Domain() | Sequence():
            return type(obj).__name__.lower()
        case _:
            return obj.kind


def object_name(obj: SchemaObject) -> str:
    """Kind and name: `table orders`, `function total(o bigint)`."""
    if isinstance(obj, Function):
        return f"{obj.kind} {dotted(obj.schema, obj.name)}({local(obj.identity)})"
    identity = getattr(obj, "identity", "")
    return (
        f"{kind_of(obj)} {local(identity) if isinstance(identity, str) and identity else dotted(obj.schema, obj.name)}"
    )


def pairs(
    before: Iterable[T], after: Iterable[T], key: Callable[[T], Hashable]
) -> tuple[list[T], list[T], list[tuple[T, T]]]:
    """What is only before, only after, and in both but not equal; each in order."""
    if before is after and not isinstance(before, Iterator):
        return [], [], []
    old = {key(o): o for o in before}
    new = {key(n): n for n in after}
    removed = [o for k, o in old.items() if k not in new]
    added = [n for k, n in new.items() if k not in old]
    return removed, added, [(o, new[k]) for k, o in old.items() if k in new and o != new[k]]
