"""Schema × Schema → what changed, in one line each and as DDL. Pure; empty when DDL could not tell the two apart.

A change that only follows from another is told with it: the sequence of a new serial column, the index of a dropped column, the
partitions' part in an altered table. A rename is a drop and an add, unless both schemas are of one database: there, OIDs and column
numbers prove identity.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from ..postgres.ddl import extension_statements, namespace_statements, object_text
from ..postgres.ddl_names import literal, qualified, quote
from ..postgres.ddl_objects import grant_statements, grant_target, make, sequence_options, target
from ..postgres.schema import Domain, Enum, Function, Grants, Schema, SchemaObject, Sequence, Table, View
from .diff_changes import Change, SchemaDiff, dotted, local, object_name, pairs
from .diff_renames import Renames
from .diff_tables import diff_indexes, diff_parts, diff_tables, diff_view_columns

__all__ = ["Change", "SchemaDiff", "diff"]

ORDER = ("Enum", "Domain", "Composite", "Range", "Sequence", "Table", "View", "Function", "Other")


def diff(before: Schema, after: Schema, *, same_database: bool = False) -> SchemaDiff:
    """The changes that lead from `before` to `after`.

    `same_database` says that both were read from one database, so that equal OIDs mean the same object. `ddl` is for reading, and mostly
    runs as it stands; where one statement cannot say it, a comment says what to do.
    """
    renames = Renames.found(before, after) if same_database else Renames()
    return _Diff(renames.applied(before), after).run(tuple(renames.changes()))


class _Diff:
    """One comparison, with the look-ups it needs."""

    def __init__(self, before: Schema, after: Schema) -> None:
        self._before = before
        self._after = after
        self._old_tables = {(t.schema, t.name): t for t in before.tables}
        self._new_tables = {(t.schema, t.name): t for t in after.tables}
        self._owned = {s.owned_by: s for s in after.sequences if s.owned_by}

    def run(self, first: tuple[Change, ...]) -> SchemaDiff:
        around = [*self._namespaces(), *self._extensions()]
        changes = [*first, *(c for c in around if c.kind != "removed")]
        removed, added, changed = pairs(self._before.objects(), self._after.objects(), _key)
        removed = [o for o in removed if not self._goes_with_column(o, self._new_tables)]
        added = [o for o in added if not self._goes_with_column(o, self._old_tables)]
        for obj in sorted(added, key=_rank):
            changes.append(self._added(obj))
        changed = [(self._as_its_table(old, new), new) for old, new in changed]
        for old, new in sorted(changed, key=lambda pair: _rank(pair[1])):
            changes += self._changed(old, new)
        for obj in sorted(removed, key=_rank, reverse=True):
            changes.append(_removed(obj))
        changes += reversed([c for c in around if c.kind == "removed"])
        if self._before.comment != self._after.comment:
            ddl = f"COMMENT ON DATABASE {quote(self._after.database)} IS {literal(self._after.comment)}"
            changes.append(Change("changed", "database", "comment on the database", (ddl,)))
        return SchemaDiff(tuple(changes), tuple(self._notes()))

    def _goes_with_column(self, obj: SchemaObject, there: dict[tuple[str, str], Table]) -> bool:
        """A sequence that came, or went, with the column or table that owns it."""
        if not isinstance(obj, Sequence) or obj.owned_by is None:
            return False
        schema, table, column = obj.owned_by
        return (schema, table) not in there or all(c.name != column for c in there[schema, table].columns)

    def _as_its_table(self, old: SchemaObject, new: SchemaObject) -> SchemaObject:
        """A sequence is logged or not as the table that owns it is: that is told with the table."""
        if not isinstance(old, Sequence) or not isinstance(new, Sequence) or new.owned_by is None:
            return old
        owner = new.owned_by[:2]
        was, now = self._old_tables.get(owner), self._new_tables.get(owner)
        follows = was is not None and now is not None and (was.unlogged, now.unlogged) == (old.unlogged, new.unlogged)
        return replace(old, unlogged=new.unlogged) if follows else old

    def _added(self, obj: SchemaObject) -> Change:
        name = object_name(obj)
        owned: tuple[Sequence, ...] = ()
        if isinstance(obj, Table):
            owned = tuple(
                s for (schema, table, _), s in self._owned.items() if (schema, table) == (obj.schema, obj.name)
            )
        ddl = "\n".join(object_text(obj, owned, self._new_tables)).removesuffix(";")
        return Change("added", name, f"create {name}{_extent(obj)}", (ddl,))

    def _changed(self, old: SchemaObject, new: SchemaObject) -> Iterator[Change]:
        if isinstance(old, Table) and isinstance(new, Table):
            parents = [
                (self._old_tables[p], self._new_tables[p])
                for p in new.parents
                if p in self._old_tables and p in self._new_tables
            ]
            yield from diff_tables(old, new, parents, self._owned)
        elif isinstance(old, View) and isinstance(new, View):
            yield from _view(old, new)
        elif isinstance(old, Enum) and isinstance(new, Enum):
            yield from _enum(old, new)
        elif isinstance(old, Domain) and isinstance(new, Domain):
            yield from _domain(old, new)
        elif isinstance(old, Sequence) and isinstance(new, Sequence):
            yield from _sequence(old, new)
        else:
            yield from _definition(old, new)
        yield from _attributes(old, new)

    def _namespaces(self) -> Iterator[Change]:
        removed, added, changed = pairs(self._before.namespaces, self._after.namespaces, lambda n: n.name)
        for n in added:
            yield Change(
                "added",
                f"schema {quote(n.name)}",
                f"create schema {quote(n.name)}",
                tuple(namespace_statements(n, False)),
            )
        for old, new in changed:
            name = f"schema {quote(new.name)}"
            yield from _owner_comment_grants(name, f"SCHEMA {quote(new.name)}", f"SCHEMA {quote(new.name)}", old, new)
        for n in removed:
            yield Change(
                "removed", f"schema {quote(n.name)}", f"drop schema {quote(n.name)}", (f"DROP SCHEMA {quote(n.name)}",)
            )

    def _extensions(self) -> Iterator[Change]:
        removed, added, changed = pairs(self._before.extensions, self._after.extensions, lambda e: e.name)
        for e in added:
            summary = f"create extension {quote(e.name)} {e.version}"
            yield Change("added", f"extension {quote(e.name)}", summary, tuple(extension_statements(e)))
        for old, new in changed:
            name = f"extension {quote(new.name)}"
            if old.version != new.version:
                ddl = f"ALTER EXTENSION {quote(new.name)} UPDATE TO {literal(new.version)}"
                yield Change("changed", name, f"alter {name}: version {old.version} -> {new.version}", (ddl,))
            if old.schema != new.schema:
                ddl = f"ALTER EXTENSION {quote(new.name)} SET SCHEMA {quote(new.schema)}"
                yield Change("changed", name, f"alter {name}: schema {old.schema} -> {new.schema}", (ddl,))
            if old.comment != new.comment:
                yield _comment(name, f"EXTENSION {quote(new.name)}", new.comment)
        for e in removed:
            yield Change(
                "removed",
                f"extension {quote(e.name)}",
                f"drop extension {quote(e.name)}",
                (f"DROP EXTENSION {quote(e.name)}",),
            )

    def _notes(self) -> Iterator[str]:
        old, new = self._before.server_version // 10000, self._after.server_version // 10000
        if old != new:
            yield (
                f"Postgres {old} against {new}: they write the same expression or view differently at times, "
                "so a difference may be one of wording"
            )
        for schema in (self._before, self._after):
            if schema.locked:
                names = ", ".join(dotted(*n) for n in schema.locked)
                yield f"locked by another session, so not compared in full: {names}"


def _key(obj: SchemaObject) -> tuple[str, str, str, str]:
    identity = obj.identity if not isinstance(obj, Sequence) and hasattr(obj, "identity") else ""
    kind = (
        f"{type(obj).__name__} {obj.kind}"
        if not isinstance(obj, Table) and hasattr(obj, "kind")
        else type(obj).__name__
    )
    if isinstance(obj, View) and obj.materialized:
        kind = "MaterializedView"
    return (kind, obj.schema, obj.name, identity)


def _rank(obj: SchemaObject) -> tuple[int, str, str]:
    return (ORDER.index(type(obj).__name__), obj.schema, obj.name)


def _extent(obj: SchemaObject) -> str:
    if isinstance(obj, Table):
        return (
            f" ({len(obj.columns)} columns)" if not obj.partition_bound else f" partition of {dotted(*obj.parents[0])}"
        )
    if isinstance(obj, Enum):
        return f" ({', '.join(literal(v) for v in obj.values)})"
    if isinstance(obj, Function) and obj.result:
        return f" returns {local(obj.result)}"
    return ""


def _removed(obj: SchemaObject) -> Change:
    name = object_name(obj)
    rows = f" (about {obj.rows} rows)" if isinstance(obj, Table) and obj.rows else ""
    return Change("removed", name, f"drop {name}{rows}", (f"DROP {target(obj)}",))


def _view(old: View, new: View) -> Iterator[Change]:
    name = object_name(new)
    body = ("definition", "options", "access_method", "tablespace")
    types = [[(c.name, c.type) for c in v.columns] for v in (old, new)]
    if any(getattr(old, f) != getattr(new, f) for f in body) or types[0] != types[1]:
        create = "\n".join(make(new))
        replaces = not new.materialized and types[1][: len(types[0])] == types[0]
        ddl = (
            (create.replace("CREATE VIEW", "CREATE OR REPLACE VIEW", 1),)
            if replaces
            else (f"DROP {target(new)}", create)
        )
        what = "another definition" if old.definition != new.definition else "other options or column types"
        yield Change("changed", name, f"alter {name}: {what}{_column_names(old, new)}", ddl)
    yield from diff_indexes(old, new)
    yield from diff_parts(old, new)
    yield from diff_view_columns(old, new)


def _column_names(old: View, new: View) -> str:
    was, now = [c.name for c in old.columns], [c.name for c in new.columns]
    facts = [f"+{quote(n)}" for n in now if n not in was] + [f"-{quote(n)}" for n in was if n not in now]
    return f" ({' '.join(facts)})" if facts else ""


def _enum(old: Enum, new: Enum) -> Iterator[Change]:
    if old.values == new.values:
        return
    name = object_name(new)
    full = qualified(new.schema, new.name)
    lost = [v for v in old.values if v not in new.values]
    if not lost and [v for v in new.values if v in old.values] == list(old.values):
        for i, value in enumerate(new.values):
            if value not in old.values:
                last = all(v not in old.values for v in new.values[i:])
                place = "" if last else f" before {literal(next(v for v in new.values[i:] if v in old.values))}"
                ddl = f"ALTER TYPE {full} ADD VALUE {literal(value)}{place.replace(' before ', ' BEFORE ', 1)}"
                yield Change("changed", name, f"alter {name}: add value {literal(value)}{place}", (ddl,))
        return
    differing = [(o, n) for o, n in zip(old.values, new.values, strict=False) if o != n]
    if len(old.values) == len(new.values) and all(o not in new.values and n not in old.values for o, n in differing):
        for was, now in differing:
            ddl = f"ALTER TYPE {full} RENAME VALUE {literal(was)} TO {literal(now)}"
            yield Change("changed", name, f"alter {name}: value {literal(was)} -> {literal(now)}", (ddl,))
        return
    values = [f"({', '.join(literal(v) for v in e.values)})" for e in (old, new)]
    note = f"-- {name}: values can only be removed or reordered by making the type anew: {values[0]} -> {values[1]}"
    yield Change("changed", name, f"alter {name}: {values[0]} -> {values[1]}", (note.replace("\n", " "),))


def _domain(old: Domain, new: Domain) -> Iterator[Change]:
    name, full = object_name(new), f"ALTER DOMAIN {qualified(new.schema, new.name)}"
    if (old.type, old.collation) != (new.type, new.collation):
        yield Change(
            "changed",
            name,
            f"alter {name}: type {local(old.type)} -> {local(new.type)}",
            (f"-- {name} must be made anew",),
        )
    if old.default != new.default:
        action = "DROP DEFAULT" if new.default is None else f"SET DEFAULT {new.default}"
        said = "drop default" if new.default is None else f"set default {local(new.default)}"
        yield Change("changed", name, f"alter {name}: {said}", (f"{full} {action}",))
    if old.not_null != new.not_null:
        action = "SET NOT NULL" if new.not_null else "DROP NOT NULL"
        yield Change("changed", name, f"alter {name}: {action.lower()}", (f"{full} {action}",))
    removed, added, changed = pairs(old.constraints, new.constraints, lambda c: c.name)
    for c in removed:
        yield Change(
            "removed",
            name,
            f"alter {name}: drop constraint {quote(c.name)}",
            (f"{full} DROP CONSTRAINT {quote(c.name)}",),
        )
    for c in added:
        ddl = f"{full} ADD CONSTRAINT {quote(c.name)} {c.definition}"
        yield Change("added", name, f"alter {name}: add constraint {quote(c.name)} {local(c.definition)}", (ddl,))
    for before, after in changed:
        ddls = (
            f"{full} DROP CONSTRAINT {quote(after.name)}",
            f"{full} ADD CONSTRAINT {quote(after.name)} {after.definition}",
        )
        summary = (
            f"alter {name}: constraint {quote(after.name)} {local(before.definition)} -> {local(after.definition)}"
        )
        yield Change("changed", name, summary, ddls)


def _sequence(old: Sequence, new: Sequence) -> Iterator[Change]:
    name, full = object_name(new), f"ALTER SEQUENCE {qualified(new.schema, new.name)}"
    if old.options != new.options or old.unlogged != new.unlogged:
        yield Change(
            "changed",
            name,
            f"alter {name}: {sequence_options(new)}",
            (f"{full} AS {new.options.type} {sequence_options(new)}",),
        )
    if old.owned_by != new.owned_by:
        owner = "" if new.owned_by is None else f"{qualified(*new.owned_by[:2])}.{quote(new.owned_by[2])}"
        summary = f"alter {name}: owned by {local(owner) or 'none'}"
        yield Change("changed", name, summary, (f"{full} OWNED BY {owner or 'NONE'}",))


def _definition(old: Any, new: Any) -> Iterator[Change]:
    """Objects that are made anew as a whole: functions, composite types, ranges, and the rarer kinds."""
    attributes = {f: getattr(new, f) for f in ("owner", "comment", "grants")}
    if replace(old, **attributes) == new:
        return
    name = object_name(new)
    if isinstance(new, Function):
        ddl = (
            (new.definition,)
            if new.kind != "aggregate" and old.result == new.result
            else (f"DROP {target(new)}", new.definition)
        )
        what = (
            f"returns {local(old.result)} -> {local(new.result)}"
            if old.result != new.result
            else _function_change(old, new)
        )
        yield Change("changed", name, f"alter {name}: {what}", ddl)
    else:
        yield Change("changed", name, f"alter {name}: another definition", (f"DROP {target(new)}", *make(new)))


def _function_change(old: Function, new: Function) -> str:
    facts = [f"{what} -> {now}" for what, now in (("arguments", new.arguments),) if old.arguments != new.arguments]
    facts += [new.volatility] if old.volatility != new.volatility else []
    facts += (
        ["security definer" if new.security_definer else "security invoker"]
        if old.security_definer != new.security_definer
        else []
    )
    return local(", ".join(facts)) or "another body"


def _attributes(old: SchemaObject, new: SchemaObject) -> Iterator[Change]:
    yield from _owner_comment_grants(object_name(new), target(new), grant_target(new), old, new)


def _owner_comment_grants(name: str, at: str, grants_at: str, old: Any, new: Any) -> Iterator[Change]:
    if old.owner != new.owner:
        summary = f"alter {name}: owner {quote(old.owner)} -> {quote(new.owner)}"
        yield Change("changed", name, summary, (f"ALTER {at} OWNER TO {quote(new.owner)}",))
    if old.comment != new.comment:
        yield _comment(name, at, new.comment)
    if old.grants != new.grants:
        gone = [g for g in old.grants if g.role not in {n.role for n in new.grants}]
        revokes = [
            f"REVOKE ALL ON {grants_at} FROM {quote(g.role) if g.role else 'PUBLIC'}" for g in gone if g.privileges
        ]
        grants = grant_statements(grants_at, tuple(g for g in new.grants if g not in old.grants), new.owner)
        yield Change("changed", name, f"grants on {name}: {_grants(old.grants, new.grants)}", (*revokes, *grants))


def _comment(name: str, at: str, comment: str) -> Change:
    ddl = f"COMMENT ON {at} IS {literal(comment) if comment else 'NULL'}"
    return Change("changed", name, f"comment on {name}: {comment or 'removed'}", (ddl,))


def _grants(old: Grants, new: Grants) -> str:
    was, now = ({(g.role, p) for g in grants for p in g.privileges} for grants in (old, new))
    facts = [f"+{p} {role or 'public'}" for role, p in sorted(now - was)]
    return (
        ", ".join(facts + [f"-{p} {role or 'public'}" for role, p in sorted(was - now)])
        or "grant options or revoked defaults"
    )
