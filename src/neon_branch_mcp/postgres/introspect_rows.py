"""Rows of the catalogue queries → the values of `schema.py`: pure functions, one per query, columns in the query's order."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeVar

from .ddl_objects import grant_statements
from .schema import (
    PLAIN,
    Column,
    ColumnDetail,
    Composite,
    Constraint,
    ConstraintKind,
    Domain,
    Enum,
    Extension,
    Function,
    FunctionKind,
    Grant,
    Grants,
    Index,
    Other,
    Policy,
    Range,
    Reference,
    Rule,
    SequenceOptions,
    Table,
    TableKind,
    Trigger,
    View,
)
from .schema import (
    Sequence as SequenceObject,
)

Row = tuple[Any, ...]
T = TypeVar("T")

PRIVILEGES: Final = {
    "r": "SELECT",
    "a": "INSERT",
    "w": "UPDATE",
    "d": "DELETE",
    "D": "TRUNCATE",
    "x": "REFERENCES",
    "t": "TRIGGER",
    "m": "MAINTAIN",
    "X": "EXECUTE",
    "U": "USAGE",
    "C": "CREATE",
    "c": "CONNECT",
    "T": "TEMPORARY",
    "s": "SET",
    "A": "ALTER SYSTEM",
}
CONSTRAINT_KINDS: Final[Mapping[str, ConstraintKind]] = {
    "p": "primary key",
    "f": "foreign key",
    "u": "unique",
    "c": "check",
    "x": "exclude",
    "n": "not null",
    "t": "trigger",
}
TABLE_KINDS: Final[Mapping[str, TableKind]] = {"r": "table", "p": "partitioned table", "f": "foreign table"}
FUNCTION_KINDS: Final[Mapping[str, FunctionKind]] = {
    "f": "function",
    "p": "procedure",
    "a": "aggregate",
    "w": "window function",
}
VOLATILITY: Final = {"i": "immutable", "s": "stable", "v": "volatile"}
STORAGE: Final = {"p": "plain", "e": "external", "m": "main", "x": "extended"}
COMPRESSION: Final = {"p": "pglz", "l": "lz4"}
COMMANDS: Final = {"*": "ALL", "r": "SELECT", "a": "INSERT", "w": "UPDATE", "d": "DELETE"}

ACL_ITEM: Final = re.compile(r'^("(?:[^"]|"")*"|[^=]*)=([^/]*)/(.*)$', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Parts:
    """What hangs on relations and types, by the OID of what it hangs on."""

    columns: Mapping[int, tuple[Column, ...]] = field(default_factory=dict)
    constraints: Mapping[int, tuple[Constraint, ...]] = field(default_factory=dict)
    references: Mapping[int, tuple[Reference, ...]] = field(default_factory=dict)
    indexes: Mapping[int, tuple[Index, ...]] = field(default_factory=dict)
    triggers: Mapping[int, tuple[Trigger, ...]] = field(default_factory=dict)
    rules: Mapping[int, tuple[Rule, ...]] = field(default_factory=dict)
    policies: Mapping[int, tuple[Policy, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Types:
    """The types by kind."""

    enums: tuple[Enum, ...]
    domains: tuple[Domain, ...]
    composites: tuple[Composite, ...]
    ranges: tuple[Range, ...]


def _grouped(pairs: Iterable[tuple[int, T]]) -> dict[int, tuple[T, ...]]:
    out: defaultdict[int, list[T]] = defaultdict(list)
    for oid, value in pairs:
        out[oid].append(value)
    return {oid: tuple(values) for oid, values in out.items()}


def _texts(value: Sequence[str] | None) -> tuple[str, ...]:
    return tuple(value) if value else ()


def grants(acl: Sequence[str] | None, default: Sequence[str] | None = None) -> Grants:
    """Where the ACL differs from the default, by role; a default entry that is gone stays with no privileges."""
    if acl is None:
        return ()
    found = {_grant(item) for item in acl}
    usual = {_grant(item) for item in default or ()}
    roles = {g.role for g in found}
    revoked = {Grant(g.role, (), (), g.grantor) for g in usual if g.role not in roles}
    return tuple(sorted((found - usual) | revoked, key=lambda g: (g.role, g.grantor)))


def _grant(item: str) -> Grant:
    match = ACL_ITEM.match(item)
    if match is None:
        raise ValueError(f"not an aclitem: {item!r}")
    role, letters, grantor = match.groups()
    privileges: list[str] = []
    grantable: list[str] = []
    for letter in letters:
        if letter == "*":
            grantable.append(privileges[-1])
        else:
            privileges.append(PRIVILEGES.get(letter, letter))
    return Grant(_unquoted(role), tuple(privileges), tuple(grantable), _unquoted(grantor))


def _unquoted(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name


def identities(sequences: Iterable[Row]) -> dict[tuple[int, str], SequenceObject]:
    """The sequences of identity columns by relation and column."""
    return {(r[12], r[15]): _sequence(r) for r in sequences if r[11]}


def columns(found: Iterable[Row], identity: Mapping[tuple[int, str], SequenceObject]) -> dict[int, tuple[Column, ...]]:
    """Columns by relation. Equal texts are kept once: a large schema repeats few names and types."""
    kept: dict[str, str] = {}

    def one(r: Row) -> Column:
        relation, name, type_, not_null, default, detail, number = r
        name = kept.setdefault(name, name)
        type_ = kept.setdefault(type_, type_)
        if detail is None:
            return Column(name, type_, not_null, default, PLAIN, number)
        return Column(name, type_, not_null, default, _detail(detail, identity.get((relation, name))), number)

    return _grouped((r[0], one(r)) for r in found)


def _detail(d: Mapping[str, Any], sequence: SequenceObject | None) -> ColumnDetail:
    if d["inherited"] and not any(v for k, v in d.items() if k != "inherited"):
        return INHERITED
    return ColumnDetail(
        identity={"a": "always", "d": "by default"}.get(d["identity"], ""),  # type: ignore[arg-type]  # a Literal each
        sequence=sequence,
        generated={"s": "stored", "v": "virtual"}.get(d["generated"], ""),  # type: ignore[arg-type]  # a Literal each
        collation=d["collation"] or "",
        storage=STORAGE.get(d["storage"] or "", ""),
        compression=COMPRESSION.get(d["compression"] or "", ""),
        statistics=d["statistics"],
        options=_texts(d["options"]),
        fdw_options=_texts(d["fdw_options"]),
        comment=d["comment"] or "",
        grants=grants(d["acl"]),
        inherited=d["inherited"],
    )


INHERITED: Final = ColumnDetail(inherited=True)


def constraints(
    found: Iterable[Row], columns: Mapping[int, tuple[Column, ...]]
) -> tuple[dict[int, tuple[Constraint, ...]], dict[int, tuple[Reference, ...]]]:
    """Constraints by table or domain, and the foreign keys that point at a table by that table."""
    numbered: dict[int, dict[int, str]] = {}

    def names(relation: int, numbers: Sequence[int] | None, given: Sequence[str] | None) -> tuple[str, ...]:
        if given is not None or not numbers:
            return _texts(given)
        if relation not in numbered:
            numbered[relation] = {c.number: c.name for c in columns.get(relation, ())}
        return tuple(numbered[relation][n] for n in numbers if n in numbered[relation])

    own: list[tuple[int, Constraint]] = []
    pointing: list[tuple[int, Reference]] = []
    for r in found:
        (oid, relation, domain, name, kind, definition, key, cols, target, ref_schema, ref_table, ref_key, ref_cols) = (
            r[:13]
        )
        inherited, comment, options, clustered, replica, primary, table_schema, table = r[13:]
        own_columns, ref_columns = names(relation, key, cols), names(target, ref_key, ref_cols)
        constraint = Constraint(
            name=name,
            kind=CONSTRAINT_KINDS[kind],
            definition=definition or "",
            columns=own_columns,
            references=(ref_schema, ref_table) if ref_table else None,
            ref_columns=ref_columns,
            ref_primary=bool(primary),
            inherited=inherited,
            comment=comment or "",
            index_options=_texts(options),
            clustered=bool(clustered),
            replica_identity=bool(replica),
            oid=oid,
        )
        if not _said_by_column(constraint, table or ""):
            own.append((relation or domain, constraint))
        if kind == "f" and not inherited:
            pointing.append((target, Reference((table_schema, table), own_columns, ref_columns)))
    return _grouped(own), _grouped(sorted(pointing, key=lambda p: (p[1].table, p[1].columns)))


def _said_by_column(c: Constraint, table: str) -> bool:
    """A NOT NULL constraint (Postgres 18, and domains of 17) that the column's own NOT NULL says in full."""
    if c.kind != "not null":
        return False
    plain = c.definition.startswith("NOT NULL") and not c.definition.endswith(("NO INHERIT", "NOT VALID"))
    return plain and not c.comment and c.name == "_".join((table, *c.columns, "not_null"))


def indexes(found: Iterable[Row], relations: Iterable[Row]) -> dict[int, tuple[Index, ...]]:
    """Indexes by relation."""
    views = {r[0] for r in relations if r[3] == "m"}

    def one(r: Row) -> Index:
        _, relation, name, definition, unique, valid, p_schema, p_name, stats, clustered, replica, comment = r
        head, _, tail = (definition or "").partition(" USING ")
        return Index(
            name=name,
            definition=tail,
            unique=unique,
            valid=valid,
            only=" ON ONLY " in head and relation not in views,
            parent=(p_schema, p_name) if p_name else None,
            statistics=tuple((n, s) for n, s in stats or ()),
            clustered=clustered,
            replica_identity=replica,
            comment=comment or "",
            oid=r[0],
        )

    return _grouped((r[1], one(r)) for r in found)


def triggers(found: Iterable[Row]) -> dict[int, tuple[Trigger, ...]]:
    """Triggers by relation."""
    return _grouped(
        (relation, Trigger(name, definition, function, enabled, inherited, comment or ""))
        for relation, name, definition, function, enabled, inherited, comment in found
    )


def rules(found: Iterable[Row]) -> dict[int, tuple[Rule, ...]]:
    """Rules by relation."""
    return _grouped((r[1], Rule(r[2], r[3], r[4], r[5] or "", r[0])) for r in found)


def policies(found: Iterable[Row]) -> dict[int, tuple[Policy, ...]]:
    """Policies by table."""
    return _grouped(
        (relation, Policy(name, COMMANDS[command], permissive, _texts(roles), using, check, comment or ""))
        for relation, name, command, permissive, roles, using, check, comment in found
    )


def estimate(analyzed: int | None, live: int | None) -> int | None:
    """Rows as the last ANALYZE or VACUUM counted them, else as the statistics of running transactions do."""
    return analyzed if analyzed is not None else live or None


def _row_security(enabled: bool, forced: bool) -> Any:
    return {(True, False): "enabled", (True, True): "forced", (False, True): "forced, not enabled"}.get(
        (enabled, forced), ""
    )


def tables(found: Iterable[Row], parts: Parts) -> tuple[Table, ...]:
    """The tables among the relations."""
    return tuple(_table(r, parts) for r in found if r[3] in TABLE_KINDS)


def _table(r: Row, parts: Parts) -> Table:
    oid, schema, name, kind, unlogged, _, bound, key, parents, of_type, server, fdw = r[:12]
    options, toast, method, space, replica, rls, force, owner, comment, acl, default_acl = r[12:23]
    _, _, analyzed, live, size, readable, locked, partitions = r[23:]
    return Table(
        schema=schema,
        name=name,
        kind=TABLE_KINDS[kind],
        columns=parts.columns.get(oid, ()),
        constraints=parts.constraints.get(oid, ()),
        indexes=parts.indexes.get(oid, ()),
        triggers=parts.triggers.get(oid, ()),
        rules=parts.rules.get(oid, ()),
        policies=parts.policies.get(oid, ()),
        row_security=_row_security(rls, force),
        unlogged=unlogged,
        partition_key=key or "",
        partition_bound=bound or "",
        parents=tuple((s, n) for s, n in parents or ()),
        of_type=of_type or "",
        server=server or "",
        fdw_options=_texts(fdw),
        options=_texts(options),
        toast_options=_texts(toast),
        access_method=method or "",
        tablespace=space or "",
        replica_identity={"f": "full", "n": "nothing", "i": "index"}.get(replica, ""),  # type: ignore[arg-type]
        owner=owner,
        comment=comment or "",
        grants=grants(acl, default_acl),
        oid=oid,
        rows=estimate(analyzed, live) if kind == "r" else None,
        size=size,
        readable=readable,
        locked=locked,
        referenced_by=parts.references.get(oid, ()),
        partitions=partitions,
    )


def views(found: Iterable[Row], parts: Parts) -> tuple[View, ...]:
    """The views and materialized views among the relations."""
    return tuple(_view(r, parts) for r in found if r[3] in "vm")


def _view(r: Row, parts: Parts) -> View:
    oid, schema, name, kind = r[:4]
    options, _, method, space, _, _, _, owner, comment, acl, default_acl = r[12:23]
    definition, populated, analyzed, live, size, readable, locked, _ = r[23:]
    return View(
        schema=schema,
        name=name,
        materialized=kind == "m",
        definition=(definition or "").strip().removesuffix(";"),
        columns=parts.columns.get(oid, ()),
        options=_texts(options),
        indexes=parts.indexes.get(oid, ()),
        triggers=parts.triggers.get(oid, ()),
        rules=parts.rules.get(oid, ()),
        access_method=method or "",
        tablespace=space or "",
        owner=owner,
        comment=comment or "",
        grants=grants(acl, default_acl),
        oid=oid,
        rows=estimate(analyzed, live) if kind == "m" else None,
        size=size,
        populated=populated,
        readable=readable,
        locked=locked,
    )


def sequences(found: Iterable[Row]) -> tuple[SequenceObject, ...]:
    """The sequences that are not an identity column's."""
    return tuple(_sequence(r) for r in found if not r[11])


def _sequence(r: Row) -> SequenceObject:
    return SequenceObject(
        schema=r[1],
        name=r[2],
        options=SequenceOptions(*r[3:10]),
        unlogged=r[10],
        owned_by=(r[13], r[14], r[15]) if r[14] else None,
        identity=bool(r[11]),
        owner=r[16],
        comment=r[17] or "",
        grants=grants(r[18], r[19]),
        oid=r[0],
    )


def types(found: Iterable[Row], parts: Parts) -> Types:
    """The types by kind."""
    made: dict[str, list[Any]] = {"e": [], "d": [], "c": [], "r": []}
    for r in found:
        oid, schema, name, kind, relation, values, base, not_null, default, collation, range_ = r[:11]
        owner, comment, acl, default_acl = r[11:]
        common = {
            "schema": schema,
            "name": name,
            "owner": owner,
            "comment": comment or "",
            "grants": grants(acl, default_acl),
            "oid": oid,
        }
        if kind == "e":
            made[kind].append(Enum(values=_texts(values), **common))
        elif kind == "c":
            made[kind].append(Composite(columns=parts.columns.get(relation, ()), **common))
        elif kind == "r":
            made[kind].append(Range(definition=range_, **common))
        else:
            domain = Domain(type=base, not_null=not_null, default=default, collation=collation or "", **common)
            made[kind].append(replace(domain, constraints=parts.constraints.get(oid, ())))
    return Types(*(tuple(made[k]) for k in "edcr"))


def functions(found: Iterable[Row]) -> tuple[Function, ...]:
    """Functions, procedures and aggregates."""
    return tuple(
        Function(
            schema=schema,
            name=name,
            kind=FUNCTION_KINDS[kind],
            identity=identity,
            arguments=arguments,
            result=result,
            language=language,
            definition=(definition or "").rstrip("\n"),
            volatility=VOLATILITY[volatility],
            security_definer=definer,
            owner=owner,
            comment=comment or "",
            grants=grants(acl, default_acl),
            oid=oid,
        )
        for (
            oid, schema, name, kind, identity, arguments, result, language, definition,
            volatility, definer, owner, comment, acl, default_acl,
        ) in found
    )  # fmt: skip


def extensions(found: Iterable[Row]) -> tuple[Extension, ...]:
    """The extensions."""
    return tuple(
        Extension(name, version, schema, comment or "", members) for name, version, schema, comment, members in found
    )


def others(found: Iterable[Row]) -> tuple[Other, ...]:
    """Objects of the rarer kinds. What another session's lock kept from being read has no definition."""
    made = []
    for kind, schema, name, identity, definition, owner, comment, acl, default_acl, oid in found:
        held = grants(acl, default_acl)
        if kind == "default privileges":
            definition = ";\n".join(
                definition + s for s in grant_statements(name.partition(" of ")[0], held, name.partition(" of ")[2])
            )
            held = ()
            if not definition:
                continue
        made.append(Other(kind, schema, name, identity, definition or "", owner, comment or "", held, oid))
    return tuple(made)
