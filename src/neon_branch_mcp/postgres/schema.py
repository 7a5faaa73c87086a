"""A database's schema as frozen values: everything that DDL can say, as Postgres' catalogue says it.

Names are raw, never quoted (`ddl.quote` does that). Types, expressions and definitions are text as Postgres deparses it with an empty
`search_path`, so every name in them carries its schema, unless it is of `pg_catalog`.

Two schemas are equal when DDL could not tell them apart. Fields that `compare=False` marks are measurements, or hold for one moment or one
role only: OIDs, row estimates, sizes, what the role may read, what another session has locked.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Name: TypeAlias = tuple[str, str]
"""A schema and a name in it."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What one role may do; `privileges` are Postgres' keywords, `grantable` those of them it may hand on. `role` "" is PUBLIC."""

    role: str
    privileges: tuple[str, ...]
    grantable: tuple[str, ...]
    grantor: str


Grants: TypeAlias = tuple[Grant, ...]
"""Where the privileges differ from the default. An entry without privileges is a default that was revoked."""


@dataclass(frozen=True, slots=True)
class SequenceOptions:
    """What a sequence, or an identity column's, counts."""

    type: str
    start: int
    increment: int
    minimum: int
    maximum: int
    cache: int
    cycle: bool


@dataclass(frozen=True, slots=True)
class ColumnDetail:
    """What few columns have."""

    identity: Literal["", "always", "by default"] = ""
    sequence: "Sequence | None" = None
    generated: Literal["", "stored", "virtual"] = ""
    collation: str = ""
    storage: str = ""
    compression: str = ""
    statistics: int | None = None
    options: tuple[str, ...] = ()
    fdw_options: tuple[str, ...] = ()
    comment: str = ""
    grants: Grants = ()
    inherited: bool = False


PLAIN = ColumnDetail()


@dataclass(frozen=True, slots=True)
class Column:
    """A column. `default` is the expression of a default or of a generated column."""

    name: str
    type: str
    not_null: bool = False
    default: str | None = None
    detail: ColumnDetail = PLAIN
    number: int = field(default=0, compare=False)


ConstraintKind: TypeAlias = Literal["primary key", "foreign key", "unique", "check", "exclude", "not null", "trigger"]


@dataclass(frozen=True, slots=True)
class Constraint:
    """A constraint of a table or a domain; `definition` is what follows `CONSTRAINT name`."""

    name: str
    kind: ConstraintKind
    definition: str
    columns: tuple[str, ...] = ()
    references: Name | None = None
    ref_columns: tuple[str, ...] = ()
    ref_primary: bool = False
    inherited: bool = False
    comment: str = ""
    index_options: tuple[str, ...] = ()
    clustered: bool = False
    replica_identity: bool = False
    oid: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Index:
    """An index that no constraint owns; `definition` is what follows `USING`."""

    name: str
    definition: str
    unique: bool = False
    valid: bool = True
    only: bool = False
    parent: Name | None = None
    statistics: tuple[tuple[int, int], ...] = ()
    clustered: bool = False
    replica_identity: bool = False
    comment: str = ""
    oid: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Trigger:
    """A trigger (or event trigger state) of a table or view; `definition` is the whole CREATE statement."""

    name: str
    definition: str
    function: str
    enabled: str = "O"
    inherited: bool = False
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """A rewrite rule; `definition` is the whole CREATE statement."""

    name: str
    definition: str
    enabled: str = "O"
    comment: str = ""
    oid: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Policy:
    """A row-level security policy."""

    name: str
    command: str
    permissive: bool
    roles: tuple[str, ...]
    using: str | None
    check: str | None
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Reference:
    """A foreign key of another table that points here."""

    table: Name
    columns: tuple[str, ...]
    ref_columns: tuple[str, ...]


TableKind: TypeAlias = Literal["table", "partitioned table", "foreign table"]


@dataclass(frozen=True, slots=True)
class Table:
    """A table with all that hangs on it."""

    schema: str
    name: str
    kind: TableKind
    columns: tuple[Column, ...]
    constraints: tuple[Constraint, ...] = ()
    indexes: tuple[Index, ...] = ()
    triggers: tuple[Trigger, ...] = ()
    rules: tuple[Rule, ...] = ()
    policies: tuple[Policy, ...] = ()
    row_security: Literal["", "enabled", "forced", "forced, not enabled"] = ""
    unlogged: bool = False
    partition_key: str = ""
    partition_bound: str = ""
    parents: tuple[Name, ...] = ()
    of_type: str = ""
    server: str = ""
    fdw_options: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    toast_options: tuple[str, ...] = ()
    access_method: str = ""
    tablespace: str = ""
    replica_identity: Literal["", "full", "nothing", "index"] = ""
    owner: str = ""
    comment: str = ""
    grants: Grants = ()
    oid: int = field(default=0, compare=False)
    rows: int | None = field(default=None, compare=False)
    size: int | None = field(default=None, compare=False)
    readable: bool = field(default=True, compare=False)
    locked: bool = field(default=False, compare=False)
    referenced_by: tuple[Reference, ...] = field(default=(), compare=False)
    partitions: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class View:
    """A view or a materialized view; `definition` is the query, without the closing semicolon."""

    schema: str
    name: str
    materialized: bool
    definition: str
    columns: tuple[Column, ...]
    options: tuple[str, ...] = ()
    indexes: tuple[Index, ...] = ()
    triggers: tuple[Trigger, ...] = ()
    rules: tuple[Rule, ...] = ()
    access_method: str = ""
    tablespace: str = ""
    owner: str = ""
    comment: str = ""
    grants: Grants = ()
    oid: int = field(default=0, compare=False)
    rows: int | None = field(default=None, compare=False)
    size: int | None = field(default=None, compare=False)
    populated: bool = field(default=True, compare=False)
    readable: bool = field(default=True, compare=False)
    locked: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class Sequence:
    """A sequence. `owned_by` is the table and column whose end is its end; `identity`, that it is an identity column's own."""

    schema: str
    name: str
    options: SequenceOptions
    unlogged: bool = False
    owned_by: tuple[str, str, str] | None = None
    identity: bool = False
    owner: str = ""
    comment: str = ""
    grants: Grants = ()
    oid: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Enum:
    """An enum with its values in order."""

    schema: str
    name: str
    values: tuple[str, ...]
    owner: str = ""
    comment: str = ""
    grants: Grants = ()
    oid: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Domain:
    """A domain over a type."""

    schema: str
    name: str
    type: str
    not_null: bool = False
    default: str | None = None
    collation: str = ""
    constraints: tuple[Constraint, ...] = ()
    owner: str = ""
    comment: str = ""
    grants: Grants = ()
    oid: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Composite:
    """A composite type made by CREATE TYPE … AS."""

    schema: str
    name: str
    columns: tuple[Column, ...]
    owner: str = ""
    comment: str = ""
    grants: Grants = ()
    oid: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Range:
    """A range type; `definition` is what stands in the brackets of CREATE TYPE … AS RANGE."""

    schema: str
    name: str
    definition: str
    owner: str = ""
    comment: str = ""
    grants: Grants = ()
    oid: int = field(default=0, compare=False)


FunctionKind: TypeAlias = Literal["function", "procedure", "aggregate", "window function"]


@dataclass(frozen=True, slots=True)
class Function:
    """A function, procedure or aggregate.

    `identity` are the arguments that tell overloads apart, `arguments` the whole list with names and defaults. `definition` is the
    whole CREATE statement.
    """

    schema: str
    name: str
    kind: FunctionKind
    identity: str
    arguments: str
    result: str
    language: str
    definition: str
    volatility: str = "volatile"
    security_definer: bool = False
    owner: str = ""
    comment: str = ""
    grants: Grants = ()
    oid: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Other:
    """An object of a rarer kind: an operator, cast, collation, publication, event trigger …

    `identity` is what DROP and COMMENT ON take after the kind, quoted; `definition` the statements that make it.
    """

    kind: str
    schema: str
    name: str
    identity: str
    definition: str
    owner: str = ""
    comment: str = ""
    grants: Grants = ()
    oid: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Extension:
    """An extension. What belongs to it is not listed; `members` counts it."""

    name: str
    version: str
    schema: str
    comment: str = ""
    members: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Namespace:
    """What Postgres calls a schema."""

    name: str
    owner: str = ""
    comment: str = ""
    grants: Grants = ()


SchemaObject: TypeAlias = Enum | Domain | Composite | Range | Table | View | Sequence | Function | Other


@dataclass(frozen=True, slots=True)
class Schema:
    """A whole database, or the part of it that was asked for. Objects are ordered by schema and name.

    `depends` holds pairs of OIDs (object, what it needs) for `ddl.to_ddl`.
    """

    namespaces: tuple[Namespace, ...] = ()
    extensions: tuple[Extension, ...] = ()
    enums: tuple[Enum, ...] = ()
    domains: tuple[Domain, ...] = ()
    composites: tuple[Composite, ...] = ()
    ranges: tuple[Range, ...] = ()
    tables: tuple[Table, ...] = ()
    views: tuple[View, ...] = ()
    sequences: tuple[Sequence, ...] = ()
    functions: tuple[Function, ...] = ()
    others: tuple[Other, ...] = ()
    comment: str = ""
    database: str = field(default="", compare=False)
    role: str = field(default="", compare=False)
    server_version: int = field(default=0, compare=False)
    depends: tuple[tuple[int, int], ...] = field(default=(), compare=False, repr=False)

    def objects(self) -> Iterator[SchemaObject]:
        """Every object, types first and rarer kinds last."""
        yield from self.enums
        yield from self.domains
        yield from self.composites
        yield from self.ranges
        yield from self.tables
        yield from self.views
        yield from self.sequences
        yield from self.functions
        yield from self.others

    @property
    def locked(self) -> tuple[Name, ...]:
        """Relations whose expressions could not be read: another session holds them ACCESS EXCLUSIVE."""
        return tuple((r.schema, r.name) for r in self._relations() if r.locked)

    @property
    def unreadable(self) -> tuple[Name, ...]:
        """Relations whose rows the role may not select."""
        return tuple((r.schema, r.name) for r in self._relations() if not r.readable)

    def _relations(self) -> Iterator[Table | View]:
        yield from self.tables
        yield from self.views
