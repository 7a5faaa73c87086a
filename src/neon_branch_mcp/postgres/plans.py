"""A plan as `EXPLAIN (FORMAT JSON)` gives it, told in lines that a model reads, with the nodes that cost most named."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_DETAILS = ("Index Cond", "Hash Cond", "Merge Cond", "Join Filter", "Filter", "Recheck Cond", "Sort Key", "Group Key")


@dataclass(frozen=True)
class PlanText:
    """`lines` is the tree, one node a line; `costly` names at most three nodes by what they add themselves."""

    lines: tuple[str, ...]
    costly: tuple[str, ...]


def plan_text(document: list[dict[str, Any]]) -> PlanText:
    """Tell the plan. Costs are Postgres' units; times, where the statement was executed, are milliseconds."""
    top = document[0]
    lines: list[str] = []
    nodes: list[tuple[float, str]] = []
    for depth, node in _walk(top["Plan"], 0):
        lines.append("  " * depth + _node_line(node))
        lines.extend("  " * (depth + 2) + f"{key}: {_joined(node[key])}" for key in _DETAILS if key in node)
        if "Rows Removed by Filter" in node:
            lines.append("  " * (depth + 2) + f"removed by filter: {node['Rows Removed by Filter']} rows")
        nodes.append((_own_share(node), _title(node)))
    for key, unit in (("Planning Time", "planning"), ("Execution Time", "execution")):
        if key in top:
            lines.append(f"{unit}: {top[key]} ms")
    total = sum(share for share, _ in nodes) or 1
    ranked = sorted(nodes, key=lambda n: -n[0])[:3]
    return PlanText(
        tuple(lines), tuple(f"{title}: {share / total:.0%}" for share, title in ranked if share / total >= 0.05)
    )


def _walk(node: dict[str, Any], depth: int) -> Iterator[tuple[int, dict[str, Any]]]:
    yield depth, node
    for child in node.get("Plans", ()):
        yield from _walk(child, depth + 1)


def _title(node: dict[str, Any]) -> str:
    parts = [node.get("Join Type", ""), node.get("Strategy", ""), node["Node Type"]]
    title = " ".join(p for p in parts if p and p not in ("Inner", "Plain"))
    if "Operation" in node:
        title = f"{node['Operation']}"
    if "Index Name" in node:
        title += f" using {node['Index Name']}"
    if "Relation Name" in node:
        title += f" on {node['Relation Name']}"
    return title


def _node_line(node: dict[str, Any]) -> str:
    line = f"{_title(node)} (cost {node.get('Total Cost')}, {node.get('Plan Rows')} rows"
    if "Actual Rows" in node:
        loops = f" × {node['Actual Loops']}" if node.get("Actual Loops", 1) != 1 else ""
        line += f"; actual {node['Actual Rows']} rows{loops}, {node.get('Actual Total Time')} ms"
    return line + ")"


def _own_share(node: dict[str, Any]) -> float:
    """What the node adds to its children: time where measured, else cost."""

    def whole(n: dict[str, Any]) -> float:
        if "Actual Total Time" in n:
            return float(n["Actual Total Time"]) * float(n.get("Actual Loops", 1))
        return float(n.get("Total Cost", 0))

    return max(0.0, whole(node) - sum(whole(child) for child in node.get("Plans", ())))


def _joined(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
