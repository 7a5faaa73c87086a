"""The schema as it is read and told: exact, in few words, by page, whatever the names, and never held up by a lock."""

import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import psycopg
import pytest

from neon_branch_mcp.errors import NotFound, TimedOut
from neon_branch_mcp.local.binaries import find_binaries
from neon_branch_mcp.migrations.plan import plan
from neon_branch_mcp.postgres.ddl import to_ddl
from neon_branch_mcp.postgres.describe import describe
from neon_branch_mcp.postgres.introspect import introspect
from neon_branch_mcp.postgres.schema_parts import LEGEND
from neon_branch_mcp.postgres.schema_text import render
from tests.conftest import Scratch
from tests.schema_samples import QUIRKS, RARE, SHOP

pytestmark = pytest.mark.anyio

Connection = psycopg.AsyncConnection[psycopg.rows.TupleRow]


def dump(uri: str) -> list[str]:
    """What pg_dump says of the schema, without what differs from run to run."""
    tool = find_binaries(None).tool("pg_dump")
    text = subprocess.run([tool, "--schema-only", uri], capture_output=True, text=True, check=True).stdout
    return [line for line in text.splitlines() if not line.startswith(("\\restrict", "\\unrestrict"))]


@pytest.fixture
def superuser_uris(scratch: Scratch) -> Iterator[tuple[str, str]]:
    """Two empty databases, for what only a superuser can make."""
    names = ("schema_one", "schema_two")
    with psycopg.connect(scratch.superuser_uri("postgres"), autocommit=True) as conn:
        for name in names:
            conn.execute(f"create database {name} template template0")
        yield scratch.superuser_uri(names[0]), scratch.superuser_uri(names[1])
        for name in names:
            conn.execute(f"drop database {name} with (force)")


@pytest.fixture
async def shop(shop_uri: str) -> AsyncIterator[Connection]:
    async with await psycopg.AsyncConnection.connect(shop_uri, autocommit=True) as conn:
        yield conn


@pytest.fixture
async def conn(database_uri: str) -> AsyncIterator[Connection]:
    """An empty database."""
    async with await psycopg.AsyncConnection.connect(database_uri, autocommit=True) as opened:
        yield opened


@pytest.mark.parametrize("sample", [SHOP, RARE, QUIRKS], ids=["shop", "rare", "quirks"])
async def test_a_schema_made_from_its_own_ddl_dumps_the_same(superuser_uris: tuple[str, str], sample: str) -> None:
    original, rebuilt = superuser_uris
    async with await psycopg.AsyncConnection.connect(original, autocommit=True) as conn:
        await conn.execute(sample)
        schema = await introspect(conn)
    async with await psycopg.AsyncConnection.connect(rebuilt, autocommit=True) as conn:
        await conn.execute(to_ddl(schema))
        again = await introspect(conn)
    assert again == schema
    expected = [line.replace("password 'sekret'", "password '***'") for line in dump(original)]
    assert dump(rebuilt) == expected


async def test_no_password_is_told(superuser_uris: tuple[str, str]) -> None:
    async with await psycopg.AsyncConnection.connect(superuser_uris[0], autocommit=True) as conn:
        await conn.execute(RARE)
        schema = await introspect(conn)
    assert "sekret" not in repr(schema)


def told(text: str) -> list[str]:
    """The lines of an answer without those that every page repeats."""
    repeated = ("-- database", "-- ext", LEGEND, "schema ")
    return [line for line in text.splitlines() if line and not line.startswith(repeated)]


async def test_pages_together_say_what_one_answer_says(shop: Connection) -> None:
    for detail in ("names", "tables", "full"):
        whole = (await describe(shop, detail=detail, budget=1_000_000)).text
        lines: list[str] = []
        cursor = None
        while True:
            page = await describe(shop, detail=detail, budget=1_500, cursor=cursor)
            assert len(page.text.encode()) <= 1_500
            lines += told(page.text)
            cursor = page.cursor
            if cursor is None:
                break
            assert lines.pop().startswith("-- left out: ")
        assert lines == told(whole)


async def test_a_page_of_the_database_equals_the_same_page_of_its_schema_object(shop: Connection) -> None:
    for detail in ("tables", "full"):
        described = await describe(shop, detail=detail)
        rendered = render(await introspect(shop, sizes=True), detail=detail)
        assert described == rendered


async def test_names_are_found_as_given_by_glob_and_in_any_case(shop: Connection) -> None:
    async def found(*objects: str) -> list[str]:
        text = (await describe(shop, objects=objects, detail="names")).text
        return [line.split(" ~")[0] for line in text.splitlines() if line and not line.startswith(("--", "schema "))]

    assert await found("Product") == ['table "Product"']
    assert await found('"Product"') == ['table "Product"']
    assert await found("product") == ['table "Product"']
    assert await found("order*") == [
        "enum order_status",
        "table order_items",
        "table orders",
        "function order_total(o bigint, tax numeric)",
    ]
    assert await found("billing.*") == ["table invoices"]
    assert await found("public.orders", "invoices") == ["table invoices", "table orders"]


async def test_a_name_that_means_nothing_lists_the_nearest(shop: Connection) -> None:
    with pytest.raises(NotFound, match="Nothing is named ordrs; nearest: orders"):
        await describe(shop, objects=["ordrs"])
    page = await describe(shop, objects=["orders", "custmers"])
    assert "-- Nothing is named custmers; nearest: customers" in page.text
    with pytest.raises(NotFound, match="There is no schema shop; there are billing, public"):
        await describe(shop, schemas=["shop"])
    with pytest.raises(NotFound, match="cursor"):
        await describe(shop, cursor="nonsense")


async def test_a_table_asked_for_says_who_refers_to_it(shop: Connection) -> None:
    text = (await describe(shop, objects=["orders"])).text
    assert " referenced by billing.invoices(order_id), order_items(order_id)\n" in text
    assert "\n customer_id bigint! -> customers on delete cascade\n" in text


async def test_what_schemas_repeat_most_is_said_in_few_words(conn: Connection) -> None:
    await conn.execute(
        "create table a (id int generated by default as identity primary key, n int generated always as identity (start 5),"
        " kind varchar(9) check (kind in ('x', 'y')), up int constraint up references a deferrable initially deferred,"
        " side int constraint side references a deferrable);"
        "create index on a (n) where kind = 'x'"
    )
    text = (await describe(conn)).text
    for line in (
        "id int identity by default primary key",
        "n int identity always (start 5)",
        "kind varchar(9) check (kind in ('x', 'y'))",
        "up int constraint up -> a initially deferred",
        "side int constraint side -> a deferrable",
        "index a_n_idx (n) where (kind = 'x')",
    ):
        assert f"\n {line}\n" in text, (line, text)


async def test_full_says_where_a_child_differs_from_its_parent_and_only_there(conn: Connection) -> None:
    await conn.execute("create table parent (id int not null, b int default 3); create table same () inherits (parent)")
    await conn.execute("create table other () inherits (parent); alter table other alter b drop default")
    assert "ALTER" not in (await describe(conn, objects=["same"], detail="full")).text
    text = (await describe(conn, objects=["other"], detail="full")).text
    assert [line for line in text.splitlines() if "ALTER" in line] == [
        "ALTER TABLE ONLY public.other ALTER COLUMN b DROP DEFAULT;"
    ]


async def test_an_empty_database_says_so(conn: Connection) -> None:
    assert "empty: no tables, views, types or functions" in (await describe(conn)).text


async def test_the_ledger_is_left_out(conn: Connection) -> None:
    await conn.execute("create schema neon_branch_mcp; create table neon_branch_mcp.migrations (name text)")
    schema = await introspect(conn)
    assert not schema.tables
    assert [n.name for n in schema.namespaces] == ["public"]
    assert "neon_branch_mcp" not in (await describe(conn)).text


async def test_a_lock_of_another_session_holds_nothing_up_and_is_said(conn: Connection, database_uri: str) -> None:
    await conn.execute("create table free (a int default 1); create table taken (a int default 1, check (a > 0))")
    await conn.execute("create view over_taken as select a from taken; create index on taken ((a + 1)) where a > 2")
    async with await psycopg.AsyncConnection.connect(database_uri) as holder:
        await holder.execute("lock table taken in access exclusive mode")
        for detail in ("names", "tables", "full"):
            text = (await describe(conn, detail=detail)).text
            assert "taken" in text
        text = (await describe(conn)).text
        assert "table taken -- locked by another session: expressions not read" in text
        assert "view over_taken (a int) -- locked by another session: expressions not read" in text
        assert "\n a int = 1\n" in text
        assert " index taken_expr_idx (not read)\n" in text
        assert "CREATE VIEW public.over_taken" not in (await describe(conn, detail="full")).text
        schema = await introspect(conn)
        assert schema.locked == (("public", "taken"), ("public", "over_taken"))
        with pytest.raises(TimedOut, match=r"lock on over_taken, taken"):
            await introspect(conn, locked="raise")
    assert "locked" not in (await describe(conn)).text


async def test_a_role_that_may_not_read_a_table_is_told_which(shop: Connection, scratch: Scratch) -> None:
    name = shop.info.dbname
    with psycopg.connect(scratch.superuser_uri(name), autocommit=True) as admin:
        admin.execute("drop role if exists looker; create role looker")
        try:
            async with await psycopg.AsyncConnection.connect(scratch.superuser_uri(name), autocommit=True) as conn:
                await conn.execute("set role looker")
                text = (await describe(conn)).text
                unreadable = (await introspect(conn)).unreadable
        finally:
            admin.execute("drop role looker")
    assert "table orders -- not readable by this role" in text
    assert "table customers\n" in text
    assert ("public", "orders") in unreadable
    assert ("public", "customers") not in unreadable


async def test_reading_in_a_callers_transaction_leaves_its_settings(shop_uri: str) -> None:
    async with await psycopg.AsyncConnection.connect(shop_uri) as conn:
        await conn.execute(
            "set search_path = billing; set local lock_timeout = '7s'; create table billing.fresh (id int)"
        )
        schema = await introspect(conn)
        assert "fresh" in [t.name for t in schema.tables]
        row = await (
            await conn.execute("select current_setting('search_path'), current_setting('lock_timeout')")
        ).fetchone()
        assert row == ("billing", "7s")
        await conn.rollback()


async def test_a_hundred_tables_take_few_words(conn: Connection, database_uri: str) -> None:
    tables = (
        f"create table t_{i} (id bigserial primary key, owner_id bigint not null {f'references t_{i - 1}' if i else ''}, "
        "name text not null, email varchar(255) unique, at timestamptz not null default now(), "
        "done boolean not null default false, price numeric(10,2) check (price > 0), meta jsonb); "
        f"create index on t_{i} (owner_id); create index on t_{i} (name, at)"
        for i in range(100)
    )
    await conn.execute(";".join(tables))
    told = len((await describe(conn, budget=1_000_000)).text)
    statements = [s.text for s in plan("\n".join(line for line in dump(database_uri) if line[:2] != "--")).statements]
    creates = sum(len(s) + 2 for s in statements if s.startswith("CREATE "))
    relations = sum(len(s) + 2 for s in statements if s.startswith(("CREATE TABLE ", "CREATE INDEX ")))
    assert told <= 0.5 * creates, f"{told / creates:.0%} of CREATE TABLE, SEQUENCE, INDEX"
    assert told <= 0.6 * relations, f"{told / relations:.0%} of CREATE TABLE, INDEX"


async def test_oids_rows_and_sizes_do_not_make_schemas_differ(shop: Connection) -> None:
    schema = await introspect(shop)
    table = schema.tables[0]
    other = replace(schema, tables=(replace(table, oid=1, rows=5, size=7), *schema.tables[1:]), database="other")
    assert other == schema


async def test_a_sessions_settings_do_not_make_schemas_differ(shop_uri: str) -> None:
    found = []
    for settings in ("set timezone = 'Asia/Tokyo'; set datestyle = 'SQL, DMY'", "set quote_all_identifiers = on"):
        async with await psycopg.AsyncConnection.connect(shop_uri, autocommit=True) as conn:
            await conn.execute(settings)
            found.append(await introspect(conn))
    assert found[0] == found[1]
