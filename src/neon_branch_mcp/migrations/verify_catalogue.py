"""What verification must know of a database: its tables, their columns with the types below domains, and their keys."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources

from .verify_side import SideRun


def quoted(name: str) -> str:
    """`name` as an SQL identifier, always in quotes."""
    if "{" in name:  # hash inputs are filled in by {c} and {s}
        plain = name.replace("\\", "\\\\").replace("{", "\\007B").replace('"', '""')
        return f'U&"{plain}"'
    return '"' + name.replace('"', '""') + '"'


@dataclass(frozen=True)
class ColumnType:
    """A type as declared, and what it is below its domains. `builtin` is empty for types that are not Postgres' own."""

    declared: str
    builtin: str
    kind: str
    oid: int
    fields: str = ""
    """Of a composite type: its fields."""
    below: str = ""
    """Of a domain: the type below it, with its modifier."""


@dataclass(frozen=True)
class TableColumn:
    """One column; `sequence` is the sequence that feeds it, where one does."""

    number: int
    name: str
    type: ColumnType
    generated: bool = False
    sequence: str | None = None


@dataclass(frozen=True)
class DataTable:
    """A plain table (without its inheritance children) or a partitioned one with all its partitions.

    `key` names the columns of its primary key, else of a unique index that admits no null; it is empty where there is neither.
    `partition`: a part of another table, compared with it; `read` is what stands for the table where it is none.
    """

    oid: int
    schema: str
    name: str
    partitioned: bool
    bytes: int
    estimate: int
    key: tuple[str, ...]
    columns: tuple[TableColumn, ...]
    partition: bool = False
    read: str = ""

    @property
    def label(self) -> str:
        """The name a reader knows it by: without the schema when that is `public`."""
        return self.name if self.read or self.schema == "public" else f"{self.schema}.{self.name}"

    @property
    def from_sql(self) -> str:
        """What stands after FROM; the alias is t."""
        if self.read:
            return f"{self.read} AS t"
        only = "" if self.partitioned else "ONLY "
        return f"{only}{quoted(self.schema)}.{quoted(self.name)} AS t"

    @property
    def stored(self) -> tuple[TableColumn, ...]:
        """The columns that hold something of their own: not the generated ones."""
        return tuple(c for c in self.columns if not c.generated)

    def column(self, name: str) -> TableColumn | None:
        """The column of that name, or None."""
        return next((c for c in self.columns if c.name == name), None)


@dataclass(frozen=True)
class Reference:
    """A foreign key of one column, by table oid and column name."""

    table: int
    column: str
    to_table: int
    to_column: str


@dataclass(frozen=True)
class Catalogue:
    """The tables of one side. Two sides with the same `lineage` are physical copies: there an oid means the same object."""

    tables: tuple[DataTable, ...]
    references: tuple[Reference, ...]
    lineage: str
    labels: Mapping[int, Mapping[int, str]] = field(default_factory=dict)
    """Of each enum, by its oid: its labels, by theirs."""

    def named(self, schema: str, name: str) -> DataTable | None:
        """The table of that name, or None."""
        return next((t for t in self.tables if (t.schema, t.name) == (schema, name)), None)

    def numbered(self, oid: int) -> DataTable | None:
        """The table with that oid, or None."""
        return next((t for t in self.tables if t.oid == oid), None)

    def label(self, oid: int, column: str) -> str:
        """`table.column`, as a reader knows it."""
        table = self.numbered(oid)
        return f"{table.label if table else oid}.{column}"


def sql_file(name: str) -> str:
    """The text of migrations/sql/`name`.sql."""
    return resources.files(__package__).joinpath(f"sql/{name}.sql").read_text(encoding="utf-8")


LINEAGE = """
select c.system_identifier::text || '/' || d.oid::text
from pg_catalog.pg_control_system() c, pg_catalog.pg_database d where d.datname = current_database()
"""


LABELS = "select enumtypid::int8, oid::int8, enumlabel::text from pg_catalog.pg_enum"


# Not a table, but data of the base; read with the rights of the role, object by object.
LARGE_OBJECTS = DataTable(
    2613,
    "pg_catalog",
    "large objects",
    False,
    0,
    -1,
    ("number",),
    (
        TableColumn(1, "number", ColumnType("bigint", "int8", "b", 20)),
        TableColumn(2, "content", ColumnType("bytea", "bytea", "b", 17)),
    ),
    read="(SELECT oid::int8 AS number, pg_catalog.lo_get(oid) AS content FROM pg_catalog.pg_largeobject_metadata)",
)


async def read_catalogue(side: SideRun) -> Catalogue:
    """The catalogue of `side`, in its transaction."""
    columns: dict[int, list[TableColumn]] = defaultdict(list)
    for relation, number, name, declared, builtin, kind, oid, generated, sequence, fields, below in await side.rows(
        sql_file("verify_columns")
    ):
        kind_of = ColumnType(declared, builtin, kind, oid, fields, below)
        columns[relation].append(TableColumn(number, name, kind_of, generated, sequence))
    tables = [
        DataTable(oid, schema, name, partitioned, size, estimate, tuple(key), tuple(columns[oid]), partition)
        for oid, schema, name, partitioned, size, estimate, key, partition in await side.rows(sql_file("verify_tables"))
    ]
    if (await side.one("SELECT count(*) FROM pg_catalog.pg_largeobject_metadata"))[0]:
        tables.append(LARGE_OBJECTS)
    references = [Reference(*row) for row in await side.rows(sql_file("verify_references"))]
    labels: dict[int, dict[int, str]] = defaultdict(dict)
    for enum, label, text in await side.rows(LABELS):
        labels[enum][label] = text
    return Catalogue(tuple(tables), tuple(references), await side.attempt(LINEAGE) or "", labels)
