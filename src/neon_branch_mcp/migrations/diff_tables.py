"""Table × table and view × view: columns, constraints, indexes, triggers, rules, policies, and what a table is."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace

from ..postgres.ddl_names import literal, qualified, quote, short_type
from ..postgres.ddl_objects import (
    column_clause,
    constraint_clause,
    create_index,
    create_policy,
    grant_statements,
    option_pair,
    sequence_options,
)
from ..postgres.schema import Column, Constraint, Index, Name, Policy, Rule, Table, Trigger, View
from ..postgres.schema import Sequence as SequenceObject
from ..postgres.schema_parts import Context, column_text, constraint_text, index_text
from .diff_changes import Change, dotted, local, pairs

Owned = Mapping[tuple[str, str, str], SequenceObject]
MakeChange = Callable[..., Change]
STATES = {"O": "ENABLE", "D": "DISABLE", "R": "ENABLE REPLICA", "A": "ENABLE ALWAYS"}


def diff_tables(old: Table, new: Table, parents: Iterable[tuple[Table, Table]], owned: Owned) -> Iterator[Change]:
    """The changes of a table that is in both. `parents` are its parents, before and after: what changed there is not told again."""
    before = _placed_like(old, new)
    hanging = [
        *_constraints(before, new),
        *diff_indexes(before, new),
        *diff_parts(before, new),
        *_policies(before, new),
    ]
    # What depends on a column goes before the column changes, and comes after.
    yield from (c for c in hanging if c.kind == "removed")
    above = {change for o, n in parents for change in _column_names(o, n)}
    for change in _columns(before, new, owned):
        if (change.kind, change.object.rpartition(".")[2]) not in above:
            yield change
    yield from (c for c in hanging if c.kind != "removed")
    yield from _table_itself(old, new)


def _column_names(old: Table, new: Table) -> Iterator[tuple[str, str]]:
    removed, added, changed = pairs(old.columns, new.columns, lambda c: c.name)
    yield from (("removed", quote(c.name)) for c in removed)
    yield from (("added", quote(c.name)) for c in added)
    yield from (("changed", quote(c.name)) for c, _ in changed)


def _placed_like(old: Table, new: Table) -> Table:
    """The table before as if it had the same parents as after: what it has from them then is no change of its own."""
    if old.parents == new.parents:
        return old
    constraints = {c.name: c for c in new.constraints}
    indexes = {i.name: i for i in new.indexes}
    columns = {c.name: c for c in new.columns}

    def column(c: Column) -> Column:
        detail = columns[c.name].detail if c.name in columns else c.detail
        own_identity = c.detail.sequence is not None or detail.sequence is not None
        identity = c.detail.identity if own_identity else detail.identity
        return replace(c, detail=replace(c.detail, inherited=detail.inherited, identity=identity))

    return replace(
        old,
        columns=tuple(map(column, old.columns)),
        constraints=tuple(replace(c, inherited=constraints.get(c.name, c).inherited) for c in old.constraints),
        indexes=tuple(replace(i, parent=indexes.get(i.name, i).parent) for i in old.indexes),
    )


def _alter(table: Table | View, action: str) -> str:
    kind = "VIEW" if isinstance(table, View) else "FOREIGN TABLE" if table.kind == "foreign table" else "TABLE"
    return f"ALTER {kind} {qualified(table.schema, table.name)} {action}"


def _columns(old: Table, new: Table, owned: Owned) -> Iterator[Change]:
    removed, added, changed = pairs(old.columns, new.columns, lambda c: c.name)
    table = dotted(new.schema, new.name)
    for column in removed:
        name = f"{table}.{quote(column.name)}"
        with_it = _lost_with(old, new, column)
        tail = f" (with {', '.join(with_it)})" if with_it else ""
        yield Change(
            "removed",
            f"column {name}",
            f"drop column {name} {short_type(local(column.type))}{tail}",
            (_alter(new, f"DROP COLUMN {quote(column.name)}"),),
        )
    context = Context(owned)
    for column in added:
        text = local(column_text(new, column, [], context))
        sequence = owned.get((new.schema, new.name, column.name))
        ddl = [_alter(new, f"ADD COLUMN {column_clause(new, column, inline=True)}")]
        if sequence is not None:
            name = qualified(sequence.schema, sequence.name)
            ddl.insert(0, f"CREATE SEQUENCE {name} AS {sequence.options.type} {sequence_options(sequence)}")
            ddl.append(f"ALTER SEQUENCE {name} OWNED BY {qualified(new.schema, new.name)}.{quote(column.name)}")
        yield Change("added", f"column {table}.{quote(column.name)}", f"add column {table}.{text}", tuple(ddl))
    for before, after in changed:
        yield from _column(old, new, before, after)
    common = {c.name for c in old.columns} & {c.name for c in new.columns}
    if [c.name for c in old.columns if c.name in common] != [c.name for c in new.columns if c.name in common]:
        summary = f"columns of {table} stand in another order"
        yield Change("changed", f"table {table}", summary, (f"-- {summary}; ALTER TABLE cannot do that",))


def _lost_with(old: Table, new: Table, column: Column) -> list[str]:
    keys = [
        f"constraint {quote(c.name)}"
        for c in old.constraints
        if column.name in c.columns and not _has(new.constraints, c)
    ]
    return keys + [
        f"index {quote(i.name)}" for i in old.indexes if mentions(i, column.name) and not _has(new.indexes, i)
    ]


def _has(parts: Iterable[Constraint | Index], part: Constraint | Index) -> bool:
    return any(p.name == part.name for p in parts)


def mentions(index: Index, column: str) -> bool:
    """Whether the index's text names the column."""
    return re.search(rf'(?<![\w"]){re.escape(quote(column))}(?![\w"])', index.definition) is not None


def _column(old: Table, new: Table, before: Column, after: Column) -> Iterator[Change]:
    name = f"{dotted(new.schema, new.name)}.{quote(after.name)}"
    at = f"ALTER COLUMN {quote(after.name)}"

    def change(what: str, *actions: str) -> Change:
        return Change(
            "changed", f"column {name}", f"alter column {name}: {what}", tuple(_alter(new, a) for a in actions)
        )

    b, a = before.detail, after.detail
    if before.type != after.type or b.collation != a.collation:
        collate = f" COLLATE {a.collation}" if a.collation or b.collation else ""
        was, now = (
            short_type(local(c.type)) + (f" collate {c.detail.collation}" if c.detail.collation else "")
            for c in (before, after)
        )
        yield change(f"type {was} -> {now}", f"{at} TYPE {after.type}{collate}")
    yield from _column_value(change, at, before, after)
    if before.not_null != after.not_null and not _follows_from_key(old, new, after):
        action = "SET NOT NULL" if after.not_null else "DROP NOT NULL"
        yield change(action.lower(), f"{at} {action}")
    if (b.identity, _as_its_table(b.sequence, old, new)) != (a.identity, a.sequence):
        yield _identity(change, at, before, after)
    for what, was_, now_, keyword in (
        ("storage", b.storage, a.storage, "STORAGE"),
        ("compression", b.compression, a.compression, "COMPRESSION"),
    ):
        if was_ != now_:
            yield change(
                f"{what} {was_ or 'default'} -> {now_ or 'default'}",
                f"{at} SET {keyword} {(now_ or 'default').upper()}",
            )
    if b.statistics != a.statistics:
        yield change("statistics target", f"{at} SET STATISTICS {-1 if a.statistics is None else a.statistics}")
    if b.options != a.options:
        yield change("options", *_option_actions(b.options, a.options, at))
    if b.fdw_options != a.fdw_options:
        yield change("foreign-data options")
    yield from _column_notes(new, before, after, name)


def _column_notes(new: Table | View, before: Column, after: Column, name: str) -> Iterator[Change]:
    b, a = before.detail, after.detail
    full = f"{qualified(new.schema, new.name)}.{quote(after.name)}"
    if b.comment != a.comment:
        ddl = f"COMMENT ON COLUMN {full} IS {literal(a.comment) if a.comment else 'NULL'}"
        yield Change("changed", f"column {name}", f"comment on column {name}: {a.comment or 'removed'}", (ddl,))
    if b.grants != a.grants:
        ddls = tuple(
            grant_statements(f"TABLE {qualified(new.schema, new.name)}", a.grants, new.owner, f" ({quote(after.name)})")
        )
        yield Change("changed", f"column {name}", f"grants on column {name}", ddls)


def _column_value(change: MakeChange, at: str, before: Column, after: Column) -> Iterator[Change]:
    b, a = before.detail.generated, after.detail.generated
    if (before.default, b) == (after.default, a):
        return
    if a and b:
        yield change(f"generated as {local(after.default or '')}", f"{at} SET EXPRESSION AS ({after.default})")
    elif b:
        yield change("no longer generated", f"{at} DROP EXPRESSION")
    elif a:
        yield change(
            f"now generated {a} as {local(after.default or '')}", f"DROP COLUMN {quote(after.name)}", "ADD COLUMN …"
        )
    elif after.default is None:
        yield change(f"drop default {local(before.default or '')}", f"{at} DROP DEFAULT")
    else:
        was = "" if before.default is None else f" (was {local(before.default)})"
        yield change(f"set default {local(after.default)}{was}", f"{at} SET DEFAULT {after.default}")


def _follows_from_key(old: Table, new: Table, column: Column) -> bool:
    """NOT NULL that a new primary key, or identity, brought along."""
    if column.detail.identity and not next(c for c in old.columns if c.name == column.name).detail.identity:
        return column.not_null
    had = any(c.kind == "primary key" and column.name in c.columns for c in old.constraints)
    has = any(c.kind == "primary key" and column.name in c.columns for c in new.constraints)
    return column.not_null and has and not had


def _as_its_table(sequence: SequenceObject | None, old: Table, new: Table) -> SequenceObject | None:
    """An identity column's sequence before, as it is once it went with its table: to another schema or owner, or unlogged."""
    if sequence is None:
        return None
    here = {"schema": sequence.schema, "owner": sequence.owner, "unlogged": sequence.unlogged}
    gone_along = {what: getattr(new, what) for what, was in here.items() if was == getattr(old, what)}
    place = (new.schema, new.name, sequence.owned_by[2]) if sequence.owned_by else None
    return replace(sequence, owned_by=place, **gone_along)


def _identity(change: MakeChange, at: str, before: Column, after: Column) -> Change:
    b, a = before.detail, after.detail
    if not a.identity:
        return change("drop identity", f"{at} DROP IDENTITY")
    if not b.identity:
        options = f" (SEQUENCE NAME {qualified(a.sequence.schema, a.sequence.name)})" if a.sequence else ""
        return change(
            f"generated {a.identity} as identity", f"{at} ADD GENERATED {a.identity.upper()} AS IDENTITY{options}"
        )
    if b.identity != a.identity:
        return change(f"generated {b.identity} -> {a.identity}", f"{at} SET GENERATED {a.identity.upper()}")
    return change("its identity sequence", *([f"{at} SET {sequence_options(a.sequence)}"] if a.sequence else []))


def _option_actions(old: tuple[str, ...], new: tuple[str, ...], at: str = "") -> list[str]:
    head = f"{at} " if at else ""
    kept = {o.partition("=")[0] for o in new}
    gone = [o.partition("=")[0] for o in old if o.partition("=")[0] not in kept]
    actions = [f"{head}RESET ({', '.join(gone)})"] if gone else []
    fresh = [option_pair(o) for o in new if o not in old]
    return actions + ([f"{head}SET ({', '.join(fresh)})"] if fresh else [])


def _constraints(old: Table, new: Table) -> Iterator[Change]:
    removed, added, changed = pairs(old.constraints, new.constraints, lambda c: c.name)
    gone = {c.name for c in old.columns} - {c.name for c in new.columns}
    table = dotted(new.schema, new.name)
    for c in removed:
        if not c.inherited and not gone & set(c.columns):
            yield Change(
                "removed",
                f"constraint {quote(c.name)} on {table}",
                f"drop constraint {quote(c.name)} on {table}: {_said(old, c)}",
                (_alter(new, f"DROP CONSTRAINT {quote(c.name)}"),),
            )
    for c in added:
        if not c.inherited:
            yield Change(
                "added",
                f"constraint {quote(c.name)} on {table}",
                f"add constraint {quote(c.name)} on {table}: {_said(new, c)}",
                (_alter(new, f"ADD {constraint_clause(c)}"),),
            )
    for before, after in changed:
        if not (before.inherited and after.inherited):
            yield from _constraint(new, before, after)


def _said(table: Table, c: Constraint) -> str:
    """The constraint without its name, which the line has already."""
    return local(constraint_text(table, c)).removeprefix(f"constraint {quote(c.name)} ")


def _constraint(table: Table, before: Constraint, after: Constraint) -> Iterator[Change]:
    name = f"constraint {quote(after.name)} on {dotted(table.schema, table.name)}"
    if before.comment != after.comment:
        ddl = (
            f"COMMENT ON CONSTRAINT {quote(after.name)} ON {qualified(table.schema, table.name)} "
            f"IS {literal(after.comment) if after.comment else 'NULL'}"
        )
        yield Change("changed", name, f"comment on {name}: {after.comment or 'removed'}", (ddl,))
    if replace(before, comment=after.comment) == after:
        return
    if before.definition == f"{after.definition} NOT VALID":
        yield Change("changed", name, f"validate {name}", (_alter(table, f"VALIDATE CONSTRAINT {quote(after.name)}"),))
    else:
        ddls = (_alter(table, f"DROP CONSTRAINT {quote(after.name)}"), _alter(table, f"ADD {constraint_clause(after)}"))
        yield Change("changed", name, f"alter {name}: {_said(table, before)} -> {_said(table, after)}", ddls)


def diff_indexes(old: Table | View, new: Table | View) -> Iterator[Change]:
    """Indexes that no constraint owns. A partition's copy of its parent's index is told with the parent's."""
    removed, added, changed = pairs(old.indexes, new.indexes, lambda i: i.name)
    gone = {c.name for c in old.columns} - {c.name for c in new.columns}
    for index in removed:
        if index.parent is None and not any(mentions(index, column) for column in gone):
            name = f"index {dotted(new.schema, index.name)}"
            summary = f"drop {name} on {dotted(new.schema, new.name)} {_tail(old, index)}"
            yield Change("removed", name, summary, (f"DROP INDEX {qualified(new.schema, index.name)}",))
    for index in added:
        if index.parent is None:
            name = f"{'unique ' if index.unique else ''}index {dotted(new.schema, index.name)}"
            summary = f"create {name} on {dotted(new.schema, new.name)} {_tail(new, index)}"
            # Without ONLY it makes the partitions' indexes too; they are not told.
            ddl = tuple(create_index(new, replace(index, only=False)))
            yield Change("added", name.removeprefix("unique "), summary, ddl)
    for before, after in changed:
        yield from _index(old, new, before, after)


def _tail(relation: Table | View, index: Index) -> str:
    text = local(index_text(relation.name, index))
    text = text.removeprefix("unique ").removeprefix("index").lstrip()
    return text.removeprefix(quote(index.name)).lstrip()


def _index(old: Table | View, new: Table | View, before: Index, after: Index) -> Iterator[Change]:
    name = f"index {dotted(new.schema, after.name)}"
    if before.comment != after.comment:
        ddl = f"COMMENT ON INDEX {qualified(new.schema, after.name)} IS {literal(after.comment) if after.comment else 'NULL'}"
        yield Change("changed", name, f"comment on {name}: {after.comment or 'removed'}", (ddl,))
    if replace(before, comment=after.comment) == after:
        return
    if replace(before, comment=after.comment, valid=after.valid) == after:
        state = "valid" if after.valid else "INVALID"
        yield Change("changed", name, f"{name} is now {state}", (f"REINDEX INDEX {qualified(new.schema, after.name)}",))
        return
    if (before.definition, before.unique) == (after.definition, after.unique):
        yield Change("changed", name, f"alter {name}: its settings (cluster, replica identity, statistics, parent)")
        return
    ddls = (f"DROP INDEX {qualified(new.schema, after.name)}", *create_index(new, after))
    was, now = (f"{'unique ' if i.unique else ''}{_tail(t, i)}" for t, i in ((old, before), (new, after)))
    yield Change("changed", name, f"alter {name}: {was} -> {now}", ddls)


def diff_parts(old: Table | View, new: Table | View) -> Iterator[Change]:
    """Triggers and rules."""
    yield from _parts("trigger", old.triggers, new.triggers, new)
    yield from _parts("rule", old.rules, new.rules, new)


def _parts(
    kind: str, old: Iterable[Trigger | Rule], new: Iterable[Trigger | Rule], relation: Table | View
) -> Iterator[Change]:
    on = dotted(relation.schema, relation.name)
    full = qualified(relation.schema, relation.name)
    removed, added, changed = pairs(old, new, lambda p: p.name)
    for part in removed:
        if not getattr(part, "inherited", False):
            name = f"{kind} {quote(part.name)} on {on}"
            yield Change("removed", name, f"drop {name}", (f"DROP {kind.upper()} {quote(part.name)} ON {full}",))
    for part in added:
        if not getattr(part, "inherited", False):
            name = f"{kind} {quote(part.name)} on {on}"
            yield Change("added", name, f"create {name}{_trigger_tail(part)}", (part.definition.rstrip(";"),))
    for before, after in changed:
        name = f"{kind} {quote(after.name)} on {on}"
        if before.definition != after.definition and not getattr(after, "inherited", False):
            ddls = (f"DROP {kind.upper()} {quote(after.name)} ON {full}", after.definition.rstrip(";"))
            yield Change("changed", name, f"alter {name}: another definition", ddls)
        if before.enabled != after.enabled:
            ddl = f"ALTER TABLE {full} {STATES[after.enabled]} {kind.upper()} {quote(after.name)}"
            yield Change("changed", name, f"{STATES[after.enabled].lower()} {name}", (ddl,))
        if before.comment != after.comment:
            ddl = f"COMMENT ON {kind.upper()} {quote(after.name)} ON {full} IS {literal(after.comment) if after.comment else 'NULL'}"
            yield Change("changed", name, f"comment on {name}: {after.comment or 'removed'}", (ddl,))


def _trigger_tail(part: Trigger | Rule) -> str:
    return f" ({local(part.function)})" if isinstance(part, Trigger) else ""


def _policies(old: Table, new: Table) -> Iterator[Change]:
    removed, added, changed = pairs(old.policies, new.policies, lambda p: p.name)
    on, full = dotted(new.schema, new.name), qualified(new.schema, new.name)

    def drop(policy: Policy) -> str:
        return f"DROP POLICY {quote(policy.name)} ON {full}"

    for policy in removed:
        name = f"policy {quote(policy.name)} on {on}"
        yield Change("removed", name, f"drop {name}", (drop(policy),))
    for policy in added:
        name = f"policy {quote(policy.name)} on {on}"
        yield Change("added", name, f"create {name} for {policy.command.lower()}", (create_policy(new, policy),))
    for before, after in changed:
        name = f"policy {quote(after.name)} on {on}"
        if replace(before, comment=after.comment) != after:
            yield Change("changed", name, f"alter {name}", (drop(after), create_policy(new, after)))
        if before.comment != after.comment:
            ddl = f"COMMENT ON POLICY {quote(after.name)} ON {full} IS {literal(after.comment) if after.comment else 'NULL'}"
            yield Change("changed", name, f"comment on {name}: {after.comment or 'removed'}", (ddl,))


def _table_itself(old: Table, new: Table) -> Iterator[Change]:
    name = f"table {dotted(new.schema, new.name)}"

    def change(what: str, *actions: str) -> Change:
        return Change("changed", name, f"alter {name}: {what}", tuple(_alter(new, a) for a in actions))

    if old.kind != new.kind or old.partition_key != new.partition_key:
        yield change(f"{old.kind} {old.partition_key} -> {new.kind} {new.partition_key}".replace("  ", " "))
    if old.unlogged != new.unlogged:
        yield change("unlogged" if new.unlogged else "logged", f"SET {'UNLOGGED' if new.unlogged else 'LOGGED'}")
    if (old.parents, old.partition_bound) != (new.parents, new.partition_bound):
        yield _parents(old, new)
    if old.row_security != new.row_security:
        yield change(f"row level security {new.row_security or 'disabled'}", *_row_security(new))
    if old.options != new.options:
        yield change(
            f"options {_listed(old.options)} -> {_listed(new.options)}", *_option_actions(old.options, new.options)
        )
    if old.toast_options != new.toast_options:
        yield change(f"toast options {_listed(old.toast_options)} -> {_listed(new.toast_options)}")
    for what in ("of_type", "server", "fdw_options", "access_method", "tablespace", "replica_identity"):
        if getattr(old, what) != getattr(new, what):
            yield change(
                f"{what.replace('_', ' ')} {getattr(old, what) or 'default'} -> {getattr(new, what) or 'default'}"
            )


def _listed(options: tuple[str, ...]) -> str:
    return f"({', '.join(options)})"


def _row_security(table: Table) -> list[str]:
    enabled = "ENABLE" if table.row_security in ("enabled", "forced") else "DISABLE"
    forced = "FORCE" if table.row_security.startswith("forced") else "NO FORCE"
    return [f"{enabled} ROW LEVEL SECURITY", f"{forced} ROW LEVEL SECURITY"]


def _parents(old: Table, new: Table) -> Change:
    name = f"table {dotted(new.schema, new.name)}"
    full = qualified(new.schema, new.name)

    def placed(table: Table, parents: tuple[Name, ...]) -> str:
        where = ", ".join(dotted(*p) for p in parents)
        if table.partition_bound:
            return f"partition of {where} {table.partition_bound.lower()}"
        return f"child of {where}" if where else "on its own"

    ddl: list[str] = []
    if old.partition_bound:
        ddl.append(f"ALTER TABLE {qualified(*old.parents[0])} DETACH PARTITION {full}")
    else:
        ddl += [_alter(new, f"NO INHERIT {qualified(*p)}") for p in old.parents if p not in new.parents]
    if new.partition_bound:
        ddl.append(f"ALTER TABLE {qualified(*new.parents[0])} ATTACH PARTITION {full} {new.partition_bound}")
    else:
        ddl += [_alter(new, f"INHERIT {qualified(*p)}") for p in new.parents if p not in old.parents]
    return Change(
        "changed", name, f"alter {name}: {placed(old, old.parents)} -> {placed(new, new.parents)}", tuple(ddl)
    )


def diff_view_columns(old: View, new: View) -> Iterator[Change]:
    """Comments and grants on a view's columns."""
    for before, after in pairs(old.columns, new.columns, lambda c: c.name)[2]:
        yield from _column_notes(new, before, after, f"{dotted(new.schema, new.name)}.{quote(after.name)}")
