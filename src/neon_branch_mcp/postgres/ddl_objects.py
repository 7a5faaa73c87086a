"""Objects → the statements that make them, exact: pg_dump of what they make says the same as of the original.

Every name says its schema. Statements end without a semicolon. `make` creates the object itself; what may need other objects first
(defaults, checks, keys to other tables, indexes, triggers, policies) comes in `finish`, comments, owners and grants in `attributes`.
"""

import re
from collections.abc import Iterable, Iterator
from typing import TypeAlias

from .ddl_names import literal, qualified, quote, quote_list
from .schema import (
    Column,
    Composite,
    Constraint,
    Domain,
    Enum,
    Function,
    Grants,
    Index,
    Name,
    Other,
    Policy,
    Range,
    SchemaObject,
    Sequence,
    Table,
    Trigger,
    View,
)

Statements: TypeAlias = Iterator[str]
TableLookup: TypeAlias = dict[Name, Table]


def target(obj: SchemaObject) -> str:
    """What DROP, COMMENT ON and ALTER … OWNER TO take: the kind and the name."""
    match obj:
        case Table():
            return f"{'FOREIGN TABLE' if obj.kind == 'foreign table' else 'TABLE'} {qualified(obj.schema, obj.name)}"
        case View():
            return f"{'MATERIALIZED VIEW' if obj.materialized else 'VIEW'} {qualified(obj.schema, obj.name)}"
        case Sequence():
            return f"SEQUENCE {qualified(obj.schema, obj.name)}"
        case Domain():
            return f"DOMAIN {qualified(obj.schema, obj.name)}"
        case Enum() | Composite() | Range():
            return f"TYPE {qualified(obj.schema, obj.name)}"
        case Function():
            kind = "FUNCTION" if obj.kind == "window function" else obj.kind.upper()
            arguments = obj.identity or ("*" if obj.kind == "aggregate" else "")
            return f"{kind} {qualified(obj.schema, obj.name)}({arguments})"
        case _:
            return f"{obj.kind.upper()} {obj.identity}"


def make(obj: SchemaObject, inline: bool = False) -> Statements:
    """The statement that creates the object; `inline` puts a table's defaults and constraints where people write them."""
    match obj:
        case Table():
            yield create_table(obj, inline)
        case View():
            kind = "MATERIALIZED VIEW" if obj.materialized else "VIEW"
            using = f" USING {quote(obj.access_method)}" if obj.access_method else ""
            empty = "\n  WITH NO DATA" if obj.materialized else ""
            yield (
                f"CREATE {kind} {qualified(obj.schema, obj.name)}{using}{with_options(obj.options)} AS\n {obj.definition}{empty}"
            )
        case Sequence():
            unlogged = "UNLOGGED " if obj.unlogged else ""
            yield f"CREATE {unlogged}SEQUENCE {qualified(obj.schema, obj.name)} AS {obj.options.type} {sequence_options(obj)}"
        case Enum():
            yield f"CREATE TYPE {qualified(obj.schema, obj.name)} AS ENUM ({', '.join(literal(v) for v in obj.values)})"
        case Range():
            yield f"CREATE TYPE {qualified(obj.schema, obj.name)} AS RANGE ({obj.definition})"
        case Composite():
            columns = ", ".join(f"{quote(column.name)} {column.type}{collation(column)}" for column in obj.columns)
            yield f"CREATE TYPE {qualified(obj.schema, obj.name)} AS ({columns})"
        case Domain():
            yield create_domain(obj)
        case Function():
            yield obj.definition
        case _:
            yield obj.definition


def finish(obj: SchemaObject, inline: bool = False, lookup: TableLookup | None = None) -> Statements:
    """What is added once every object is there."""
    match obj:
        case Table():
            yield from finish_table(obj, inline, lookup or {})
        case View():
            for c in obj.columns:
                if c.default is not None:
                    yield f"ALTER VIEW {qualified(obj.schema, obj.name)} ALTER COLUMN {quote(c.name)} SET DEFAULT {c.default}"
            yield from _column_settings(obj, f"ALTER MATERIALIZED VIEW {qualified(obj.schema, obj.name)}")
            for index in obj.indexes:
                yield from create_index(obj, index)
                if index.clustered:
                    yield f"ALTER MATERIALIZED VIEW {qualified(obj.schema, obj.name)} CLUSTER ON {quote(index.name)}"
            yield from _triggers_and_rules(obj)
        case Domain():
            for check in obj.constraints:
                if check.definition.endswith("NOT VALID"):
                    yield f"ALTER DOMAIN {qualified(obj.schema, obj.name)} ADD CONSTRAINT {quote(check.name)} {check.definition}"
        case Sequence() if obj.owned_by is not None:
            schema, table, column = obj.owned_by
            yield f"ALTER SEQUENCE {qualified(obj.schema, obj.name)} OWNED BY {qualified(schema, table)}.{quote(column)}"
        case _:
            pass


def attributes(obj: SchemaObject, owners: bool = True) -> Statements:
    """Owner, comments and grants."""
    # A sequence that a column owns changes hands with its table, and only so.
    if owners and obj.owner and getattr(obj, "owned_by", None) is None:
        yield f"ALTER {target(obj)} OWNER TO {quote(obj.owner)}"
    if obj.comment:
        yield f"COMMENT ON {target(obj)} IS {literal(obj.comment)}"
    yield from grant_statements(grant_target(obj), obj.grants, obj.owner)
    match obj:
        case Table():
            yield from _table_attributes(obj)
        case View():
            for column in obj.columns:
                yield from _column_attributes(obj, column)
            yield from _comments_on_parts(obj)
        case Composite():
            for column in obj.columns:
                yield from _column_comment(obj, column)
        case Domain():
            for c in obj.constraints:
                if c.comment:
                    yield (
                        f"COMMENT ON CONSTRAINT {quote(c.name)} ON DOMAIN {qualified(obj.schema, obj.name)} IS {literal(c.comment)}"
                    )
        case _:
            pass


def grant_target(obj: SchemaObject) -> str:
    """What GRANT takes after ON."""
    match obj:
        case Table() | View():
            return f"TABLE {qualified(obj.schema, obj.name)}"
        case Enum() | Composite() | Range() | Domain():
            return f"TYPE {qualified(obj.schema, obj.name)}"
        case Other(kind="server"):
            return f"FOREIGN SERVER {obj.identity}"
        case Function(kind="aggregate" | "window function"):
            return f"FUNCTION {qualified(obj.schema, obj.name)}({obj.identity})"
        case _:
            return target(obj)


def grant_statements(on: str, grants: Grants, owner: str, columns: str = "") -> Statements:
    """REVOKE and GRANT that take the object from its default to these privileges."""
    for grant in grants:
        role = quote(grant.role) if grant.role else "PUBLIC"
        if not grant.privileges or grant.role == owner or (not grant.role and not on.startswith(("TABLE", "SEQUENCE"))):
            yield f"REVOKE ALL{columns} ON {on} FROM {role}"
        plain = [p + columns for p in grant.privileges if p not in grant.grantable]
        handed_on = [p + columns for p in grant.grantable]
        if plain:
            yield f"GRANT {', '.join(plain)} ON {on} TO {role}"
        if handed_on:
            yield f"GRANT {', '.join(handed_on)} ON {on} TO {role} WITH GRANT OPTION"


def with_options(options: Iterable[str], prefix: str = "") -> str:
    """Storage parameters as WITH takes them."""
    pairs = [option_pair(o, prefix) for o in options]
    return f" WITH ({', '.join(pairs)})" if pairs else ""


def option_pair(option: str, prefix: str = "") -> str:
    """`name=value` of a reloptions array as SQL."""
    name, _, value = option.partition("=")
    return f"{prefix}{name}={literal(value)}"


def fdw_options(options: Iterable[str]) -> str:
    """Options of a foreign table or column; values that are secrets by their name are not told."""
    pairs = []
    for option in options:
        name, _, value = option.partition("=")
        pairs.append(f"{quote(name)} {literal('***' if 'password' in name else value)}")
    return f" OPTIONS ({', '.join(pairs)})" if pairs else ""


def collation(column: Column) -> str:
    """COLLATE, where it is not the type's own."""
    return f" COLLATE {column.detail.collation}" if column.detail.collation else ""


def sequence_options(sequence: Sequence) -> str:
    """All options, said in full."""
    o = sequence.options
    cycle = " CYCLE" if o.cycle else ""
    return f"INCREMENT BY {o.increment} MINVALUE {o.minimum} MAXVALUE {o.maximum} START WITH {o.start} CACHE {o.cache}{cycle}"


def create_domain(domain: Domain) -> str:
    """CREATE DOMAIN with its constraints but those NOT VALID."""
    text = f"CREATE DOMAIN {qualified(domain.schema, domain.name)} AS {domain.type}"
    if domain.collation:
        text += f" COLLATE {domain.collation}"
    if domain.default is not None:
        text += f" DEFAULT {domain.default}"
    if domain.not_null and not any(c.kind == "not null" for c in domain.constraints):
        text += " NOT NULL"
    for c in domain.constraints:
        if not c.definition.endswith("NOT VALID"):
            text += f" CONSTRAINT {quote(c.name)} {c.definition}"
    return text


def create_table(table: Table, inline: bool) -> str:
    """CREATE TABLE with columns and keys; with `inline` also with defaults, checks and foreign keys."""
    kind = "FOREIGN TABLE" if table.kind == "foreign table" else "UNLOGGED TABLE" if table.unlogged else "TABLE"
    parts = [
        column_clause(table, c, inline)
        for c in table.columns
        if not c.detail.inherited or table.partition_bound or not table.parents
    ]
    parts += [constraint_clause(c) for c in table.constraints if is_inline(table, c, inline)]
    body = "" if table.of_type and not parts else "(\n    " + ",\n    ".join(parts) + "\n)" if parts else "()"
    head = f"CREATE {kind} {qualified(table.schema, table.name)}"
    if table.of_type:
        return f"{head} OF {table.of_type} {body}{_table_tail(table)}".replace("  ", " ")
    return f"{head} {body}{_table_tail(table)}"


def _table_tail(table: Table) -> str:
    tail = ""
    if table.parents and not table.partition_bound:
        tail += f"\nINHERITS ({', '.join(qualified(*p) for p in table.parents)})"
    if table.partition_key:
        tail += f"\nPARTITION BY {table.partition_key}"
    if table.server:
        tail += f"\nSERVER {quote(table.server)}{fdw_options(table.fdw_options)}"
    if table.access_method:
        tail += f"\nUSING {quote(table.access_method)}"
    options = [option_pair(o) for o in table.options] + [option_pair(o, "toast.") for o in table.toast_options]
    if options:
        tail += f"\nWITH ({', '.join(options)})"
    if table.tablespace:
        tail += f"\nTABLESPACE {quote(table.tablespace)}"
    return tail


def is_inline(table: Table, c: Constraint, inline: bool) -> bool:
    """Whether the constraint can stand in CREATE TABLE. A partition needs its parent's checks before it is attached."""
    if c.kind == "trigger" or c.definition.endswith("NOT VALID"):
        return False
    if c.kind in ("primary key", "unique", "not null"):
        return (not c.inherited or bool(table.partition_bound)) and not _repeats(table, c)
    if c.kind == "check":
        return inline and (not c.inherited or bool(table.partition_bound))
    return inline and not c.inherited


def _repeats(table: Table, c: Constraint) -> bool:
    """Whether another key before it says the same: of two such keys in one CREATE TABLE Postgres makes one."""
    keys = [k for k in table.constraints if k.kind in ("primary key", "unique")]
    keys.sort(key=lambda k: k.kind != "primary key")
    same = [k for k in keys if _key_of(k) == _key_of(c)]
    return c.kind != "not null" and bool(same) and same[0] is not c


def _key_of(c: Constraint) -> str:
    return c.definition.removeprefix("PRIMARY KEY").removeprefix("UNIQUE").strip()


def column_clause(table: Table, column: Column, inline: bool) -> str:
    """The column as CREATE TABLE and ADD COLUMN take it."""
    detail = column.detail
    text = quote(column.name)
    text += " WITH OPTIONS" if table.of_type else f" {column.type}{collation(column)}{fdw_options(detail.fdw_options)}"
    named = any(c.kind == "not null" and c.columns == (column.name,) for c in table.constraints)
    if column.not_null and not named:
        text += " NOT NULL"
    if detail.generated:
        text += f" GENERATED ALWAYS AS ({column.default}){' STORED' if detail.generated == 'stored' else ''}"
    elif column.default is not None and inline:
        text += f" DEFAULT {column.default}"
    if detail.identity and detail.sequence is not None:
        s = detail.sequence
        logged = "" if s.unlogged == table.unlogged else "UNLOGGED " if s.unlogged else "LOGGED "
        name = f"SEQUENCE NAME {qualified(s.schema, s.name)} {logged}"
        text += f" GENERATED {detail.identity.upper()} AS IDENTITY ({name}{sequence_options(s)})"
    return text


def constraint_clause(c: Constraint) -> str:
    """CONSTRAINT name and its definition, with the storage parameters of its index."""
    definition = c.definition
    if c.index_options:
        before = (
            re.search(r" (?:WHERE \(|DEFERRABLE)", definition)
            if c.kind == "exclude"
            else re.search(r" DEFERRABLE", definition)
        )
        at = before.start() if before else len(definition)
        definition = definition[:at] + with_options(c.index_options) + definition[at:]
    return f"CONSTRAINT {quote(c.name)} {definition}"


def finish_table(table: Table, inline: bool, lookup: TableLookup) -> Statements:
    """Everything of a table but CREATE TABLE, comments, owner and grants; a partition is attached before its keys to other tables."""
    name = qualified(table.schema, table.name)
    only = f"ALTER {'FOREIGN ' if table.kind == 'foreign table' else ''}TABLE ONLY {name}"
    if not inline:
        yield from _defaults(table, only)
    if table.parents and not table.partition_bound:
        yield from _inherited(table, only, lookup, defaults=inline)
    yield from _column_settings(table, only)
    for c in table.constraints:
        if (
            c.kind not in ("foreign key", "trigger")
            and not is_inline(table, c, inline)
            and (not c.inherited or (table.partition_bound and c.kind == "check"))
        ):
            # Without ONLY, a check reaches the children that inherit it; partitions are not attached yet.
            yield f"{only.replace(' ONLY', '') if c.kind == 'check' else only} ADD {constraint_clause(c)}"
    if inline:
        for index in table.indexes:
            yield from create_index(table, index)
    if table.partition_bound and table.parents:
        yield f"ALTER TABLE ONLY {qualified(*table.parents[0])} ATTACH PARTITION {name} {table.partition_bound}"
    if inline:
        yield from finish_keys(table, inline)
        yield from finish_rest(table)


def finish_keys(table: Table, inline: bool = False) -> Statements:
    """Foreign keys, and child indexes attached to the parent's, once all tables have their indexes and partitions."""
    for index in table.indexes:
        if index.parent is not None:
            yield f"ALTER INDEX {qualified(*index.parent)} ATTACH PARTITION {qualified(table.schema, index.name)}"
    # ONLY would leave a partitioned table's partitions without the key.
    only = "" if table.partition_key else "ONLY "
    for c in table.constraints:
        if c.kind == "foreign key" and not c.inherited and not is_inline(table, c, inline):
            yield f"ALTER TABLE {only}{qualified(table.schema, table.name)} ADD {constraint_clause(c)}"


def finish_rest(table: Table) -> Statements:
    """Triggers, rules, policies and what names an index."""
    name = qualified(table.schema, table.name)
    yield from _triggers_and_rules(table)
    if table.row_security in ("enabled", "forced"):
        yield f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY"
    if table.row_security.startswith("forced"):
        yield f"ALTER TABLE ONLY {name} FORCE ROW LEVEL SECURITY"
    for policy in table.policies:
        yield create_policy(table, policy)
    if table.replica_identity in ("full", "nothing"):
        yield f"ALTER TABLE ONLY {name} REPLICA IDENTITY {table.replica_identity.upper()}"
    keys: tuple[Constraint | Index, ...] = (*table.constraints, *table.indexes)
    for key in keys:
        if key.replica_identity:
            yield f"ALTER TABLE ONLY {name} REPLICA IDENTITY USING INDEX {quote(key.name)}"
        if key.clustered:
            yield f"ALTER TABLE {name} CLUSTER ON {quote(key.name)}"


def _defaults(table: Table, only: str) -> Statements:
    for column in table.columns:
        if column.default is not None and not column.detail.generated:
            yield f"{only} ALTER COLUMN {quote(column.name)} SET DEFAULT {column.default}"


def _inherited(table: Table, only: str, lookup: TableLookup, defaults: bool) -> Statements:
    """Where an inherited column differs from its parents'. A parent that is not known differs."""
    parents = [lookup[p] for p in table.parents if p in lookup]
    for column in table.columns:
        if not column.detail.inherited or column.detail.generated:
            continue
        above = [c for p in parents for c in p.columns if c.name == column.name]
        if defaults and column.default is not None and {c.default for c in above} != {column.default}:
            yield f"{only} ALTER COLUMN {quote(column.name)} SET DEFAULT {column.default}"
        if defaults and column.default is None and any(c.default is not None for c in above):
            yield f"{only} ALTER COLUMN {quote(column.name)} DROP DEFAULT"
        if column.not_null and not any(c.not_null for c in above):
            # Without ONLY: children that inherit from this one are there already.
            yield f"{only.replace(' ONLY', '')} ALTER COLUMN {quote(column.name)} SET NOT NULL"


def _column_settings(relation: Table | View, alter_it: str) -> Statements:
    for column in relation.columns:
        detail, alter = column.detail, f"{alter_it} ALTER COLUMN {quote(column.name)}"
        if detail.storage:
            yield f"{alter} SET STORAGE {detail.storage.upper()}"
        if detail.compression:
            yield f"{alter} SET COMPRESSION {detail.compression}"
        if detail.statistics is not None:
            yield f"{alter} SET STATISTICS {detail.statistics}"
        if detail.options:
            yield f"{alter} SET ({', '.join(option_pair(o) for o in detail.options)})"


def create_index(relation: Table | View, index: Index) -> Statements:
    """CREATE INDEX, and its statistics targets."""
    unique, only = "UNIQUE " if index.unique else "", "ONLY " if index.only else ""
    yield (
        f"CREATE {unique}INDEX {quote(index.name)} ON {only}{qualified(relation.schema, relation.name)} USING {index.definition}"
    )
    for number, value in index.statistics:
        yield f"ALTER INDEX {qualified(relation.schema, index.name)} ALTER COLUMN {number} SET STATISTICS {value}"


def _triggers_and_rules(relation: Table | View) -> Statements:
    states = {"D": "DISABLE", "R": "ENABLE REPLICA", "A": "ENABLE ALWAYS"}
    name = qualified(relation.schema, relation.name)
    for rule in relation.rules:
        yield rule.definition.rstrip(";")
        if rule.enabled in states:
            yield f"ALTER TABLE {name} {states[rule.enabled]} RULE {quote(rule.name)}"
    for trigger in relation.triggers:
        if not trigger.inherited:
            yield trigger.definition
            if trigger.enabled in states:
                yield alter_trigger(relation, trigger, states[trigger.enabled])
        elif trigger.enabled in states:
            yield alter_trigger(relation, trigger, states[trigger.enabled])


def alter_trigger(relation: Table | View, trigger: Trigger, state: str) -> str:
    """ALTER TABLE … DISABLE TRIGGER, and the like."""
    return f"ALTER TABLE ONLY {qualified(relation.schema, relation.name)} {state} TRIGGER {quote(trigger.name)}"


def create_policy(table: Table, policy: Policy) -> str:
    """CREATE POLICY."""
    text = f"CREATE POLICY {quote(policy.name)} ON {qualified(table.schema, table.name)}"
    if not policy.permissive:
        text += " AS RESTRICTIVE"
    if policy.command != "ALL":
        text += f" FOR {policy.command}"
    if policy.roles:
        text += f" TO {quote_list(policy.roles)}"
    if policy.using is not None:
        text += f" USING ({policy.using})"
    if policy.check is not None:
        text += f" WITH CHECK ({policy.check})"
    return text


def _table_attributes(table: Table) -> Statements:
    for column in table.columns:
        yield from _column_attributes(table, column)
    name = qualified(table.schema, table.name)
    for c in table.constraints:
        if c.comment:
            yield f"COMMENT ON CONSTRAINT {quote(c.name)} ON {name} IS {literal(c.comment)}"
    for policy in table.policies:
        if policy.comment:
            yield f"COMMENT ON POLICY {quote(policy.name)} ON {name} IS {literal(policy.comment)}"
    yield from _comments_on_parts(table)


def _comments_on_parts(relation: Table | View) -> Statements:
    name = qualified(relation.schema, relation.name)
    for index in relation.indexes:
        if index.comment:
            yield f"COMMENT ON INDEX {qualified(relation.schema, index.name)} IS {literal(index.comment)}"
    for trigger in relation.triggers:
        if trigger.comment:
            yield f"COMMENT ON TRIGGER {quote(trigger.name)} ON {name} IS {literal(trigger.comment)}"
    for rule in relation.rules:
        if rule.comment:
            yield f"COMMENT ON RULE {quote(rule.name)} ON {name} IS {literal(rule.comment)}"


def _column_attributes(relation: Table | View, column: Column) -> Statements:
    yield from _column_comment(relation, column)
    detail = column.detail
    if detail.grants:
        name = qualified(relation.schema, relation.name)
        yield from grant_statements(f"TABLE {name}", detail.grants, relation.owner, f" ({quote(column.name)})")
    if detail.sequence is not None:
        s = detail.sequence
        if s.comment:
            yield f"COMMENT ON SEQUENCE {qualified(s.schema, s.name)} IS {literal(s.comment)}"
        yield from grant_statements(f"SEQUENCE {qualified(s.schema, s.name)}", s.grants, s.owner)


def _column_comment(relation: Table | View | Composite, column: Column) -> Statements:
    if column.detail.comment:
        name = f"{qualified(relation.schema, relation.name)}.{quote(column.name)}"
        yield f"COMMENT ON COLUMN {name} IS {literal(column.detail.comment)}"
