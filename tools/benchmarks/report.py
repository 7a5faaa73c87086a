"""The report: a table for people, JSON for machines, a chart."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from xml.sax.saxutils import escape

from rich.console import Console
from rich.table import Table

from .measure import Figure

MORE_IS_BETTER = frozenset({"calls/s"})
_ROW, _TOP, _LEFT, _BARS, _RIGHT = 22, 76, 330, 420, 260
_GOOD, _WORSE = "#2f6f62", "#c8741a"


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
    """The ratios as bars from the line of 1, the baseline, on a scale where twice as much and half as much are equally far from it."""
    shown = [f for f in figures if f.ratio]
    doublings = [math.log2(f.ratio or 1) for f in shown]
    low, high = math.floor(min([-1.0, *doublings])), math.ceil(max([1.0, *doublings]))
    step = _BARS / (high - low)
    one = _LEFT - low * step
    drawn: list[str] = []
    y, group = _TOP, ""
    for f, doubled in zip(shown, doublings, strict=True):
        if f.group != group:
            y += _ROW // 2
            drawn.append(
                f'<text x="{_LEFT - 8}" y="{y + 14}" text-anchor="end" font-weight="bold">{escape(f.group)}</text>'
            )
            y, group = y + _ROW, f.group
        drawn.append(_bar(f, y, one, doubled * step))
        y += _ROW
    ticks = [
        f'<line x1="{_LEFT + (n - low) * step:.1f}" x2="{_LEFT + (n - low) * step:.1f}" y1="{_TOP}" y2="{y}" '
        f'stroke="{"#222" if n == 0 else "#ddd"}"/>'
        f'<text x="{_LEFT + (n - low) * step:.1f}" y="{_TOP - 6}" text-anchor="middle">{_times(n)}</text>'
        for n in range(low, high + 1)
        if n == 0 or n % max(1, (high - low) // 8) == 0
    ]
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_LEFT + _BARS + _RIGHT}" height="{y + 12}" '
        'font-family="sans-serif" font-size="12" fill="#222"><rect width="100%" height="100%" fill="#fff"/>'
        '<text x="12" y="22" font-size="15" font-weight="bold">neon-branch-mcp: ratios of medians, measured in one run</text>'
        f'<text x="12" y="42"><tspan fill="{_GOOD}">■</tspan> no worse than what it is measured by  '
        f'<tspan fill="{_WORSE}">■</tspan> worse: longer, more memory or tokens, fewer calls a second</text>'
        + "".join([*ticks, *drawn])
        + "</svg>\n",
        encoding="utf-8",
    )


def _bar(f: Figure, y: int, one: float, length: float) -> str:
    ratio = f.ratio or 1
    worse = ratio < 0.995 if f.unit in MORE_IS_BETTER else ratio > 1.005
    return (
        f'<text x="{_LEFT - 8}" y="{y + 14}" text-anchor="end">{escape(f.name)}</text>'
        f'<rect x="{min(one, one + length):.1f}" y="{y + 4}" width="{max(1.0, abs(length)):.1f}" height="{_ROW - 8}" '
        f'fill="{_WORSE if worse else _GOOD}"/>'
        f'<text x="{_LEFT + _BARS + 12}" y="{y + 14}">{ratio:.2f} × {escape(f.baseline or "")}</text>'
    )


def _times(doublings: int) -> str:
    return f"{2**doublings}×" if doublings >= 0 else f"1/{2**-doublings}"
