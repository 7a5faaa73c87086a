"""When are two values the same value? One canonical form for each pair of column types, as SQL that Postgres can hash exactly.

The same type on both sides, compared without any loss:

| type | same means |
|---|---|
| smallint, integer, bigint, boolean, uuid, date, time, timestamp, timestamptz, bytea | the same value, to the microsecond and byte |
| numeric | the same value **and** the same scale: 1.0 is not 1.00 |
| real, double precision | the same bits: -0 is not 0 |
| text, varchar | the same bytes, whatever the collation; `''` is not null |
| char(n) | the same text without the padding, which has no meaning in char(n) |
| interval | the same months, days and microseconds: 1 month is not 30 days |
| json, xml | the same text, white space included |
| jsonb | the same document, numbers with their scale |
| enums | the same label |
| arrays, ranges, composites, bit strings and all others | the same text, as Postgres writes it: bounds, dimensions and nulls inside too |

A type that the migration changed: `Canonical.note` says how the values were compared, `conclusive` whether a difference means a loss.
A width or typmod alone (int → bigint, varchar(50) → text, numeric(10,2) → numeric(12,4), real → double precision) is compared by value,
so widening preserves and rounding or cutting is found. json → jsonb is compared as jsonb. Any other pair is compared by its text:
equal texts prove that nothing was lost (`'007'` as text is not 7), different ones prove nothing, so such a column is unproven.
"""

from dataclasses import dataclass

from .verify_catalogue import ColumnType

INTEGERS = frozenset({"int2", "int4", "int8"})
FLOATS = frozenset({"float4", "float8"})
TEXTS = frozenset({"text", "varchar", "bpchar", "name", "char"})
DATES = frozenset({"date", "timestamp"})
# Types whose own hash tells every two different values apart.
EXACT = INTEGERS | DATES | {"bool", "uuid", "time", "timestamptz", "bytea", "oid", "pg_lsn"}
AS_TEXT = ('{c}::pg_catalog.text COLLATE "C"',)


@dataclass(frozen=True)
class Canonical:
    """How to compare a column of the base with one of the branch: expressions with `{c}` for the column, one hash input each."""

    base: tuple[str, ...]
    branch: tuple[str, ...]
    note: str = ""
    conclusive: bool = True


def exact(kind: ColumnType) -> tuple[str, ...]:
    """The canonical form of a type against itself."""
    match kind.builtin:
        case name if name in EXACT:
            return ("{c}",)
        case "numeric":
            # A declared scale is every value's scale; the hash itself does not see it.
            return ("{c}",) if "(" in kind.declared else ("{c}", "pg_catalog.scale({c})")
        case "float4" | "float8" as name:
            return (f"pg_catalog.{name}send({{c}})",)
        case "interval":
            return ("pg_catalog.interval_send({c})",)
        case _:
            return AS_TEXT


def canonical(base: ColumnType, branch: ColumnType) -> Canonical:
    """How to compare the two types. There is always a way; see `conclusive` for what a difference means."""
    changed = f"type changed from {base.declared} to {branch.declared}"
    # Types that are not Postgres' own are the same type by their name: their oid differs in a restored copy.
    same_kind = base.builtin == branch.builtin and bool(base.builtin or base.declared == branch.declared)
    if same_kind and (base.declared == branch.declared or base.builtin != "numeric"):
        note = "" if base.declared == branch.declared else changed
        return Canonical(exact(base), exact(branch), note)
    if found := _by_value(base.builtin, branch.builtin):
        return Canonical(*found, note=f"{changed}; compared by value")
    if {base.builtin, branch.builtin} == {"json", "jsonb"}:
        form = '{c}::pg_catalog.jsonb::pg_catalog.text COLLATE "C"'
        return Canonical(
            (form,), (form,), note=f"{changed}; compared as jsonb, which keeps no white space or key order"
        )
    if {base.builtin, branch.builtin} == {"timestamp", "timestamptz"}:
        forms = {"timestamp": ("{c}",), "timestamptz": ("({c} AT TIME ZONE 'UTC')",)}
        note = f"{changed}; compared at time zone UTC"
        return Canonical(forms[base.builtin], forms[branch.builtin], note, conclusive=False)
    conclusive = all(t.kind == "e" or t.builtin in TEXTS for t in (base, branch))
    return Canonical(AS_TEXT, AS_TEXT, f"{changed}; compared as text", conclusive)


def _by_value(base: str, branch: str) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    both = {base, branch}
    if both <= TEXTS:
        return AS_TEXT, AS_TEXT
    for family, form in (
        (INTEGERS, "{c}::pg_catalog.int8"),
        (FLOATS, "pg_catalog.float8send({c}::pg_catalog.float8)"),
        (DATES, "{c}::pg_catalog.timestamp"),
        (INTEGERS | {"numeric"}, "{c}::pg_catalog.numeric"),
    ):
        if both <= family:
            return (form,), (form,)
    if both <= INTEGERS | FLOATS | {"numeric"}:
        return _as_decimal(base), _as_decimal(branch)
    return None


def _as_decimal(name: str) -> tuple[str, ...]:
    # The shortest text of a float names that float and no other: equal decimals can be turned back without loss.
    return ("{c}::pg_catalog.text::pg_catalog.numeric",) if name in FLOATS else ("{c}::pg_catalog.numeric",)
