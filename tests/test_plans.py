"""A plan is told in lines, and what costs most is named."""

from neon_branch_mcp.postgres.plans import plan_text

DOCUMENT = [
    {
        "Plan": {
            "Node Type": "Hash Join", "Join Type": "Inner", "Total Cost": 300.0, "Plan Rows": 10,
            "Hash Cond": "(o.user_id = u.id)",
            "Plans": [
                {"Node Type": "Seq Scan", "Relation Name": "orders", "Total Cost": 250.0, "Plan Rows": 9000,
                 "Filter": "(total > 5)", "Rows Removed by Filter": 12},
                {"Node Type": "Index Scan", "Relation Name": "users", "Index Name": "users_pkey",
                 "Total Cost": 20.0, "Plan Rows": 1},
            ],
        },
        "Planning Time": 0.2,
    }
]  # fmt: skip


def test_each_node_is_a_line_below_its_parent() -> None:
    lines = plan_text(DOCUMENT).lines
    assert lines[0] == "Hash Join (cost 300.0, 10 rows)"
    assert "  Seq Scan on orders (cost 250.0, 9000 rows)" in lines
    assert "      removed by filter: 12 rows" in lines
    assert lines[-1] == "planning: 0.2 ms"


def test_the_costliest_node_comes_first_with_its_own_share() -> None:
    assert plan_text(DOCUMENT).costly[0] == "Seq Scan on orders: 83%"
