"""A branch's migrations as one self-contained HTML page: verdicts, losses, and a time line of statements and the locks they held."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from .ledger import LedgerEntry
from .trace import STRENGTH

WIDTH, LEFT, ROW = 900, 190, 22
COLOURS = {
    "AccessExclusive": "#c0392b",
    "Exclusive": "#d35400",
    "ShareRowExclusive": "#e67e22",
    "Share": "#f1c40f",
    "ShareUpdateExclusive": "#7fb3d5",
}
BLOCKS = {mode.removesuffix("Lock"): blocked for mode, (_, blocked) in STRENGTH.items()}
VERDICTS = {"ok": "#1e8449", "ok_with_warnings": "#b7950b", "destructive": "#c0392b", "failed": "#6c3483"}
STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1100px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.2rem; margin: 0; } h3 { font-size: 1rem; margin: 1.2rem 0 .3rem; }
article { border: 1px solid var(--line); border-radius: 10px; padding: 1rem 1.3rem; margin: 1.2rem 0; }
.verdict { color: #fff; border-radius: 5px; padding: .1rem .5rem; font-size: .85rem; font-weight: 600; }
.head { display: flex; gap: .8rem; align-items: baseline; flex-wrap: wrap; } .soft { opacity: .7; font-size: .9rem; }
table { border-collapse: collapse; width: 100%; }
td, th { text-align: left; padding: .2rem .6rem .2rem 0; border-bottom: 1px solid var(--line); }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
.steps td { border: 0; padding: .05rem .6rem .05rem 0; } .steps td:first-child { width: 2em; }
summary { cursor: pointer; margin-top: .8rem; }
pre { background: var(--soft); padding: .7rem; border-radius: 6px; overflow-x: auto; font-size: .85rem; }
svg { width: 100%; height: auto; font: 12px system-ui, sans-serif; } svg text { fill: currentColor; }
.key span { display: inline-block; margin-right: 1rem; font-size: .85rem; } .key i { display: inline-block; width: .8em; height: .8em;
margin-right: .35em; border-radius: 2px; }
"""


def page(branch: str, database: str, entries: Sequence[LedgerEntry]) -> str:
    """The page. Everything that came from a script or a database is escaped; it loads nothing and runs no script."""
    title = escape(f"Migrations of {branch} / {database}")
    body = "".join(_article(e) for e in entries) or "<p>No migration was applied here.</p>"
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{title}</title><style>{STYLE}</style></head><body><h1>{title}</h1>{body}</body></html>\n"
    )


def _article(entry: LedgerEntry) -> str:
    report = entry.report
    when = entry.applied_at.strftime("%Y-%m-%d %H:%M:%S %Z")
    verdict = str(report.get("verdict", ""))
    state = "" if entry.state == "applied" else " · only partly applied"
    parts = [
        f'<div class="head"><h2>{escape(entry.name)}</h2>',
        f'<span class="verdict" style="background:{VERDICTS.get(verdict, "#555")}">{escape(verdict.replace("_", " "))}</span>',
        f'<span class="soft">{escape(when)} by {escape(entry.applied_by or "unknown")} · {_statements(report)}, '
        f"{escape(str(report.get('grouping', '')))} · {float(report.get('seconds', 0)):.2f} s{state}</span></div>",
        _losses(report.get("data_loss") or []),
        _timeline(report.get("timeline") or {}),
        _numbered(report.get("timeline") or {}),
        _list("Rewritten", (_rewrite(r) for r in report.get("rewrites") or [])),
        _list(
            "Read in full",
            (f"{s['relation']}, {s['rows']:,} rows [{s['statement']}]" for s in report.get("scans") or []),
        ),
        _list("Advice", (_advice(a) for a in report.get("advice") or [])),
        _pre("Changes of the schema", str(report.get("schema_diff") or "none")),
        f"<details><summary>The script (SHA-256 {escape(entry.checksum)})</summary><pre>{escape(entry.sql)}</pre></details>",
    ]
    return f"<article>{''.join(parts)}</article>"


def _statements(report: Mapping[str, Any]) -> str:
    count = report.get("statements", "?")
    return f"{count} statement{'' if count == 1 else 's'}"


def _numbered(timeline: Mapping[str, Any]) -> str:
    """What the numbers in the picture and in [ ] stand for."""
    rows = "".join(
        f'<tr><td class="n">{"" if s.get("deferred") else s["statement"]}</td><td><code>{escape(s["summary"])}</code></td>'
        f'<td class="n">{s["ms"]:,.1f} ms</td></tr>'
        for s in timeline.get("steps") or []
        if not s.get("deferred") or s["ms"] >= 1
    )
    return f'<details open><summary>Statements</summary><table class="steps">{rows}</table></details>' if rows else ""


def _losses(losses: Sequence[Mapping[str, Any]]) -> str:
    if not losses:
        return "<h3>Data loss</h3><p>none</p>"
    rows = "".join(
        f"<tr><td>{escape(x['kind'])}</td><td>{escape(x['object'])}</td>"
        f'<td class="n">{_count(x)}</td><td>{escape(x.get("note") or "")}</td><td class="n">{x["statement"]}</td></tr>'
        for x in losses
    )
    head = '<tr><th>what</th><th>where</th><th class="n">rows or values</th><th></th><th class="n">statement</th></tr>'
    then = '<p class="soft">verify_migration shows whether the values live on elsewhere on the branch.</p>'
    return f"<h3>Data loss</h3><table>{head}{rows}</table>{then}"


def _count(loss: Mapping[str, Any]) -> str:
    rows = loss.get("rows")
    return "unknown" if rows is None else f"{'' if loss.get('exact', True) else 'about '}{rows:,}"


def _rewrite(r: Mapping[str, Any]) -> str:
    indexes = f" with {r['indexes']} indexes" if r.get("indexes") else ""
    return f"{r['relation']}{indexes}, {r['ms']:,.0f} ms [{r['statement']}]"


def _advice(a: Mapping[str, Any]) -> str:
    where = f" [{a['statement']}]" if a.get("statement") else ""
    return f"{a['rule']}: {a['problem']} {a['instead']}{where}"


def _list(title: str, items: Iterable[str]) -> str:
    shown = "".join(f"<li>{escape(i)}</li>" for i in items)
    return f"<h3>{title}</h3><ul>{shown}</ul>" if shown else ""


def _pre(title: str, text: str) -> str:
    return f"<h3>{title}</h3><pre>{escape(text)}</pre>"


def _timeline(timeline: Mapping[str, Any]) -> str:
    """Time runs to the right. The first lane holds the statements, every further one a table and the locks held on it."""
    steps, locks = timeline.get("steps") or [], timeline.get("locks") or []
    if not steps:
        return ""
    end = max([s["from_ms"] + s["ms"] for s in steps] + [lock["to_ms"] for lock in locks] + [0.1])
    lanes = list(dict.fromkeys(lock["relation"] for lock in locks))
    height = ROW * (len(lanes) + 1) + 34
    scale = (WIDTH - LEFT - 10) / end
    bars = [_step(s, scale) for s in steps]
    bars += [_lock(lock, lanes.index(lock["relation"]) + 1, scale) for lock in locks]
    labels = [_label(i, name) for i, name in enumerate(["statements", *lanes])]
    key = "".join(
        f'<span><i style="background:{colour}"></i>{mode}: blocks {BLOCKS[mode]}</span>'
        for mode, colour in COLOURS.items()
        if any(k["mode"] == mode for k in locks)
    )
    return (
        f'<h3>Time line</h3><svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="statements and the locks they held">'
        f'{"".join(labels)}{_axis(end, scale, height)}{"".join(bars)}</svg><div class="key">{key}</div>'
    )


def _label(lane: int, name: str) -> str:
    shown = name if len(name) <= 26 else f"{name[:25]}…"
    return f'<text x="{LEFT - 8}" y="{lane * ROW + 15}" text-anchor="end">{escape(shown)}<title>{escape(name)}</title></text>'


def _axis(end: float, scale: float, height: int) -> str:
    step = next(s * 10**e for e in range(-2, 9) for s in (1, 2, 5) if end / (s * 10**e) <= 8)
    out = []
    for i in range(int(end / step) + 1):
        x = LEFT + i * step * scale
        out.append(
            f'<line x1="{x:.1f}" y1="0" x2="{x:.1f}" y2="{height - 24}" stroke="currentColor" stroke-opacity=".15"/>'
        )
        out.append(f'<text x="{x:.1f}" y="{height - 8}" text-anchor="middle" opacity=".7">{_time(i * step)}</text>')
    return "".join(out)


def _time(ms: float) -> str:
    return f"{ms / 1000:g} s" if ms >= 1000 else f"{ms:g} ms"


def _step(step: Mapping[str, Any], scale: float) -> str:
    x, width = LEFT + step["from_ms"] * scale, max(1.5, step["ms"] * scale)
    number = (
        f'<text x="{x + width / 2:.1f}" y="15" text-anchor="middle">{step["statement"]}</text>'
        if width >= 14 and not step.get("deferred")
        else ""
    )
    number_of = "" if step.get("deferred") else f"{step['statement']}. "
    title = escape(f"{number_of}{step['summary']} ({step['ms']:.1f} ms)")
    return (
        f'<g><title>{title}</title><rect x="{x:.1f}" y="3" width="{width:.1f}" height="{ROW - 6}" rx="2" '
        f'fill="#5dade2" fill-opacity=".55" stroke="#2e86c1" stroke-width=".6"/>{number}</g>'
    )


def _lock(lock: Mapping[str, Any], lane: int, scale: float) -> str:
    x, width = LEFT + lock["from_ms"] * scale, max(1.5, (lock["to_ms"] - lock["from_ms"]) * scale)
    held = lock["to_ms"] - lock["from_ms"]
    title = escape(f"{lock['relation']}: {lock['mode']} from statement {lock['statement']} on, {held:.1f} ms")
    dashed = ' stroke="currentColor" stroke-dasharray="3 2"' if lock.get("sampled") else ""
    return (
        f'<rect x="{x:.1f}" y="{lane * ROW + 3}" width="{width:.1f}" height="{ROW - 6}" rx="2" '
        f'fill="{COLOURS.get(lock["mode"], "#888")}"{dashed}><title>{title}</title></rect>'
    )
