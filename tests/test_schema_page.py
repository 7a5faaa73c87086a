"""The schema for people: one HTML page with a picture, with Graphviz and without."""

import re
import xml.etree.ElementTree as ET
from collections.abc import AsyncIterator
from html.parser import HTMLParser

import psycopg
import pytest

from neon_branch_mcp.postgres.er_picture import model, picture
from neon_branch_mcp.postgres.introspect import introspect
from neon_branch_mcp.postgres.schema import Column, Constraint, Schema, Table
from neon_branch_mcp.postgres.schema_html import page

pytestmark = pytest.mark.anyio

Connection = psycopg.AsyncConnection[psycopg.rows.TupleRow]


@pytest.fixture
async def shop(shop_uri: str) -> AsyncIterator[Connection]:
    async with await psycopg.AsyncConnection.connect(shop_uri, autocommit=True) as conn:
        yield conn


def tables(number: int) -> Schema:
    """Tables of which each but the first refers to one before it, the last to itself too."""
    made = []
    for i in range(number):
        columns = (Column("id", "bigint", True), Column("ref", "bigint"), Column("name", "text"))
        keys = [Constraint("pk", "primary key", "PRIMARY KEY (id)", ("id",))]
        target = i if i == number - 1 else i // 2
        keys.append(Constraint("fk", "foreign key", "", ("ref",), references=("public", f"t{target}")))
        made.append(Table("public", f"t{i}", "table", columns, tuple(keys)))
    return Schema(tables=tuple(made), server_version=170000)


@pytest.mark.parametrize("number", [1, 5, 50])
def test_without_graphviz_no_two_tables_overlap(number: int) -> None:
    svg = ET.fromstring(picture(tables(number), graphviz=False))
    boxes = []
    for node in svg.iter("{http://www.w3.org/2000/svg}g"):
        x, y = node.attrib["transform"].removeprefix("translate(").removesuffix(")").split()
        rect = node.find("{http://www.w3.org/2000/svg}rect")
        assert rect is not None
        boxes.append((int(x), int(y), int(rect.attrib["width"]), int(rect.attrib["height"])))
    assert len(boxes) == number
    for i, (ax, ay, aw, ah) in enumerate(boxes):
        for bx, by, bw, bh in boxes[i + 1 :]:
            assert ax + aw <= bx or bx + bw <= ax or ay + ah <= by or by + bh <= ay
    width, height = int(svg.attrib["width"]), int(svg.attrib["height"])
    assert all(x + w <= width and y + h <= height for x, y, w, h in boxes)


@pytest.mark.parametrize("number", [1, 2, 5, 50])
def test_every_line_is_within_the_picture(number: int) -> None:
    svg = ET.fromstring(picture(tables(number), graphviz=False))
    lines = [
        d for path in svg.iter("{http://www.w3.org/2000/svg}path") if path.get("marker-end") and (d := path.get("d"))
    ]
    across = [float(x) for d in lines for x in re.findall(r"(-?\d+) -?\d+", d)]
    assert lines
    assert 0 <= min(across) <= max(across) <= float(svg.get("width", "0"))


def test_many_tables_show_their_keys_only() -> None:
    few, _ = model(tables(5))
    many, edges = model(tables(50))
    assert [r[0] for r in few[0].rows] == ["id", "ref", "name"]
    assert [r[0] for r in many[0].rows] == ["id", "ref"]
    assert many[0].more == 1
    assert len(edges) == 50


async def test_the_page_holds_every_object_and_loads_nothing(shop: Connection) -> None:
    schema = await introspect(shop)
    for graphviz in (False, True):
        text = page(schema, title="dev & <main>", graphviz=graphviz)
        assert "<h1>dev &amp; &lt;main&gt;</h1>" in text
        assert "http" not in text.replace("http://www.w3.org/", "")
        for name in ("orders", "active_customers", "order_status", "billing.invoices", "touch()", "invoice_no"):
            assert name in text
        HTMLParser().feed(text)


async def test_names_cannot_break_out_of_the_page(database_uri: str) -> None:
    name = "</pre><script>alert(1)</script>"
    async with await psycopg.AsyncConnection.connect(database_uri, autocommit=True) as conn:
        await conn.execute(f'create table "{name}" ("{name}" int primary key references "{name}")')
        text = page(await introspect(conn), title=name)
    assert "<script>alert" not in text


def test_a_schema_without_tables_has_no_picture() -> None:
    assert picture(Schema()) == ""
    assert 'id="picture"' not in page(Schema(), title="empty")
