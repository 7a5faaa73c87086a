"""Objects → statements, without a database: what pg_dump of the result would not forgive."""

from dataclasses import replace

import pytest

from neon_branch_mcp.postgres.ddl import to_ddl
from neon_branch_mcp.postgres.ddl_objects import attributes, column_clause, create_table, finish, finish_table
from neon_branch_mcp.postgres.schema import (
    Column,
    ColumnDetail,
    Constraint,
    Index,
    Schema,
    Sequence,
    SequenceOptions,
    Table,
    View,
)

COUNTS = SequenceOptions("integer", 1, 1, 1, 2147483647, 1, False)
TABLE = Table("public", "t", "table", (Column("id", "integer", not_null=True), Column("n", "integer")))


def key(name: str, definition: str) -> Constraint:
    """A key as the catalogue says it."""
    kind = "primary key" if definition.startswith("PRIMARY") else "unique"
    return Constraint(name, kind, definition)  # type: ignore[arg-type]  # a Literal each


@pytest.mark.parametrize(
    ("constraints", "within", "after"),
    [
        ((key("p", "PRIMARY KEY (id)"), key("u", "UNIQUE (n)")), {"p", "u"}, set()),
        ((key("a", "UNIQUE (id)"), key("p", "PRIMARY KEY (id)")), {"p"}, {"a"}),
        ((key("a", "UNIQUE (n)"), key("b", "UNIQUE (n)")), {"a"}, {"b"}),
        ((key("a", "UNIQUE (n)"), key("b", "UNIQUE (n) INCLUDE (id)")), {"a", "b"}, set()),
        ((key("a", "UNIQUE (n)"), key("b", "UNIQUE NULLS NOT DISTINCT (n)")), {"a", "b"}, set()),
    ],
)
def test_of_two_equal_keys_only_the_first_stands_in_create_table(
    constraints: tuple[Constraint, ...], within: set[str], after: set[str]
) -> None:
    table = replace(TABLE, constraints=constraints)
    created, later = create_table(table, inline=False), "\n".join(finish_table(table, False, {}))

    assert {c.name for c in constraints if f"CONSTRAINT {c.name} " in created} == within
    assert {c.name for c in constraints if f"ADD CONSTRAINT {c.name} " in later} == after


@pytest.mark.parametrize(
    ("table_unlogged", "sequence_unlogged", "said"),
    [(False, False, "t_id_seq INCREMENT"), (True, True, "t_id_seq INCREMENT"),
     (False, True, "t_id_seq UNLOGGED INCREMENT"), (True, False, "t_id_seq LOGGED INCREMENT")],
)  # fmt: skip
def test_an_identity_sequence_says_where_it_is_logged_unlike_its_table(
    table_unlogged: bool, sequence_unlogged: bool, said: str
) -> None:
    sequence = Sequence("public", "t_id_seq", COUNTS, unlogged=sequence_unlogged, identity=True)
    column = Column("id", "integer", True, None, ColumnDetail(identity="always", sequence=sequence))

    assert said in column_clause(replace(TABLE, unlogged=table_unlogged), column, inline=False)


def test_a_sequence_that_a_column_owns_changes_hands_with_its_table_only() -> None:
    alone = Sequence("public", "s", COUNTS, owner="ann")
    owned = replace(alone, owned_by=("public", "t", "id"))

    assert list(attributes(alone)) == ["ALTER SEQUENCE public.s OWNER TO ann"]
    assert list(attributes(owned)) == []


def test_a_materialized_view_keeps_the_index_it_is_clustered_on() -> None:
    view = View("public", "m", True, "SELECT 1 AS n", (), indexes=(Index("m_n", "btree (n)", clustered=True),))

    assert list(finish(view)) == [
        "CREATE INDEX m_n ON public.m USING btree (n)",
        "ALTER MATERIALIZED VIEW public.m CLUSTER ON m_n",
    ]


def test_partitions_are_attached_before_any_index_is_made() -> None:
    parent = replace(TABLE, kind="partitioned table", partition_key="LIST (id)", oid=1)
    parent = replace(parent, indexes=(Index("half", "btree (n)", only=True, valid=False),))
    part = replace(TABLE, name="part", partition_bound="DEFAULT", parents=(("public", "t"),), oid=2)

    said = to_ddl(Schema(tables=(parent, part)))

    assert said.index("ATTACH PARTITION public.part") < said.index("CREATE INDEX half ON ONLY public.t")


def test_a_materialized_views_columns_keep_how_they_are_stored() -> None:
    detail = ColumnDetail(storage="external", compression="lz4", statistics=7)
    view = View("public", "m", True, "SELECT 'x' AS t", (Column("t", "text", detail=detail),))

    assert list(finish(view)) == [
        f"ALTER MATERIALIZED VIEW public.m ALTER COLUMN t {setting}"
        for setting in ("SET STORAGE EXTERNAL", "SET COMPRESSION lz4", "SET STATISTICS 7")
    ]
