"""Renames that the catalogue proves: within one database, an OID or a column's number is the same thing for ever."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from ..postgres.ddl_names import qualified, quote
from ..postgres.ddl_objects import target
from ..postgres.schema import (
    Column,
    Composite,
    Constraint,
    Domain,
    Enum,
    Function,
    Index,
    Range,
    Schema,
    SchemaObject,
    Sequence,
    Table,
    View,
)
from .diff_changes import Change, dotted, kind_of, local

T = TypeVar("T", Table, View)
N = TypeVar("N", Table, View, Sequence, Enum, Domain, Composite, Range, Function)


@dataclass(frozen=True)
class Renames:
    """Objects (before, after), and by the table's OID the columns, constraints and indexes, that have another name now."""

    objects: tuple[tuple[SchemaObject, SchemaObject], ...] = ()
    columns: Mapping[int, Mapping[str, str]] = field(default_factory=dict)
    parts: Mapping[int, Mapping[str, str]] = field(default_factory=dict)
    tables: Mapping[int, Table | View] = field(default_factory=dict)
    identities: Mapping[int, tuple[str, str]] = field(default_factory=dict)
    """Where identity columns' sequences are now, by their OID: they move and are renamed with their table."""

    @classmethod
    def found(cls, before: Schema, after: Schema) -> "Renames":
        """The renames between two schemas of one database."""
        old = {(type(o), o.oid): o for o in before.objects() if o.oid}
        new = {(type(o), o.oid): o for o in after.objects() if o.oid}
        both = [(o, new[k]) for k, o in old.items() if k in new]
        objects = tuple((o, n) for o, n in both if (o.schema, o.name) != (n.schema, n.name))
        relations = [(o, n) for o, n in both if isinstance(o, (Table, View)) and isinstance(n, (Table, View))]
        columns = {n.oid: found for o, n in relations if (found := _renamed_columns(o, n))}
        parts = {n.oid: found for o, n in relations if (found := _renamed_parts(o, n))}
        sequences = [c.detail.sequence for t in after.tables for c in t.columns if c.detail.sequence is not None]
        identities = {s.oid: (s.schema, s.name) for s in sequences}
        return cls(objects, columns, parts, {n.oid: n for _, n in relations}, identities)

    def changes(self) -> Iterator[Change]:
        """One change for each."""
        for old, new in self.objects:
            yield from _renamed_object(old, new)
        for oid, names in self.columns.items():
            table = self.tables[oid]
            on = dotted(table.schema, table.name)
            # An inherited column is renamed with its parent's.
            inherited = {c.name for c in table.columns if c.detail.inherited}
            for was, now in names.items():
                if now in inherited:
                    continue
                ddl = f"ALTER TABLE {qualified(table.schema, table.name)} RENAME COLUMN {quote(was)} TO {quote(now)}"
                yield Change(
                    "renamed", f"column {on}.{quote(now)}", f"rename column {on}.{quote(was)} to {quote(now)}", (ddl,)
                )
        for oid, names in self.parts.items():
            table = self.tables[oid]
            on = dotted(table.schema, table.name)
            indexes = {i.name for i in table.indexes}
            for was, now in names.items():
                if now in indexes:
                    ddl = f"ALTER INDEX {qualified(table.schema, was)} RENAME TO {quote(now)}"
                else:
                    ddl = f"ALTER TABLE {qualified(table.schema, table.name)} RENAME CONSTRAINT {quote(was)} TO {quote(now)}"
                kind = "index" if now in indexes else "constraint"
                yield Change(
                    "renamed",
                    f"{kind} {quote(now)} on {on}",
                    f"rename {kind} {quote(was)} to {quote(now)} on {on}",
                    (ddl,),
                )

    def applied(self, before: Schema) -> Schema:
        """The schema before, with the new names, so that nothing else seems to have changed."""
        if not (self.objects or self.columns or self.parts):
            return before
        names = {(type(o).__name__, o.oid): (n.schema, n.name) for o, n in self.objects}
        relations = {(o.schema, o.name): (n.schema, n.name) for o, n in self.objects if isinstance(o, (Table, View))}
        texts = {qualified(o.schema, o.name): qualified(n.schema, n.name) for o, n in self.objects}

        def named(obj: N) -> N:
            schema, name = names.get((type(obj).__name__, obj.oid), (obj.schema, obj.name))
            return replace(obj, schema=schema, name=name)

        def relation(obj: T) -> T:
            return self._relation(named(obj), texts, relations, before)

        return replace(
            before,
            enums=tuple(map(named, before.enums)),
            domains=tuple(map(named, before.domains)),
            composites=tuple(map(named, before.composites)),
            ranges=tuple(map(named, before.ranges)),
            tables=tuple(map(relation, before.tables)),
            views=tuple(map(relation, before.views)),
            sequences=tuple(self._sequence(named(s), relations, before) for s in before.sequences),
            functions=tuple(
                replace(named(f), definition=_with_names(f.definition, texts, {})) for f in before.functions
            ),
        )

    def _relation(
        self, obj: T, texts: Mapping[str, str], relations: Mapping[tuple[str, str], tuple[str, str]], before: Schema
    ) -> T:
        columns, parts = self.columns.get(obj.oid, {}), self.parts.get(obj.oid, {})
        by_name = {(t.schema, t.name): t.oid for t in before.tables}

        def text(value: str) -> str:
            return _with_names(value, texts, columns)

        def index(i: Index) -> Index:
            parent = relations.get(i.parent, i.parent) if i.parent else None
            return replace(i, name=parts.get(i.name, i.name), definition=text(i.definition), parent=parent)

        def constraint(c: Constraint) -> Constraint:
            there = self.columns.get(by_name.get(c.references, 0), {}) if c.references else {}
            return replace(
                c,
                name=parts.get(c.name, c.name),
                definition=_with_names(text(c.definition), {}, there),
                columns=tuple(columns.get(n, n) for n in c.columns),
                references=relations.get(c.references, c.references) if c.references else None,
                ref_columns=tuple(there.get(n, n) for n in c.ref_columns),
            )

        def column(c: Column) -> Column:
            default = None if c.default is None else text(c.default)
            detail = c.detail
            if detail.sequence is not None and detail.sequence.oid in self.identities:
                schema, name = self.identities[detail.sequence.oid]
                owned = (obj.schema, obj.name, columns.get(c.name, c.name))
                detail = replace(detail, sequence=replace(detail.sequence, schema=schema, name=name, owned_by=owned))
            name = columns.get(c.name, c.name)
            return replace(c, name=name, type=_with_names(c.type, texts, {}), default=default, detail=detail)

        common: dict[str, Any] = {
            "columns": tuple(map(column, obj.columns)),
            "indexes": tuple(map(index, obj.indexes)),
            "triggers": tuple(replace(t, definition=text(t.definition)) for t in obj.triggers),
            "rules": tuple(replace(r, definition=text(r.definition)) for r in obj.rules),
        }
        if isinstance(obj, View):
            return replace(obj, definition=text(obj.definition), **common)
        return replace(
            obj,
            constraints=tuple(map(constraint, obj.constraints)),
            policies=tuple(
                replace(
                    p,
                    using=None if p.using is None else text(p.using),
                    check=None if p.check is None else text(p.check),
                )
                for p in obj.policies
            ),
            partition_key=text(obj.partition_key),
            parents=tuple(relations.get(p, p) for p in obj.parents),
            **common,
        )

    def _sequence(self, s: Sequence, relations: Mapping[tuple[str, str], tuple[str, str]], before: Schema) -> Sequence:
        if s.owned_by is None:
            return s
        schema, table, column = s.owned_by
        oid = next((t.oid for t in before.tables if (t.schema, t.name) == (schema, table)), 0)
        there = relations.get((schema, table), (schema, table))
        return replace(s, owned_by=(*there, self.columns.get(oid, {}).get(column, column)))


def _renamed_columns(old: Table | View, new: Table | View) -> dict[str, str]:
    if isinstance(old, View):
        return {}
    numbers = {c.number: c.name for c in new.columns}
    return {c.name: numbers[c.number] for c in old.columns if c.number in numbers and numbers[c.number] != c.name}


def _renamed_parts(old: Table | View, new: Table | View) -> dict[str, str]:
    out: dict[str, str] = {}
    for was, now in ((old.indexes, new.indexes), (getattr(old, "constraints", ()), getattr(new, "constraints", ()))):
        names = {p.oid: p.name for p in now}
        out |= {p.name: names[p.oid] for p in was if p.oid in names and names[p.oid] != p.name}
    return out


def _renamed_object(old: SchemaObject, new: SchemaObject) -> Iterator[Change]:
    was, now = f"{kind_of(old)} {dotted(old.schema, old.name)}", f"{kind_of(new)} {dotted(new.schema, new.name)}"
    at = target(old)
    ddl = []
    if old.schema != new.schema:
        ddl.append(f"ALTER {at} SET SCHEMA {quote(new.schema)}")
        at = at.replace(qualified(old.schema, old.name), qualified(new.schema, old.name), 1)
    if old.name != new.name:
        ddl.append(f"ALTER {at} RENAME TO {quote(new.name)}")
    yield Change("renamed", now, f"rename {local(was)} to {dotted(new.schema, new.name)}", tuple(ddl))


def _with_names(text: str, objects: Mapping[str, str], columns: Mapping[str, str]) -> str:
    """The text with objects and columns by their new names, outside of string constants."""
    names = {**{quote(k): quote(v) for k, v in columns.items()}, **objects}
    if not names or not any(n in text for n in names):
        return text
    # Without an alias of its own, a table's name stands before its columns too.
    names |= {f"{_last(k)}.": f"{_last(v)}." for k, v in objects.items()}
    longest = sorted(names, key=len, reverse=True)
    pattern = rf"""'(?:[^']|'')*'|(?<![\w"])(?:{"|".join(map(re.escape, longest))})(?:(?<=\.)|(?![\w"]))"""
    return re.sub(pattern, lambda m: names.get(m[0], m[0]), text)


def _last(name: str) -> str:
    """The name without its schema; both may be quoted."""
    return str(re.findall(r'"(?:[^"]|"")*"|[^."]+', name)[-1])
