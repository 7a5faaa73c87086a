"""One object as compact, DDL-like text: what is default is left unsaid, keys and constraints stand where they belong.

Left unsaid are: NULL, btree, the names that Postgres itself would give to constraints and indexes, the schema of names that are in the
object's own schema, a serial column's sequence, and a primary key's columns in a foreign key that points at it.
"""

import re
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass

from .ddl_names import literal, qualified, quote, quote_list, short_type, without_schema
from .schema import (
    Column,
    Composite,
    Constraint,
    Domain,
    Enum,
    Function,
    Index,
    Name,
    Other,
    Policy,
    Range,
    Rule,
    Schema,
    SchemaObject,
    Sequence,
    SequenceOptions,
    Table,
    Trigger,
    View,
)

SERIALS = {"integer": "serial", "bigint": "bigserial", "smallint": "smallserial"}
LIMITS = {"smallint": 2**15 - 1, "integer": 2**31 - 1, "bigint": 2**63 - 1}
MOST_REFERENCES = 50
SMALL = 100_000  # bytes: a smaller table's size says nothing
SIMPLE_KEY = re.compile(r"(\w+) \(([\w, ]+)\)\Z", re.ASCII)


@dataclass(frozen=True)
class Context:
    """What one object's text needs to know of others: the sequences that columns own, and which tables the answer tells of anyway."""

    owned: Mapping[tuple[str, str, str], Sequence]
    told: Set[Name] = frozenset()

    @classmethod
    def of(cls, schema: Schema, told: Set[Name] = frozenset()) -> "Context":
        """The context of a schema's objects."""
        return cls({s.owned_by: s for s in schema.sequences if s.owned_by}, told)


def compact(obj: SchemaObject, context: Context) -> list[str]:
    """The lines of an object; all but the first are indented."""
    match obj:
        case Table():
            lines = list(_table(obj, context))
        case View():
            lines = list(_view(obj))
        case Enum():
            lines = [f"enum {quote(obj.name)} ({', '.join(literal(v) for v in obj.values)})"]
        case Domain():
            lines = [_domain(obj)]
        case Composite():
            lines = [f"type {quote(obj.name)} ({', '.join(_plain_column(c) for c in obj.columns)})"]
        case Range():
            lines = [f"range {quote(obj.name)} ({obj.definition})"]
        case Sequence():
            lines = [f"sequence {quote(obj.name)}{_sequence_options(obj.options)}{_owned(obj)}"]
        case Function():
            lines = [_function(obj)]
        case _:
            lines = [_other(obj)]
    return [without_schema(line, obj.schema) for line in lines]


def _other(obj: Other) -> str:
    """The first of the statements that make it."""
    first, _, more = obj.definition.partition(";\n")
    if not first:
        return f"{obj.kind} {obj.identity or quote(obj.name)}"
    return first.removeprefix("CREATE ").replace(obj.kind.upper(), obj.kind, 1) + (" …" if more else "")


def label(obj: SchemaObject) -> str:
    """What the object is, in a list of names."""
    match obj:
        case Table():
            return "partition" if obj.partition_bound else obj.kind if obj.kind != "table" else _kind(obj)
        case View():
            return "materialized view" if obj.materialized else "view"
        case Composite():
            return "type"
        case Enum() | Domain() | Range() | Sequence():
            return type(obj).__name__.lower()
        case _:
            return obj.kind


def _kind(table: Table) -> str:
    if table.kind == "table" and table.unlogged:
        return "unlogged table"
    return "table" if table.kind == "partitioned table" else table.kind


def relation_notes(relation: Table | View) -> list[str]:
    """What is known of a table or view beyond its DDL."""
    name = qualified(relation.schema, relation.name)
    notes = [f"{name}{_size(relation.rows, relation.size)}{_state(relation)}"]
    if isinstance(relation, Table) and (pointing := _pointing(relation)):
        notes.append(f"referenced by {pointing}")
    return notes if notes != [name] else []


def _size(rows: int | None, size: int | None) -> str:
    facts = []
    if rows is not None:
        facts.append(f"~{rows} row{'' if rows == 1 else 's'}")
    if size and size > SMALL:
        facts.append(bytes_text(size))
    return f" -- {', '.join(facts)}" if facts else ""


def bytes_text(size: int) -> str:
    """A size in the unit that keeps it short."""
    value = float(size)
    for unit in ("bytes", "kB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            return f"{value:.0f} {unit}"
        value /= 1024
    raise AssertionError


def _table(table: Table, context: Context) -> Iterator[str]:
    yield f"{_kind(table)} {quote(table.name)}{_table_tail(table)}{_size(table.rows, table.size)}{_state(table)}"
    shown = [] if table.partition_bound else [c for c in table.columns if not (c.detail.inherited and table.parents)]
    single = _single_column(table, {c.name for c in shown})
    for column in shown:
        yield " " + column_text(table, column, single.get(column.name, []), context)
    inline = {id(c) for cs in single.values() for c in cs}
    for constraint in table.constraints:
        if id(constraint) not in inline and not constraint.inherited and constraint.kind != "trigger":
            yield " " + constraint_text(table, constraint)
    for index in table.indexes:
        if index.parent is None:
            yield " " + index_text(table.name, index)
    yield from _on_relation(table)
    if table.row_security:
        yield f" row level security {table.row_security}"
    for policy in table.policies:
        yield " " + _policy(policy)
    pointing = _pointing(table, context.told)
    if pointing:
        yield f" referenced by {pointing}"


def _pointing(table: Table, told: Set[Name] = frozenset()) -> str:
    """The tables that refer to this one, but those that are told of themselves."""
    others = [r for r in table.referenced_by if r.table not in told and r.table != (table.schema, table.name)]
    names = [f"{qualified(*r.table)}({quote_list(r.columns)})" for r in others[:MOST_REFERENCES]]
    more = len(others) - len(names)
    return ", ".join([*names, f"and {more} more"] if more else names)


def _table_tail(table: Table) -> str:
    tail = ""
    if table.partition_bound:
        tail += f" partition of {qualified(*table.parents[0])} {_lower(table.partition_bound)}"
    elif table.parents:
        tail += f" inherits ({', '.join(qualified(*p) for p in table.parents)})"
    if table.of_type:
        tail += f" of {table.of_type}"
    if table.partition_key:
        tail += f" partition by {_lower(table.partition_key)} ({table.partitions} partition{'' if table.partitions == 1 else 's'})"
    if table.server:
        tail += f" server {quote(table.server)}"
    if table.access_method:
        tail += f" using {quote(table.access_method)}"
    if table.options:
        tail += f" with ({', '.join(table.options)})"
    return tail


def _state(table: Table | View) -> str:
    notes = []
    if table.locked:
        notes.append("locked by another session: expressions not read")
    if not table.readable:
        notes.append("not readable by this role")
    return f" -- {'; '.join(notes)}" if notes else ""


def _single_column(table: Table, shown: Set[str]) -> dict[str, list[Constraint]]:
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
        text += short_type(column.type)
        if detail.collation:
            text += f" collate {detail.collation}"
        if (
            column.not_null
            and not detail.identity
            and all(c.kind not in ("primary key", "not null") for c in constraints)
        ):
            text += " not null"
        if column.default is not None:
            text += (
                f" default {column.default}"
                if not detail.generated
                else f" generated always as {_parenthesized(column.default)} {detail.generated}"
            )
    if detail.identity:
        text += f" generated {detail.identity} as identity"
        if detail.sequence is not None:
            text += _sequence_options(detail.sequence.options, type_=column.type, wrap=True)
    return text + "".join(f" {constraint_text(table, c, column.name)}" for c in constraints)


def _is_serial(table: Table, column: Column, sequence: Sequence) -> bool:
    default = f"nextval('{qualified(sequence.schema, sequence.name)}'::regclass)"
    return (
        column.type in SERIALS
        and column.not_null
        and column.default == default
        and sequence.name == f"{table.name}_{column.name}_seq"
        and sequence.options.type == column.type
        and not _sequence_options(sequence.options, type_=column.type)
    )


def _plain_column(column: Column) -> str:
    return f"{quote(column.name)} {short_type(column.type)}"


def _sequence_options(options: SequenceOptions, type_: str = "bigint", wrap: bool = False) -> str:
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


def _owned(sequence: Sequence) -> str:
    if sequence.owned_by is None:
        return ""
    schema, table, column = sequence.owned_by
    return f" owned by {qualified(schema, table)}.{quote(column)}"


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


def constraint_text(table: Table, c: Constraint, column: str | None = None) -> str:
    named = "" if c.name == default_name(table.name, c.columns, c.kind) else f"constraint {quote(c.name)} "
    return named + _constraint_text(c, inline=column is not None)


def _constraint_text(c: Constraint, inline: bool) -> str:
    if not c.definition:
        return f"{c.kind} (not read)"
    columns = f"({quote_list(c.columns)})"
    if c.kind in ("primary key", "unique"):
        for head in (c.kind.upper(), "UNIQUE NULLS NOT DISTINCT"):
            if c.definition.startswith(f"{head} {columns}"):
                tail = c.definition[len(head) + 1 + len(columns) :]
                return f"{head.lower()}{'' if inline else f' {columns}'}{_lower(tail)}"
    if c.kind == "foreign key" and c.references is not None:
        target = qualified(*c.references)
        head = f"FOREIGN KEY {columns} REFERENCES {target}({quote_list(c.ref_columns)})"
        if c.definition.startswith(head):
            cols = "" if c.ref_primary else f"({quote_list(c.ref_columns)})"
            lead = "" if inline else f"foreign key {columns} "
            return f"{lead}references {target}{cols}{_lower(c.definition[len(head) :])}"
    if c.kind == "not null" and inline:
        return f"not null{_lower(c.definition.removeprefix(f'NOT NULL {quote(c.columns[0])}'))}"
    if c.kind == "check":
        return without_double_parentheses(c.definition)
    return c.definition.replace("EXCLUDE USING", "exclude using", 1) if c.kind == "exclude" else c.definition


def without_double_parentheses(definition: str) -> str:
    """CHECK ((a > 0)) → check (a > 0), where the inner pair spans the whole."""
    match = re.fullmatch(r"CHECK \(\((.*)\)\)( NO INHERIT)?( NOT VALID)?( NOT ENFORCED)?", definition, re.DOTALL)
    if match is None or not _balanced(match[1]):
        return definition.replace("CHECK", "check", 1)
    return f"check ({match[1]}){_lower(''.join(m or '' for m in match.groups()[1:]))}"


def _balanced(text: str) -> bool:
    depth = 0
    for token in re.findall(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|[()]", text):
        depth += {"(": 1, ")": -1}.get(token, 0)
        if depth < 0:
            return False
    return depth == 0


def _lower(text: str) -> str:
    """Keywords in lower case; what stands in quotes stays. Only for text whose words are keywords or lower-case names."""
    return re.sub(
        r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|[A-Z]+", lambda m: m[0] if m[0][0] in "'\"" else m[0].lower(), text
    )


def index_text(relation: str, index: Index) -> str:
    text = index.definition or "(not read)"
    simple = SIMPLE_KEY.match(text)
    columns = tuple(c.strip() for c in simple[2].split(",")) if simple else ()
    named = "" if index.name == default_name(relation, columns, "index") and columns else f" {quote(index.name)}"
    text = text.removeprefix("btree ") if text.startswith(("btree ", "(")) else f"using {text}"
    for keyword in (" INCLUDE (", " NULLS NOT DISTINCT", " WITH (", " WHERE ("):
        text = text.replace(keyword, keyword.lower(), 1)
    invalid = "" if index.valid else " -- INVALID"
    return f"{'unique ' if index.unique else ''}index{named} {text}{invalid}"


def _on_relation(relation: Table | View) -> Iterator[str]:
    for trigger in relation.triggers:
        if not trigger.inherited:
            yield " " + _trigger(relation, trigger)
    for rule in relation.rules:
        yield " " + _rule(rule)


def _rule(rule: Rule) -> str:
    """What it is on and whether it is INSTEAD; the rest is for `full`."""
    match = re.search(r"\bON (SELECT|INSERT|UPDATE|DELETE) TO .*?\bDO (INSTEAD)?", rule.definition, re.DOTALL)
    what = f" on {match[1].lower()} do{' instead' if match[2] else ''} …" if match else ""
    return f"rule {quote(rule.name)}{what}{_enabled(rule.enabled)}"


def _enabled(state: str) -> str:
    return {"O": "", "D": " -- disabled", "R": " -- replica", "A": " -- always"}.get(state, "")


def _trigger(relation: Table | View, trigger: Trigger) -> str:
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
    return (
        _lower(before)
        + (f" when {condition}" if when else "")
        + (f" execute {_lower_function(tail)}" if separator else "")
    )


def _lower_function(text: str) -> str:
    return text.replace("FUNCTION ", "function ", 1)


def _policy(policy: Policy) -> str:
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


def _view(view: View) -> Iterator[str]:
    kind = "materialized view" if view.materialized else "view"
    columns = ", ".join(_plain_column(c) for c in view.columns)
    options = f" with ({', '.join(view.options)})" if view.options else ""
    empty = "" if view.populated else " -- not populated"
    yield f"{kind} {quote(view.name)}{options} ({columns}){_size(view.rows, view.size)}{empty}{_state(view)}"
    for index in view.indexes:
        yield " " + index_text(view.name, index)
    yield from _on_relation(view)


def _domain(domain: Domain) -> str:
    text = f"domain {quote(domain.name)} {short_type(domain.type)}"
    if domain.collation:
        text += f" collate {domain.collation}"
    if domain.not_null:
        text += " not null"
    if domain.default is not None:
        text += f" default {domain.default}"
    for c in (c for c in domain.constraints if c.kind == "check"):
        named = "" if c.name == f"{domain.name}_check" else f"constraint {quote(c.name)} "
        text += f" {named}{without_double_parentheses(c.definition)}"
    return text


def _function(f: Function) -> str:
    result = f" returns {f.result}" if f.result else ""
    language = "" if f.language == "plpgsql" or f.kind == "aggregate" else f" language {f.language}"
    volatility = "" if f.volatility == "volatile" or f.kind == "aggregate" else f" {f.volatility}"
    definer = " security definer" if f.security_definer else ""
    return f"{f.kind} {quote(f.name)}({f.arguments}){result}{language}{volatility}{definer}"
