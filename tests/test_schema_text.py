"""Choosing, cutting and naming what describe_schema shows: pure functions, no database."""

import pytest

from neon_branch_mcp.errors import NotFound
from neon_branch_mcp.postgres.ddl_names import literal, quote, short_type, without_schema
from neon_branch_mcp.postgres.introspect_rows import grants
from neon_branch_mcp.postgres.schema import Grant
from neon_branch_mcp.postgres.schema_page import Entry, Page, Position, counts, select

ENTRIES = [
    Entry("billing", "table", "invoices", label="table"),
    Entry("billing", "table", "Invoices", label="table"),
    Entry("public", "table", "order", label="table", rows=1),
    Entry("public", "table", "order_items", label="table", rows=30),
    Entry("public", "table", "a.b", label="table"),
    Entry("public", "view", "orders*", label="view"),
    Entry("public", "function", "total", "bigint", label="function"),
    Entry("public", "function", "total", "text", label="function"),
]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("invoices", ["invoices"]),
        ("Invoices", ["Invoices"]),
        ("INVOICES", ["invoices", "Invoices"]),
        ('billing."Invoices"', ["Invoices"]),
        ("billing.*", ["invoices", "Invoices"]),
        ("order", ["order"]),
        ("order*", ["order", "order_items", "orders*"]),
        ('"orders*"', ["orders*"]),
        ("order_item?", ["order_items"]),
        ("a.b", ["a.b"]),
        ('"a.b"', ["a.b"]),
        ("total", ["total", "total"]),
        ("total(bigint)", ["total", "total"]),
        ("shop.public.order", ["order"]),
    ],
)
def test_a_pattern_finds_what_it_means(pattern: str, found: list[str]) -> None:
    chosen, missing = select(ENTRIES, [pattern])
    assert [e.name for e in chosen] == found
    assert missing == []


def test_what_is_not_there_is_told_with_the_nearest_names() -> None:
    chosen, missing = select(ENTRIES, ["order", "invoice"])
    assert [e.name for e in chosen] == ["order"]
    assert missing == ["Nothing is named invoice; nearest: invoices."]
    with pytest.raises(NotFound, match=r"Nothing is named zzz; there are invoices, "):
        select(ENTRIES, ["zzz"])
    with pytest.raises(NotFound, match="there are no objects at all"):
        select([], ["zzz"])


@pytest.mark.parametrize(
    "position",
    [
        Position(("public", 4, "t", "")),
        Position(("a/b", 7, "f", "text, int"), 3),
        Position(('we "quote"', 4, "é%", ""), 1),
    ],
)
def test_a_cursor_comes_back_as_the_position_it_was(position: Position) -> None:
    assert Position.parse(position.cursor()) == position


@pytest.mark.parametrize("cursor", ["", "x", "a/b/c/d/e/f", "public/table/t//x", "public/thing/t"])
def test_a_cursor_that_is_none_of_ours_is_refused(cursor: str) -> None:
    with pytest.raises(NotFound, match="leave it out to begin again"):
        Position.parse(cursor)


def test_what_a_caller_said_is_not_said_back_at_length() -> None:
    with pytest.raises(NotFound) as raised:
        select(ENTRIES, ["x" * 5_000])
    assert len(str(raised.value)) < 500
    with pytest.raises(NotFound) as raised:
        Position.parse("0" * 5_000)
    assert len(str(raised.value)) < 500


def test_a_page_on_which_nothing_is_left_says_so() -> None:
    found = Page(["-- head"], 8_000).finish(ENTRIES, None)
    assert "nothing is left from this cursor on" in found.text
    assert "nothing is left" not in Page(["-- head"], 8_000).finish([], None).text


def test_pages_of_a_budget_hold_every_line_once() -> None:
    lines = {e.key: [f"{e.name} {e.identity} line {n} " + "x" * 90 for n in range(9)] for e in ENTRIES}
    entries, seen, start = sorted(ENTRIES, key=lambda e: e.key), [], None
    while True:
        page = Page(["-- header"], 1_000)
        stop = None
        for entry in entries:
            if start is not None and entry.key < start.key:
                continue
            stop = page.add(entry, lines[entry.key], start.line if start and start.key == entry.key else 0)
            if stop is not None:
                break
        answer = page.finish(entries, stop)
        assert len(answer.text.encode()) <= 1_000
        seen += [line for line in answer.text.splitlines() if " line " in line]
        if answer.cursor is None:
            break
        start = Position.parse(answer.cursor)
    assert seen == [line for e in entries for line in lines[e.key]]


def test_what_is_counted_is_said_in_its_number() -> None:
    assert counts(ENTRIES) == "5 tables, 1 view, 2 functions"
    assert counts([Entry("s", "composite", "a"), Entry("s", "composite", "b")]) == "2 composite types"
    assert ENTRIES[2].line() == 'table "order" ~1 row'
    assert ENTRIES[6].line() == "function total(bigint)"


@pytest.mark.parametrize(
    ("name", "said"),
    [("users", "users"), ("Users", '"Users"'), ("order", '"order"'), ("a b", '"a b"'), ('a"b', '"a""b"'), ("1a", '"1a"'),
     ("naïve", '"naïve"'), ("", '""'), ("text", "text"), ("int", '"int"')],
)  # fmt: skip
def test_a_name_is_quoted_only_where_postgres_needs_it(name: str, said: str) -> None:
    assert quote(name) == said


@pytest.mark.parametrize(
    ("text", "said"), [("x", "'x'"), ("it's", "'it''s'"), ("a\\b", "E'a\\\\b'"), ("\\'", "E'\\\\'''")]
)
def test_a_string_means_the_same_with_and_without_standard_conforming_strings(text: str, said: str) -> None:
    assert literal(text) == said


@pytest.mark.parametrize(
    ("type_", "said"),
    [("character varying(20)", "varchar(20)"), ("character varying(20)[]", "varchar(20)[]"), ("character(3)", "char(3)"),
     ("timestamp(3) with time zone[]", "timestamptz(3)[]"), ("time without time zone", "time"), ("integer", "int"),
     ("double precision[]", "float8[]"), ("bit varying(5)", "varbit(5)"), ("public.integers", "public.integers")],
)  # fmt: skip
def test_a_type_has_its_shortest_name(type_: str, said: str) -> None:
    assert short_type(type_) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [("public.a + public.b", "a + b"), ("'public.a'", "'public.a'"), ('"public.a"', '"public.a"'), ("my.public.a", "my.public.a"),
     ("republic.a", "republic.a"), ('public."A b"', '"A b"')],
)  # fmt: skip
def test_a_schema_is_left_out_before_names_and_nowhere_else(text: str, said: str) -> None:
    assert without_schema(text, "public") == said


@pytest.mark.parametrize(
    ("acl", "default", "said"),
    [
        (None, None, ()),
        (["ann=r/bob"], [], (Grant("ann", ("SELECT",), (), "bob"),)),
        (["=r/bob"], [], (Grant("", ("SELECT",), (), "bob"),)),
        (["ann=r*w/bob"], [], (Grant("ann", ("SELECT", "UPDATE"), ("SELECT",), "bob"),)),
        (['"a=""b"=X/bob'], [], (Grant('a="b', ("EXECUTE",), (), "bob"),)),
        (["bob=X/bob"], ["=X/bob", "bob=X/bob"], (Grant("", (), (), "bob"),)),
        (["=X/bob", "bob=X/bob"], ["=X/bob", "bob=X/bob"], ()),
    ],
    ids=["none", "a role", "everybody", "handed on", "odd name", "default revoked", "as by default"],
)
def test_privileges_are_told_where_they_differ_from_the_default(
    acl: list[str] | None, default: list[str] | None, said: tuple[Grant, ...]
) -> None:
    assert grants(acl, default) == said
