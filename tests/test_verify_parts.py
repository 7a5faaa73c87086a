"""The pure parts of verification: which table and column is which, how rows are cut into parts and counted, and what a finding says."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neon_branch_mcp.migrations.canonical import canonical, relabelled
from neon_branch_mcp.migrations.compare import (
    ROW_BUDGET,
    Comparison,
    Difference,
    Operand,
    _Keys,
    _tally,
    _within_budget,
)
from neon_branch_mcp.migrations.fingerprint import BIG_BUCKETS, Buckets, hash_buckets, range_buckets
from neon_branch_mcp.migrations.verify_catalogue import Catalogue, ColumnType, DataTable, TableColumn
from neon_branch_mcp.migrations.verify_checks import comparable
from neon_branch_mcp.migrations.verify_coverage import Coverage
from neon_branch_mcp.migrations.verify_judge import Evidence, judge
from neon_branch_mcp.migrations.verify_report import TableFinding, Verdict
from neon_branch_mcp.migrations.verify_side import BaseIs
from neon_branch_mcp.migrations.verify_tables import TableOutcome, TablePair, pair_tables

BIGINT, TEXT = ColumnType("bigint", "int8", "b", 20), ColumnType("text", "text", "b", 25)
UUID, STATUS = ColumnType("uuid", "uuid", "b", 2950), ColumnType("status", "", "e", 7001)


def table(name: str, *columns: tuple[int, str, ColumnType], oid: int = 1, key: tuple[str, ...] = ("id",)) -> DataTable:
    made = tuple(TableColumn(number, column, kind) for number, column, kind in columns)
    return DataTable(oid, "public", name, False, 8192, 10, key, made)


def catalogue(*tables: DataTable, labels: dict[int, dict[int, str]] | None = None) -> Catalogue:
    return Catalogue(tables, (), "the same", labels or {})


def paired(base: DataTable, branch: DataTable, *, shared: bool = True) -> tuple[list[tuple[str, str]], list[str]]:
    [pair] = pair_tables(catalogue(base), catalogue(branch), shared=shared)
    return [(p.base.name, p.branch.name) for p in pair.pairs], [c.name for c in pair.gone]


USERS = table("users", (1, "id", BIGINT), (2, "name", TEXT))


@pytest.mark.parametrize(
    ("branch", "shared", "pairs", "gone"),
    [
        (USERS, True, [("id", "id"), ("name", "name")], []),
        (table("users", (1, "id", BIGINT), (2, "title", TEXT)), True, [("id", "id"), ("name", "title")], []),
        (table("users", (1, "id", BIGINT), (2, "title", TEXT)), False, [("id", "id")], ["name"]),
        (table("people", (1, "id", BIGINT), (2, "name", TEXT)), True, [("id", "id"), ("name", "name")], []),
        # Two columns that exchanged names are compared by name, and differ.
        (table("users", (2, "id", TEXT), (1, "name", BIGINT)), True, [("id", "id"), ("name", "name")], []),
        # A new column took the name: of a fitting type it is compared, else the old one is known by its number.
        (
            table("users", (1, "id", BIGINT), (2, "old", TEXT), (3, "name", TEXT)),
            True,
            [("id", "id"), ("name", "name")],
            [],
        ),
        (
            table("users", (1, "old", BIGINT), (2, "name", TEXT), (3, "id", UUID)),
            True,
            [("id", "old"), ("name", "name")],
            [],
        ),
        (
            table("users", (1, "old", BIGINT), (2, "name", TEXT), (3, "id", UUID)),
            False,
            [("id", "id"), ("name", "name")],
            [],
        ),
    ],
)
def test_which_column_is_which(branch: DataTable, shared: bool, pairs: list[tuple[str, str]], gone: list[str]) -> None:
    assert paired(USERS, branch, shared=shared) == (pairs, gone)


def test_a_table_of_another_name_is_the_same_one_only_on_a_physical_copy_and_while_its_name_is_free() -> None:
    moved, stranger = table("people", (1, "id", BIGINT), oid=1), table("people", (1, "id", BIGINT), oid=2)
    assert pair_tables(catalogue(USERS), catalogue(moved), shared=False)[0].branch is None
    assert pair_tables(catalogue(USERS, stranger), catalogue(moved), shared=True)[0].branch is None


@pytest.mark.parametrize(
    ("now", "note"),
    [
        ({1: "new", 2: "paid"}, ""),
        ({1: "open", 2: "paid"}, "renamed: new to open"),
        ({1: "paid", 2: "new"}, ""),  # exchanged: each name stands for itself, and the values differ
        ({1: "open", 2: "new"}, ""),  # a name that stands for another one now is no rename
        ({2: "paid"}, ""),
    ],
)
def test_a_label_is_renamed_only_where_neither_name_stands_for_another(now: dict[int, str], note: str) -> None:
    orders = table("orders", (1, "id", BIGINT), (2, "status", STATUS))
    base = catalogue(orders, labels={7001: {1: "new", 2: "paid"}})
    [pair] = pair_tables(base, catalogue(orders, labels={7001: now}), shared=True)
    assert pair.pairs[1].how.note.endswith(note)
    assert bool(pair.pairs[1].how.note) == bool(note)


def test_odd_labels_are_quoted() -> None:
    form = relabelled(STATUS, {"it's {c}": "back\\slash"}).base
    assert r"U&'it''s \007Bc\007D'" in form
    assert r"U&'back\005Cslash'" in form


@given(st.integers(0, 20_000_000), st.integers(-(2**61), 2**61), st.integers(0, 2**61))
def test_ranges_cover_the_whole_key_in_about_as_many_parts_as_asked(rows: int, low: int, width: int) -> None:
    buckets = range_buckets(rows, low, low + width)
    assert width >> buckets.shift <= buckets.count
    assert 16 <= hash_buckets(rows).count <= BIG_BUCKETS


def test_ranges_side_by_side_are_read_as_one_and_rows_without_a_value_are_read_too() -> None:
    buckets = Buckets(16, low=100, shift=3)
    assert buckets.condition("k", "h", [2, 0, 1, 5]) == "(k >= 100 AND k < 124) OR (k >= 140 AND k < 148)"
    assert buckets.condition("k", "h", [-1, 0]) == "(k >= 100 AND k < 108) OR k IS NULL"
    assert Buckets(16).condition("k", "h", [3, 4]) == "(h & 15) IN (3, 4)"


def test_rows_are_looked_at_one_by_one_up_to_the_budget_but_one_part_always() -> None:
    assert _within_budget({1: 10 * ROW_BUDGET, 2: 1}) == [1]
    assert _within_budget({1: ROW_BUDGET - 1, 2: 1, 3: 1}) == [1, 2]


ROWS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), max_size=6)


@given(ROWS, ROWS)
def test_rows_of_one_key_are_counted_as_multisets(ours: list[tuple[int, int]], theirs: list[tuple[int, int]]) -> None:
    operand = Operand("t", ("a", "b"), ("a", "b"))
    found, keys = Difference(), _Keys()
    _tally(Comparison("t", ("a", "b"), operand, operand, (0,), Buckets(16), 1), 7, ours, theirs, found, keys)
    left, right = (Counter(ours) - Counter(theirs)).total(), (Counter(theirs) - Counter(ours)).total()
    assert (found.changed + found.removed, found.changed + found.added) == (left, right)
    assert not (found.removed and found.added)
    assert found.equal == (Counter(ours) == Counter(theirs))
    assert found.changed <= sum(found.columns.values()) <= 2 * found.changed


@pytest.mark.parametrize(
    ("base", "branch", "same"),
    [
        (BIGINT, ColumnType("integer", "int4", "b", 23), True),
        (TEXT, ColumnType("character varying(5)", "varchar", "b", 1043), True),
        (BIGINT, ColumnType("numeric", "numeric", "b", 1700), False),
        (ColumnType("json", "json", "b", 114), ColumnType("jsonb", "jsonb", "b", 3802), False),
        (STATUS, ColumnType("status", "", "e", 7999), True),
        (STATUS, ColumnType("mood", "", "e", 7002), False),
    ],
)
def test_types_that_count_as_one_in_a_check(base: ColumnType, branch: ColumnType, same: bool) -> None:
    assert comparable(base, branch) is same


def judged(pair: TablePair, difference: Difference, base_is: BaseIs = "as branched") -> TableFinding:
    outcome = TableOutcome(pair, difference, difference.rows_base)
    return judge(outcome, Evidence(Coverage(), base_is, ()))


@pytest.mark.parametrize(
    ("difference", "base_is", "verdict", "said"),
    [
        (Difference(5, 5), "as branched", "preserved", "equal"),
        (Difference(5, 7, added=2), "as branched", "preserved", "2 rows were added"),
        (Difference(5, 4, removed=1), "as branched", "lost", "1 of 5 rows are missing"),
        (Difference(5, 4, removed=1), "as named", "lost", "1 of 5 rows are missing"),
        (Difference(5, 4, removed=1), "parent now", "unproven", "may have been added there since"),
        (Difference(5, 5, complete=False), "as branched", "unproven", "too many places"),
        (Difference(9, 5, removed=3, complete=False), "as branched", "lost", "at least 3 of 9"),
    ],
)
def test_the_verdict_on_rows(difference: Difference, base_is: BaseIs, verdict: Verdict, said: str) -> None:
    [pair] = pair_tables(catalogue(USERS), catalogue(USERS), shared=True)
    found = judged(pair, difference, base_is)
    assert (found.verdict, said in found.reason) == (verdict, True), found


def test_rows_are_not_called_lost_where_their_key_cannot_be_compared() -> None:
    base = table("users", (1, "id", BIGINT), (2, "name", TEXT))
    [pair] = pair_tables(catalogue(base), catalogue(table("users", (1, "id", UUID), (2, "name", TEXT))), shared=True)
    found = judged(pair, Difference(5, 5, removed=5, added=5))
    assert (found.verdict, "the type of id changed" in found.reason) == ("unproven", True)


def test_every_pair_of_types_has_a_way_and_only_exact_ones_prove_a_loss() -> None:
    kinds = [
        BIGINT,
        TEXT,
        UUID,
        STATUS,
        *(ColumnType(n, n, "b", 0) for n in ("numeric", "float8", "timestamp", "timestamptz", "jsonb", "json")),
    ]
    conclusive = {(a.declared, b.declared) for a in kinds for b in kinds if a != b and canonical(a, b).conclusive}
    families = [{"bigint", "numeric", "float8"}, {"json", "jsonb"}, {"text", "status"}]
    assert conclusive == {(a, b) for family in families for a in family for b in family if a != b}
