"""The report: a table for people, JSON for machines, a chart."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from xml.sax.saxutils import escape

from rich.console import Console
from rich.table import Table

from .measure import Figure

_ROW, _LEFT, _WIDTH = 22, 330, 420


def print_table(figures: Sequence[Figure], console: Console) -> None:
    """One row a figure, grouped."""
    table = Table("what", "", "median", "best", "unit", "ratio", "to", title="neon-branch-mcp: ratios in one run")
    group = ""
    for f in figures:
        if f.group != group:
            table.add_section()
        ratio = f"[bold]{f.ratio:.2f}[/]" if f.ratio is not None else ""
        table.add_row(
            f.group if f.group != group else "",
            f.name,
            f"{f.median:.2f}",
            f"{f.best:.2f}",
            f.unit,
            ratio,
            f.baseline or "",
        )
        group = f.group
    console.print(table)


def write_json(figures: Sequence[Figure], path: Path) -> None:
    """All figures as a list of objects."""
    path.write_text(json.dumps([asdict(f) for f in figures], indent=1) + "\n", encoding="utf-8")


def write_chart(figures: Sequence[Figure], path: Path) -> None:
    """The ratios as bars; the line is 1, the baseline."""
    shown = [f for f in figures if f.ratio is not None]
    longest = max([2.0, *(f.ratio or 0 for f in shown)])
    scale = _WIDTH / longest
    height = _ROW * (len(shown) + 1) + 10
    one = _LEFT + scale
    bars = [
        f'<text x="{_LEFT - 8}" y="{y + 14}" text-anchor="end">{escape(f"{f.group}: {f.name}")}</text>'
        f'<rect x="{_LEFT}" y="{y + 3}" width="{(f.ratio or 0) * scale:.1f}" height="{_ROW - 8}" rx="2" fill="#2f6f62"/>'
        f'<text x="{_LEFT + (f.ratio or 0) * scale + 5:.1f}" y="{y + 14}">{f.ratio:.2f} × {escape(f.baseline or "")}</text>'
        for y, f in ((10 + i * _ROW, f) for i, f in enumerate(shown))
    ]
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_LEFT + _WIDTH + 260}" height="{height}" '
        'font-family="sans-serif" font-size="12" fill="#222"><rect width="100%" height="100%" fill="#fff"/>'
        + "".join(bars)
        + f'<line x1="{one:.1f}" x2="{one:.1f}" y1="4" y2="{height - 4}" stroke="#c33" stroke-dasharray="3 3"/></svg>\n',
        encoding="utf-8",
    )
