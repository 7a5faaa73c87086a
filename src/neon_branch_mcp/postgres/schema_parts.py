"""The parts of tables as compact, DDL-like text: columns, constraints, indexes, triggers, rules, policies.

Left unsaid are the names that Postgres itself would give, btree, a serial column's sequence, a primary key's columns in a foreign key that
points at it, and the cast of a default to its column's own type. Where an answer begins with LEGEND, signs stand for the words that a
schema repeats most, and comparisons with constants stand as people write them (schema_terms).
"""

import re
from collections.abc import Mapping, Set
from dataclasses import dataclass, field

from .ddl_names import qualified, quote, quote_list, short_type
from .schema import (
    Column,
    Constraint,
    Index,
    Name,
    Policy,
    Rule,
    Schema,
    Sequence,
    SequenceOptions,
    Table,
    Trigger,
    View,
)
from .schema_terms import in_table

SERIALS = {"integer": "serial", "bigint": "bigserial", "smallint": "smallserial"}
LIMITS = {"smallint": 2**15 - 1, "integer": 2**31 - 1, "bigint": 2**63 - 1}
CAST_CONSTANT = re.compile(r"(E?'(?:[^']|'')*'|NULL|\(-?[0-9.]+\))::(.+)", re.DOTALL)
NUMBER = re.compile(r"'-?[0-9]+'")
MODIFIER = re.compile(r"\([0-9,]+\)")
NUMERIC = ("integer", "bigint", "smallint", "numeric", "double precision", "real")
# INITIALLY DEFERRED says DEFERRABLE too.
DEFERRED = re.compile(r" deferrable initially deferred(?= not valid\Z| not enforced\Z|\Z)")
SIMPLE_KEY = re.compile(r"(\w+) \(([\w, ]+)\)\Z", re.ASCII)


LEGEND = "-- type!: not null; = x: default x; -> t: references t"


@dataclass(frozen=True)
class Context:
    """What one object's text needs to know of others: the sequences that columns own, which tables the answer tells of anyway, and tables
    that others inherit from.

    `signs` says that the reader has the LEGEND.
    """

    owned: Mapping[tuple[str, str, str], Sequence]
    told: Set[Name] = frozenset()
    signs: bool = False
    parents: Mapping[Name, Table] = field(default_factory=dict)

    @classmethod
    def of(cls, schema: Schema, told: Set[Name] = frozenset(), *, signs: bool = False) -> "Context":
        """The context of a schema's objects."""
        parents = {p for t in schema.tables for p in inherits(t)}
        return cls(
            {s.owned_by: s for s in schema.sequences if s.owned_by},
            told,
            signs,
            {(t.schema, t.name): t for t in schema.tables if (t.schema, t.name) in parents} if parents else {},
        )


def inherits(table: Table) -> tuple[Name, ...]:
    """The tables that it inherits columns from; a partition has its own."""
    return () if table.partition_bound else table.parents


WORDS = Context({})


def single_column(table: Table, shown: Set[str]) -> dict[str, list[Constraint]]:
    """Constraints that can stand with their one column, in the order in which SQL people write them."""
    out: dict[str, list[Constraint]] = {}
    for constraint in table.constraints:
        if (
            len(constraint.columns) == 1
            and constraint.columns[0] in shown
            and constraint.kind not in ("exclude", "trigger")
            and not constraint.inherited
        ):
            out.setdefault(constraint.columns[0], []).append(constraint)
    return out


def column_text(table: Table, column: Column, constraints: list[Constraint], context: Context) -> str:
    """A column with the constraints that stand with it."""
    detail = column.detail
    serial = context.owned.get((table.schema, table.name, column.name))
    text = f"{quote(column.name)} "
    if serial is not None and _is_serial(table, column, serial):
        text += SERIALS[column.type]
    else:
        named = any(c.kind in ("primary key", "not null") for c in constraints)
        stated = column.not_null and not detail.identity and not named
        text += short_type(column.type) + ("!" if stated and context.signs else "")
        if detail.collation:
            text += f" collate {detail.collation}"
        if stated and not context.signs:
            text += " not null"
        text += _value_text(column, "=" if context.signs else "default")
    if detail.identity:
        text += f" identity {detail.identity}" if context.signs else f" generated {detail.identity} as identity"
        if detail.sequence is not None:
            text += sequence_options_text(detail.sequence.options, type_=column.type, wrap=True)
    held = "".join(f" {constraint_text(table, c, column.name, context)}" for c in constraints)
    return text + (in_table(held, table) if context.signs else held)


def _value_text(column: Column, default: str) -> str:
    if column.default is None:
        return ""
    if column.detail.generated:
        return f" generated always as {_parenthesized(column.default)} {column.detail.generated}"
    return f" {default} {plain_default(column.default, column.type)}"


def plain_default(expression: str, type_: str) -> str:
    """The default as people write it: without the cast that Postgres adds, where the column's type says the same."""
    match = CAST_CONSTANT.fullmatch(expression)
    if match is None:
        return expression
    constant, cast = match[1], "character" if match[2] == "bpchar" else match[2]
    if NUMBER.fullmatch(constant) and cast in ("integer", "bigint") and MODIFIER.sub("", type_) in NUMERIC:
        return constant[1:-1]
    if constant != "NULL" and cast not in (type_, MODIFIER.sub("", type_)):
        return expression
    return constant[1:-1] if constant.startswith("(") else constant


def _is_serial(table: Table, column: Column, sequence: Sequence) -> bool:
    default = f"nextval('{qualified(sequence.schema, sequence.name)}'::regclass)"
    return (
        column.type in SERIALS
        and column.not_null
        and column.default == default
        and sequence.name == f"{table.name}_{column.name}_seq"
        and sequence.options.type == column.type
        and not sequence_options_text(sequence.options, type_=column.type)
    )


def plain_column(column: Column) -> str:
    """A column of a type or view: its name and type."""
    return f"{quote(column.name)} {short_type(column.type)}"


def sequence_options_text(options: SequenceOptions, type_: str = "bigint", wrap: bool = False) -> str:
    """What differs from a sequence made without options."""
    parts = []
    if options.type != type_:
        parts.append(f"as {short_type(options.type)}")
    up = options.increment > 0
    top = LIMITS.get(options.type, 0)
    minimum, maximum = (1, top) if up else (-top - 1, -1)
    if options.increment != 1:
        parts.append(f"increment {options.increment}")
    if options.minimum != minimum:
        parts.append(f"minvalue {options.minimum}")
    if options.maximum != maximum:
        parts.append(f"maxvalue {options.maximum}")
    if options.start != (options.minimum if up else options.maximum):
        parts.append(f"start {options.start}")
    if options.cache != 1:
        parts.append(f"cache {options.cache}")
    if options.cycle:
        parts.append("cycle")
    text = " ".join(parts)
    return (f" ({text})" if wrap else f" {text}") if text else ""


def default_name(table: str, columns: tuple[str, ...], kind: str) -> str:
    """The name Postgres gives when none is asked for; the empty string where it would have to shorten it."""
    suffix = {
        "primary key": "pkey",
        "foreign key": "fkey",
        "unique": "key",
        "check": "check",
        "exclude": "excl",
        "index": "idx",
    }
    middle = "" if kind == "primary key" or (kind == "check" and len(columns) != 1) else "_".join(columns)
    name = "_".join(p for p in (table, middle, suffix.get(kind, "")) if p)
    return name if len(name.encode()) < 64 else ""


def constraint_text(table: Table, c: Constraint, column: str | None = None, context: Context = WORDS) -> str:
    """A constraint, on its own or, with `column`, behind that column."""
    named = "" if c.name == default_name(table.name, c.columns, c.kind) else f"constraint {quote(c.name)} "
    text = named + _constraint_text(c, column is not None, context.signs)
    return DEFERRED.sub(" initially deferred", text) if context.signs else text


def _constraint_text(c: Constraint, inline: bool, signs: bool) -> str:
    if not c.definition:
        return f"{c.kind} (not read)"
    columns = f"({quote_list(c.columns)})"
    if c.kind in ("primary key", "unique"):
        for head in (c.kind.upper(), "UNIQUE NULLS NOT DISTINCT"):
            if c.definition.startswith(f"{head} {columns}"):
                tail = c.definition[len(head) + 1 + len(columns) :]
                return f"{head.lower()}{'' if inline else f' {columns}'}{lower(tail)}"
    if c.kind == "foreign key" and c.references is not None:
        target = qualified(*c.references)
        head = f"FOREIGN KEY {columns} REFERENCES {target}({quote_list(c.ref_columns)})"
        if c.definition.startswith(head):
            cols = "" if c.ref_primary else f"({quote_list(c.ref_columns)})"
            lead = "" if inline else f"foreign key {columns} "
            return f"{lead}{'->' if signs else 'references'} {target}{cols}{lower(c.definition[len(head) :])}"
    if c.kind == "not null" and inline:
        return f"not null{lower(c.definition.removeprefix(f'NOT NULL {quote(c.columns[0])}'))}"
    if c.kind == "check":
        return without_double_parentheses(c.definition)
    return c.definition.replace("EXCLUDE USING", "exclude using", 1) if c.kind == "exclude" else c.definition


def without_double_parentheses(definition: str) -> str:
    """CHECK ((a > 0)) → check (a > 0), where the inner pair spans the whole."""
    match = re.fullmatch(r"CHECK \(\((.*)\)\)( NO INHERIT)?( NOT VALID)?( NOT ENFORCED)?", definition, re.DOTALL)
    if match is None or not _balanced(match[1]):
        return definition.replace("CHECK", "check", 1)
    return f"check ({match[1]}){lower(''.join(m or '' for m in match.groups()[1:]))}"


def _balanced(text: str) -> bool:
    depth = 0
    for token in re.findall(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|[()]", text):
        depth += {"(": 1, ")": -1}.get(token, 0)
        if depth < 0:
            return False
    return depth == 0


def lower(text: str) -> str:
    """Keywords in lower case; what stands in quotes stays. Only for text whose words are keywords or lower-case names."""
    return re.sub(
        r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|[A-Z]+", lambda m: m[0] if m[0][0] in "'\"" else m[0].lower(), text
    )


def index_text(relation: str, index: Index) -> str:
    """An index of a table or materialized view."""
    text = index.definition or "(not read)"
    simple = SIMPLE_KEY.match(text)
    columns = tuple(c.strip() for c in simple[2].split(",")) if simple else ()
    named = "" if index.name == default_name(relation, columns, "index") and columns else f" {quote(index.name)}"
    text = text.removeprefix("btree ") if text.startswith(("btree ", "(")) else f"using {text}"
    for keyword in (" INCLUDE (", " NULLS NOT DISTINCT", " WITH (", " WHERE ("):
        text = text.replace(keyword, keyword.lower(), 1)
    invalid = "" if index.valid else " -- INVALID"
    return f"{'unique ' if index.unique else ''}index{named} {text}{invalid}"


def rule_text(rule: Rule) -> str:
    """What it is on and whether it is INSTEAD; the rest is for `full`."""
    match = re.search(r"\bON (SELECT|INSERT|UPDATE|DELETE) TO .*?\bDO (INSTEAD)?", rule.definition, re.DOTALL)
    what = f" on {match[1].lower()} do{' instead' if match[2] else ''} …" if match else ""
    return f"rule {quote(rule.name)}{what}{_enabled(rule.enabled)}"


def _enabled(state: str) -> str:
    return {"O": "", "D": " -- disabled", "R": " -- replica", "A": " -- always"}.get(state, "")


def trigger_text(relation: Table | View, trigger: Trigger) -> str:
    """A trigger: when, on what, and what it calls."""
    text = trigger.definition
    for prefix in ("CREATE TRIGGER ", "CREATE CONSTRAINT TRIGGER "):
        text = text.removeprefix(prefix)
    text = text.removeprefix(quote(trigger.name)).replace(f" ON {qualified(relation.schema, relation.name)} ", " ", 1)
    head = "constraint trigger" if trigger.definition.startswith("CREATE CONSTRAINT") else "trigger"
    return f"{head} {quote(trigger.name)}{_lower_events(text)}{_enabled(trigger.enabled)}"


def _lower_events(text: str) -> str:
    """The part before WHEN or EXECUTE has keywords and quoted names only."""
    head, separator, tail = text.partition(" EXECUTE ")
    before, when, condition = head.partition(" WHEN ")
    each = lower(before).replace(" for each statement", "").replace(" for each row", " each row")
    return (
        each
        + (f" when {condition}" if when else "")
        + (f" execute {tail.removeprefix('FUNCTION ')}" if separator else "")
    )


def policy_text(policy: Policy) -> str:
    """A row-level security policy."""
    text = f"policy {quote(policy.name)}"
    if not policy.permissive:
        text += " as restrictive"
    if policy.command != "ALL":
        text += f" for {policy.command.lower()}"
    if policy.roles:
        text += f" to {quote_list(policy.roles)}"
    if policy.using is not None:
        text += f" using {_parenthesized(policy.using)}"
    if policy.check is not None:
        text += f" with check {_parenthesized(policy.check)}"
    return text


def _parenthesized(text: str) -> str:
    return text if text.startswith("(") and text.endswith(")") and _balanced(text[1:-1]) else f"({text})"
