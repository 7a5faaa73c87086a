"""One object as compact, DDL-like text: what is default is left unsaid, keys and constraints stand where they belong.

Left unsaid is the schema of names that are in the object's own schema, and what `schema_parts` says of a table's parts.
"""

from collections.abc import Iterator, Set

from .ddl_names import literal, qualified, quote, quote_list, short_type, without_schema
from .schema import (
    Composite,
    Domain,
    Enum,
    Function,
    Name,
    Other,
    Range,
    SchemaObject,
    Sequence,
    Table,
    View,
)
from .schema_parts import (
    Context,
    column_text,
    constraint_text,
    index_text,
    lower,
    plain_column,
    plain_default,
    policy_text,
    rule_text,
    sequence_options_text,
    single_column,
    trigger_text,
    without_double_parentheses,
)
from .schema_terms import in_table, plain_terms, signature

MOST_REFERENCES = 50
SMALL = 100_000  # bytes: a smaller table's size says nothing


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
            lines = [f"type {quote(obj.name)} ({', '.join(plain_column(c) for c in obj.columns)})"]
        case Range():
            lines = [f"range {quote(obj.name)} ({obj.definition})"]
        case Sequence():
            lines = [f"sequence {quote(obj.name)}{sequence_options_text(obj.options)}{_owned(obj)}"]
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
    single = single_column(table, {c.name for c in shown})
    for column in shown:
        yield " " + column_text(table, column, single.get(column.name, []), context)
    inline = {id(c) for cs in single.values() for c in cs}
    for constraint in table.constraints:
        if id(constraint) not in inline and not constraint.inherited and constraint.kind != "trigger":
            text = constraint_text(table, constraint, context=context)
            yield " " + (in_table(text, table) if context.signs else text)
    for index in table.indexes:
        if index.parent is None:
            text = index_text(table.name, index)
            yield " " + (in_table(text, table) if context.signs else text)
    yield from _on_relation(table)
    if table.row_security:
        yield f" row level security {table.row_security}"
    for policy in table.policies:
        yield " " + policy_text(policy)
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
        tail += f" partition of {qualified(*table.parents[0])} {lower(table.partition_bound)}"
    elif table.parents:
        tail += f" inherits ({', '.join(qualified(*p) for p in table.parents)})"
    if table.of_type:
        tail += f" of {table.of_type}"
    if table.partition_key:
        tail += f" partition by {lower(table.partition_key)} ({table.partitions} partition{'' if table.partitions == 1 else 's'})"
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


def _owned(sequence: Sequence) -> str:
    if sequence.owned_by is None:
        return ""
    schema, table, column = sequence.owned_by
    return f" owned by {qualified(schema, table)}.{quote(column)}"


def _on_relation(relation: Table | View) -> Iterator[str]:
    for trigger in relation.triggers:
        if not trigger.inherited:
            yield " " + trigger_text(relation, trigger)
    for rule in relation.rules:
        yield " " + rule_text(rule)


def _view(view: View) -> Iterator[str]:
    kind = "materialized view" if view.materialized else "view"
    columns = ", ".join(plain_column(c) for c in view.columns)
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
        text += f" default {plain_default(domain.default, domain.type)}"
    for c in (c for c in domain.constraints if c.kind == "check"):
        named = "" if c.name == f"{domain.name}_check" else f"constraint {quote(c.name)} "
        of_varchar = {"VALUE"} if domain.type.startswith("character varying") else frozenset[str]()
        text += f" {named}{plain_terms(without_double_parentheses(c.definition), of_varchar)}"
    return text


def _function(f: Function) -> str:
    result = f" returns {signature(f.result)}" if f.result else ""
    language = "" if f.language == "plpgsql" or f.kind == "aggregate" else f" language {f.language}"
    volatility = "" if f.volatility == "volatile" or f.kind == "aggregate" else f" {f.volatility}"
    definer = " security definer" if f.security_definer else ""
    return f"{f.kind} {quote(f.name)}({signature(f.arguments)}){result}{language}{volatility}{definer}"
