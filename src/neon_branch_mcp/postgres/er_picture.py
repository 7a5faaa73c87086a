"""A schema as an entity-relationship picture in SVG: by Graphviz where it is installed, else in plain layers.

Many tables show their keys only, so that the picture stays readable; partitions are counted in their parent.
"""

import shutil
import subprocess
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from .ddl_names import quote, short_type
from .schema import Name, Schema, Table

ALL_COLUMNS: Final = 15  # tables up to which every column is shown
CHARACTER: Final = 7.0  # width of one of the monospaced letters, in px
LINE: Final = 17
GAP: Final = 28
GRAPHVIZ_SECONDS: Final = 20
MOST_LAYERS: Final = 10
BEND: Final = 60.0


@dataclass(frozen=True)
class Box:
    """A table: its title and its rows as (column, type, mark), the mark being PK or FK."""

    table: Name
    title: str
    rows: tuple[tuple[str, str, str], ...]
    more: int

    @property
    def width(self) -> float:
        letters = max([len(self.title), *(len(n) + len(t) + len(m) + 4 for n, t, m in self.rows)])
        return letters * CHARACTER + 16

    @property
    def height(self) -> float:
        return LINE * (len(self.rows) + 1 + bool(self.more)) + 10


@dataclass(frozen=True)
class Edge:
    """A foreign key: from a table's row to a table."""

    source: Name
    row: int
    target: Name
    optional: bool


def picture(schema: Schema, *, graphviz: bool = True) -> str:
    """The SVG of the schema's tables and foreign keys; the empty string where there are no tables."""
    boxes, edges = model(schema)
    if not boxes:
        return ""
    linked = {n for e in edges for n in (e.source, e.target)}
    drawn = [b for b in boxes if b.table in linked]
    alone = [b for b in boxes if b.table not in linked]
    parts = []
    if drawn:
        parts.append((_by_graphviz(drawn, edges) if graphviz else None) or _layers(drawn, edges))
    if alone:
        parts.append(_grid(alone))
    return "\n".join(parts)


def model(schema: Schema) -> tuple[list[Box], list[Edge]]:
    """The boxes and edges of the picture."""
    tables = [t for t in schema.tables if not t.partition_bound]
    keys_only = len(tables) > ALL_COLUMNS
    boxes = [_box(t, keys_only) for t in tables]
    index = {b.table: {name: i for i, (name, _, _) in enumerate(b.rows)} for b in boxes}
    edges = []
    for table in tables:
        optional = {c.name for c in table.columns if not c.not_null}
        for c in table.constraints:
            if c.kind == "foreign key" and not c.inherited and c.references in index:
                own = (table.schema, table.name)
                row = index[own][c.columns[0]]
                edges.append(Edge(own, row, c.references, bool(optional & set(c.columns))))
    return boxes, edges


def _box(table: Table, keys_only: bool) -> Box:
    primary = {n for c in table.constraints if c.kind == "primary key" for n in c.columns}
    foreign = {n for c in table.constraints if c.kind == "foreign key" for n in c.columns}
    marks = {
        n: " ".join([*(["PK"] if n in primary else []), *(["FK"] if n in foreign else [])]) for n in primary | foreign
    }
    rows = tuple(
        (c.name, short_type(c.type.removeprefix(f"{quote(table.schema)}.")), marks.get(c.name, ""))
        for c in table.columns
        if not keys_only or c.name in marks
    )
    title = table.name if table.schema == "public" else f"{table.schema}.{table.name}"
    return Box((table.schema, table.name), title, rows, len(table.columns) - len(rows))


def _by_graphviz(boxes: Sequence[Box], edges: Sequence[Edge]) -> str | None:
    """The picture as `dot` lays it out; None where there is no dot, or it fails or takes too long."""
    dot = shutil.which("dot")
    if dot is None:
        return None
    try:
        done = subprocess.run(
            [dot, "-Tsvg"],
            input=dot_source(boxes, edges),
            capture_output=True,
            text=True,
            timeout=GRAPHVIZ_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    start = done.stdout.find("<svg")
    return done.stdout[start:].strip() if start >= 0 else None


def dot_source(boxes: Sequence[Box], edges: Sequence[Edge]) -> str:
    """The picture in Graphviz' language."""
    ids = {b.table: f"t{i}" for i, b in enumerate(boxes)}
    lines = [
        "digraph schema {",
        'graph [rankdir=LR, nodesep=0.25, ranksep=0.9, bgcolor="transparent", pad=0.2]',
        'node [shape=plain, fontname="Menlo,Consolas,monospace", fontsize=11]',
        'edge [color="#8296ab", arrowsize=0.7, penwidth=1.1]',
    ]
    for b in boxes:
        lines.append(f"{ids[b.table]} [id={_dot_text(anchor(b.table))}, label=<{_label(b)}>]")
    for e in edges:
        style = ", style=dashed" if e.optional else ""
        lines.append(f"{ids[e.source]}:r{e.row}:e -> {ids[e.target]}:title:w [arrowhead=normal{style}]")
    return "\n".join([*lines, "}"])


def _dot_text(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _label(box: Box) -> str:
    cells = [f'<tr><td port="title" bgcolor="#dbe9f6" align="left" colspan="3"><b>{escape(box.title)}</b></td></tr>']
    for i, (name, type_, mark) in enumerate(box.rows):
        cells.append(
            f'<tr><td align="left">{escape(name)}</td><td align="left"><font color="#5d6b7a">{escape(type_)}</font></td>'
            f'<td port="r{i}"><font color="#b0561f">{mark or " "}</font></td></tr>'
        )
    if box.more:
        cells.append(f'<tr><td align="left" colspan="3"><font color="#5d6b7a">{_more(box)}</font></td></tr>')
    look = 'border="1" cellborder="0" cellspacing="0" cellpadding="3" color="#8296ab" bgcolor="white"'
    return f"<table {look}>{''.join(cells)}</table>"


def _more(box: Box) -> str:
    return f"+ {box.more} column{'' if box.more == 1 else 's'}"


def anchor(table: Name) -> str:
    """The table's id in the page."""
    return f"table-{table[0]}.{table[1]}"


def _layers(boxes: Sequence[Box], edges: Sequence[Edge]) -> str:
    """Tables in columns from left to right, each left of those it refers to, sorted so that lines cross seldom."""
    layer = _layer_of(boxes, edges)
    columns: defaultdict[int, list[Box]] = defaultdict(list)
    for b in boxes:
        columns[layer[b.table]].append(b)
    ordered = _ordered(columns, edges)
    places: dict[Name, tuple[float, float]] = {}
    x = float(GAP)
    for column in _split(ordered):
        y = float(GAP)
        for b in column:
            places[b.table] = (x, y)
            y += b.height + GAP
        x += max(b.width for b in column) + 4 * GAP
    return _svg(boxes, places, edges)


def _layer_of(boxes: Sequence[Box], edges: Sequence[Edge]) -> dict[Name, int]:
    """Tables that refer to none are in the last layer, each other one just left of the leftmost it refers to.

    A cycle is cut where it would make more than MOST_LAYERS.
    """
    targets: defaultdict[Name, set[Name]] = defaultdict(set)
    for e in edges:
        if e.source != e.target:
            targets[e.source].add(e.target)
    depth = {b.table: 0 for b in boxes}
    for _ in range(min(len(boxes), MOST_LAYERS)):
        for b in boxes:
            depth[b.table] = min(MOST_LAYERS, max((depth[t] + 1 for t in targets[b.table]), default=0))
    used = {old: new for new, old in enumerate(sorted(set(depth.values()), reverse=True))}
    return {t: used[n] for t, n in depth.items()}


def _split(ordered: Sequence[list[Box]]) -> list[list[Box]]:
    """The layers in columns of about the height that makes the whole wider than it is high."""
    area = sum((b.width + 4 * GAP) * (b.height + GAP) for column in ordered for b in column)
    limit = max((area / 1.6) ** 0.5, max(b.height for column in ordered for b in column))
    columns: list[list[Box]] = []
    for layer in ordered:
        height = 0.0
        columns.append([])
        for b in layer:
            if columns[-1] and height + b.height > limit:
                columns.append([])
                height = 0.0
            columns[-1].append(b)
            height += b.height + GAP
    return columns


def _ordered(columns: dict[int, list[Box]], edges: Sequence[Edge]) -> list[list[Box]]:
    near: defaultdict[Name, list[Name]] = defaultdict(list)
    for e in edges:
        near[e.source].append(e.target)
        near[e.target].append(e.source)
    ordered = [columns[n] for n in sorted(columns)]
    for _ in range(4):
        rank = {b.table: i / max(1, len(column)) for column in ordered for i, b in enumerate(column)}
        for column in ordered:
            column.sort(key=lambda b: sum(rank[t] for t in near[b.table]) / max(1, len(near[b.table])))
            rank |= {b.table: i / max(1, len(column)) for i, b in enumerate(column)}
    return ordered


def _grid(boxes: Sequence[Box]) -> str:
    """Tables that no key links, side by side."""
    places: dict[Name, tuple[float, float]] = {}
    x, y, tallest = float(GAP), float(GAP), 0.0
    for b in boxes:
        if x > GAP and x + b.width > 1100:
            x, y, tallest = float(GAP), y + tallest + GAP, 0.0
        places[b.table] = (x, y)
        x += b.width + GAP
        tallest = max(tallest, b.height)
    return _svg(boxes, places, [])


def _svg(boxes: Sequence[Box], places: dict[Name, tuple[float, float]], edges: Sequence[Edge]) -> str:
    by_name = {b.table: b for b in boxes}
    right = {n: places[n][0] + b.width for n, b in by_name.items()}
    # A line back, or to its own table, bends out to the right of both.
    back = [max(right[e.source], right[e.target]) + BEND for e in edges if right[e.source] > places[e.target][0]]
    width = max([*right.values(), *back]) + GAP
    height = max(places[b.table][1] + b.height for b in boxes) + GAP
    lines = [_line(by_name[e.source], by_name[e.target], e, places) for e in edges]
    drawn = [_drawn(b, *places[b.table]) for b in boxes]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}">'
        '<defs><marker id="to" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
        '<path d="M0 0 8 4 0 8z" fill="#8296ab"/></marker></defs>'
        f"{''.join(lines)}{''.join(drawn)}</svg>"
    )


def _line(source: Box, target: Box, edge: Edge, places: dict[Name, tuple[float, float]]) -> str:
    (sx, sy), (tx, ty) = places[source.table], places[target.table]
    y1, y2 = sy + LINE * (edge.row + 1.5) + 5, ty + LINE / 2 + 3
    forward = sx + source.width <= tx
    x1 = sx + source.width
    x2 = tx if forward else tx + target.width
    bend = max(40.0, abs(x2 - x1) / 2) if forward else BEND
    c2 = x2 - bend if forward else x2 + bend
    dash = ' stroke-dasharray="4 3"' if edge.optional else ""
    return (
        f'<path d="M{x1:.0f} {y1:.0f}C{x1 + bend:.0f} {y1:.0f} {c2:.0f} {y2:.0f} {x2:.0f} {y2:.0f}" fill="none" stroke="#8296ab" '
        f'stroke-width="1.3" marker-end="url(#to)"{dash}/>'
    )


def _drawn(box: Box, x: float, y: float) -> str:
    w, h = box.width, box.height
    text = [
        f'<g class="node" id="{escape(anchor(box.table))}" transform="translate({x:.0f} {y:.0f})" '
        'font-family="Menlo,Consolas,monospace" font-size="11.5">',
        f'<rect width="{w:.0f}" height="{h:.0f}" rx="4" fill="white" stroke="#8296ab"/>',
        f'<path d="M1 {LINE + 4}V4a3 3 0 0 1 3-3H{w - 4:.0f}a3 3 0 0 1 3 3V{LINE + 4}z" fill="#dbe9f6"/>',
        f'<text x="8" y="{LINE - 2}" font-weight="bold">{escape(box.title)}</text>',
    ]
    for i, (name, type_, mark) in enumerate(box.rows):
        top = LINE * (i + 2) + 1
        text.append(f'<text x="8" y="{top}">{escape(name)}</text>')
        text.append(
            f'<text x="{w - 8:.0f}" y="{top}" text-anchor="end" fill="#5d6b7a">{escape(type_)}'
            f'{f"""<tspan fill="#b0561f"> {mark}</tspan>""" if mark else ""}</text>'
        )
    if box.more:
        text.append(f'<text x="8" y="{LINE * (len(box.rows) + 2) + 1}" fill="#5d6b7a">{_more(box)}</text>')
    return "".join([*text, "</g>"])
