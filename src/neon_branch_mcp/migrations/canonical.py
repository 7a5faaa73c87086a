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
| enums | the same label; on two physical copies also a label that was renamed, where neither name stands for another one |
| arrays, ranges, composites, bit strings and all others | the same text, as Postgres writes it: bounds, dimensions and nulls inside too |

A domain is compared as the type below it.

A type that the migration changed: `Canonical.note` says how the values were compared, `conclusive` whether a difference means a loss.
A width or typmod alone (int → bigint, varchar(50) → text, numeric(10,2) → numeric(12,4), real → double precision) is compared by value,
so widening preserves and rounding or cutting is found, in arrays too. json → jsonb is compared as jsonb; a document in which a key stands
twice is lost, for jsonb keeps the last. Any other pair is compared by its text:
equal texts prove that nothing was lost (`'007'` as text is not 7), different ones prove nothing, so such a column is unproven.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from .verify_catalogue import ColumnType

INTEGERS = frozenset({"int2", "int4", "int8"})
FLOATS = frozenset({"float4", "float8"})
TEXTS = frozenset({"text", "varchar", "bpchar", "name", "char"})
DATES = frozenset({"date", "timestamp"})
NUMBERS = frozenset({"int2", "int4", "int8", "numeric"})
BY_MODIFIER = frozenset({"numeric", "_numeric", "_bpchar"})
"""Types whose text says how wide they were declared."""

# One hash input: SQL over the value {c} with the seed {s}, a bigint that is null only where the value is (but ROW hashes null to 0).
# What Postgres' own hashes leave out is put back: hashint8 folds 64 bits to 32, hash_numeric knows no sign and no scale, hashfloat8 no -0.
# hash_numeric XORs the power of 10,000 onto the hash of the digits: unmixed, two columns that both grow ten-thousandfold cancel out.
INT8 = "pg_catalog.hashint8extended({c}, pg_catalog.hashint8extended({c} >> 32, {s}))"
TEXT = 'pg_catalog.hashtextextended({c}::pg_catalog.text COLLATE "C", {s})'
MIXED = "pg_catalog.hashint4extended(1, pg_catalog.hash_numeric_extended({c}, {s}))"
NUMERIC = f"CASE WHEN {{c}} < 0 THEN {MIXED} ELSE {MIXED.replace('{s}', '{s} + 1')} END"
# scale() is null for NaN and the infinities: these go by their text.
SCALED = (
    f"coalesce(CASE WHEN {{c}} < 0 THEN {MIXED.replace('{s}', '{s} - 1 - pg_catalog.scale({c})')}"
    f" ELSE {MIXED.replace('{s}', '{s} + pg_catalog.scale({c})')} END, {TEXT})"
)
VALUE = f"CASE WHEN {{c}} IN ('NaN', 'Infinity', '-Infinity') THEN {TEXT} ELSE {NUMERIC} END"
FLOAT = f"CASE WHEN {{c}} = 0 THEN {TEXT} ELSE pg_catalog.hashfloat8extended({{c}}, {{s}}) END"
# How many keys a JSON text has, at all depths: each string gives way to the colon behind it, and only colons are counted.
STRING = r"""E'"(?:[^"\\\\]|\\\\.)*"(\\s*:)?'"""
KEYS = (
    f"pg_catalog.length(pg_catalog.regexp_replace(pg_catalog.regexp_replace({{c}}::pg_catalog.text, {STRING}, E'\\\\1', 'g'),"
    " '[^:]', '', 'g'))"
)
# Of keys that stand twice in an object jsonb keeps the last: such a document is not what it becomes.
AS_JSONB = "{c}::pg_catalog.jsonb"
DOCUMENT = f"CASE WHEN {KEYS} = {KEYS.replace('{c}', AS_JSONB)} THEN {TEXT.replace('{c}', AS_JSONB)} ELSE {TEXT} END"
# The elements of an array of numbers without their scale.
ELEMENTS = (
    "CASE WHEN {c} IS NOT NULL THEN pg_catalog.hashtextextended(pg_catalog.concat(pg_catalog.array_dims({c}), '=',"
    " (SELECT pg_catalog.string_agg(coalesce(pg_catalog.trim_scale(e.v::pg_catalog.numeric)::pg_catalog.text, '?'), ',' ORDER BY e.n)"
    ' FROM pg_catalog.unnest({c}) WITH ORDINALITY e (v, n))) COLLATE "C", {s}) END'
)
SENT = "pg_catalog.hash_record_extended(ROW(pg_catalog.{send}({c})), {s})"

SAME: Mapping[str, str] = {
    "int2": "pg_catalog.hashint2extended({c}, {s})",
    "int4": "pg_catalog.hashint4extended({c}, {s})",
    "int8": INT8,
    "bool": "pg_catalog.hashint4extended({c}::pg_catalog.int4, {s})",
    "uuid": "pg_catalog.uuid_hash_extended({c}, {s})",
    "float4": FLOAT,
    "float8": FLOAT,
    "bytea": "pg_catalog.hash_record_extended(ROW({c}), {s})",
    "date": SENT.replace("{send}", "date_send"),
    "time": SENT.replace("{send}", "time_send"),
    "timestamp": SENT.replace("{send}", "timestamp_send"),
    "timestamptz": SENT.replace("{send}", "timestamptz_send"),
    "interval": SENT.replace("{send}", "interval_send"),
}


@dataclass(frozen=True)
class Canonical:
    """How to compare a column of the base with one of the branch: one hash input each."""

    base: str
    branch: str
    note: str = ""
    conclusive: bool = True


def exact(kind: ColumnType) -> str:
    """The hash input of a type against itself."""
    if kind.builtin == "numeric":
        # A declared scale is every value's scale.
        return NUMERIC if "(" in (kind.below or kind.declared) else SCALED
    return SAME.get(kind.builtin, TEXT)


def canonical(base: ColumnType, branch: ColumnType) -> Canonical:
    """How to compare the two types. There is always a way; see `conclusive` for what a difference means."""
    changed = f"type changed from {base.declared} to {branch.declared}"
    # Types that are not Postgres' own are the same type by their name: their oid differs in a restored copy.
    same_kind = base.builtin == branch.builtin and bool(base.builtin or base.declared == branch.declared)
    if same_kind and base.fields != branch.fields:
        told = f"fields of {base.declared} changed from ({base.fields}) to ({branch.fields}); compared as text"
        return Canonical(TEXT, TEXT, told, conclusive=False)
    same_modifier = (base.below or base.declared) == (branch.below or branch.declared)
    if same_kind and (same_modifier or base.builtin not in BY_MODIFIER):
        note = "" if base.declared == branch.declared else changed
        return Canonical(exact(base), exact(branch), note)
    if found := _by_value(base.builtin, branch.builtin):
        return Canonical(*found, note=f"{changed}; compared by value")
    if {base.builtin, branch.builtin} == {"json", "jsonb"}:
        forms = {"json": DOCUMENT, "jsonb": TEXT}
        # The branch's own repeated keys are nothing that the base has lost.
        theirs = _of(TEXT, "jsonb")
        note = f"{changed}; compared as jsonb, which keeps no white space or key order"
        return Canonical(forms[base.builtin], theirs, note)
    if {base.builtin, branch.builtin} == {"timestamp", "timestamptz"}:
        plain = SAME["timestamp"]
        forms = {"timestamp": plain, "timestamptz": plain.replace("{c}", "({c} AT TIME ZONE 'UTC')")}
        note = f"{changed}; compared at time zone UTC"
        return Canonical(forms[base.builtin], forms[branch.builtin], note, conclusive=False)
    conclusive = all(t.kind == "e" or t.builtin in TEXTS for t in (base, branch))
    return Canonical(TEXT, TEXT, f"{changed}; compared as text", conclusive)


def relabelled(kind: ColumnType, renamed: Mapping[str, str]) -> Canonical:
    """How to compare an enum some of whose labels have other names on the branch."""
    whens = " ".join(f"WHEN {_literal(old)} THEN {_literal(new)}" for old, new in renamed.items())
    told = ", ".join(f"{old} to {new}" for old, new in renamed.items())
    base = TEXT.replace(
        "{c}::pg_catalog.text", f"(CASE {{c}}::pg_catalog.text {whens} ELSE {{c}}::pg_catalog.text END)"
    )
    return Canonical(base, TEXT, note=f"label of {kind.declared} renamed: {told}")


def _literal(text: str) -> str:
    # Hash inputs are filled in by {c} and {s}, and backslashes have a meaning in some settings.
    plain = "".join(c if c not in "{}\\" else f"\\{ord(c):04X}" for c in text.replace("'", "''"))
    return f"U&'{plain}'" if plain != text.replace("'", "''") else f"'{plain}'"


def _of(form: str, cast: str) -> str:
    return form.replace("{c}", f"({{c}}::pg_catalog.{cast})")


def _by_value(base: str, branch: str) -> tuple[str, str] | None:
    both = {base, branch}
    for family, form in (
        (TEXTS, TEXT),
        (INTEGERS, _of(INT8, "int8")),
        (FLOATS, _of(FLOAT, "float8")),
        (DATES, _of(SAME["timestamp"], "timestamp")),
        (NUMBERS, _of(VALUE, "numeric")),
        (_arrays(TEXTS - {"name", "char"}), _of(TEXT, "text[]")),
        (_arrays(FLOATS), _of(TEXT, "float8[]")),
        (_arrays(NUMBERS), ELEMENTS),
    ):
        if both <= family:
            return form, form
    if both <= NUMBERS | FLOATS:
        return _as_decimal(base), _as_decimal(branch)
    return None


def _arrays(names: frozenset[str]) -> frozenset[str]:
    return frozenset(f"_{name}" for name in names)


def _as_decimal(name: str) -> str:
    # The shortest text of a float names that float and no other: equal decimals can be turned back without loss.
    return _of(VALUE, "text::pg_catalog.numeric" if name in FLOATS else "numeric")
