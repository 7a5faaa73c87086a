"""The error tree: stable codes, and text that a model can act on."""

import inspect

from neon_branch_mcp import errors
from neon_branch_mcp.errors import NeonBranchError, Refused, SqlError, SqlFields, SqlPosition

CODES = {
    "config", "auth", "not_permitted", "not_found", "ambiguous", "conflict", "refused", "sql", "timeout",
    "cancelled", "limit", "api", "unreachable", "internal",
}  # fmt: skip


def test_the_codes_are_those_of_the_design() -> None:
    classes = [c for _, c in inspect.getmembers(errors, inspect.isclass) if issubclass(c, NeonBranchError)]
    assert {c.code for c in classes} == CODES


def test_a_position_is_line_and_column_with_the_line() -> None:
    sql = "SELECT 1;\r\nSELECT naem\nFROM users"
    assert SqlPosition.find(sql, sql.index("naem") + 1) == SqlPosition(2, 8, "SELECT naem")


def test_a_sql_error_tells_all_that_postgres_said() -> None:
    fields = SqlFields(
        sqlstate="42703", hint="Perhaps name.", position=SqlPosition(2, 8, "SELECT naem"), statement_index=2
    )
    assert SqlError('column "naem" does not exist', fields).render().splitlines() == [
        '[sql] column "naem" does not exist',
        "SQLSTATE: 42703",
        "statement: 2",
        "hint: Perhaps name.",
        "at 2:8: SELECT naem",
        "               ^",
    ]


def test_a_caret_stays_under_the_error_in_a_very_long_line() -> None:
    line = "x" * 500 + "!" + "y" * 500
    shown, caret = SqlError("no", SqlFields(position=SqlPosition(1, 501, line))).render().splitlines()[-2:]
    assert shown[caret.index("^")] == "!"


def test_a_refusal_names_its_rule_and_the_way_out() -> None:
    refused = Refused("No.", rule="read-only-branch", remedy="Use a branch.")
    assert refused.render() == "[refused] No. Use a branch. (rule: read-only-branch)"
