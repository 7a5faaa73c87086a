"""Read-only queries as DBAs, analysts and agents write them, for the sample shop. Some 700, of wide variety; all must run.

Hand-written ones first, then families: the same questions over other tables, columns and spans.
"""

from collections.abc import Iterator
from itertools import product
from pathlib import Path

DATA = Path(__file__).parent.parent / "data"
VIEWS = (
    "pg_am pg_amop pg_attrdef pg_cast pg_class pg_collation pg_constraint pg_database pg_depend pg_description pg_enum pg_extension "
    "pg_index pg_inherits pg_language pg_namespace pg_opclass pg_operator pg_policy pg_proc pg_publication pg_range pg_rewrite "
    "pg_roles pg_rules pg_sequence pg_settings pg_stat_archiver pg_stat_io pg_stat_slru pg_stat_database_conflicts "
    "pg_stat_user_functions pg_stats_ext pg_tables pg_trigger pg_ts_config pg_type pg_user pg_user_mappings pg_views "
    "pg_stat_ssl pg_stat_gssapi pg_cursors pg_matviews pg_group pg_stat_checkpointer pg_shmem_allocations"
)
TABLES = {
    "users": ("city", "state", "created_at"),
    "products": ("left(sku, 3)", "price > 50", "created_at"),
    "orders": ("status", "user_id % 10", "ordered_at"),
}
SPANS = ("hour", "day", "week", "month", "quarter", "year")


def _lines(name: str) -> list[str]:
    """One query a line; a line that begins with a space, or with FROM, goes on with the one before."""
    out: list[str] = []
    for line in (DATA / f"reads_{name}.sql").read_text(encoding="utf-8").strip("\n").split("\n"):
        if line.startswith((" ", "FROM")):
            out[-1] += f"\n{line}"
        else:
            out.append(line)
    return out


def _families() -> Iterator[str]:
    for table, (one, two, at) in TABLES.items():
        for span in SPANS:
            yield f"SELECT date_trunc('{span}', {at}) AS {span}, count(*) FROM {table} GROUP BY 1 ORDER BY 1"
            yield (
                f"SELECT {one} AS k, date_trunc('{span}', {at}) AS t, count(*), sum(count(*)) OVER (PARTITION BY {one} ORDER BY "
                f"date_trunc('{span}', {at})) AS running FROM {table} GROUP BY 1, 2 ORDER BY 1 NULLS FIRST, 2 LIMIT 50"
            )
            ago = "3 months" if span == "quarter" else f"1 {span}"
            yield f"SELECT count(*) FILTER (WHERE {at} >= now() - interval '{ago}') AS recent, count(*) FROM {table}"
        for key, function in product(
            (one, two), ("count(*)", "max(id)", "avg(id)::numeric(20, 2)", "array_agg(id ORDER BY id DESC)")
        ):
            yield f"SELECT {key} AS k, {function} FROM {table} GROUP BY 1 HAVING count(*) > 0 ORDER BY 2 DESC LIMIT 10"
            yield f"WITH g AS (SELECT {key} AS k, {function} AS v FROM {table} GROUP BY 1) SELECT count(*), min(v), max(v) FROM g"
            yield f"SELECT k, v, dense_rank() OVER (ORDER BY v DESC) FROM (SELECT {key} AS k, {function} AS v FROM {table} GROUP BY 1) s"
        for order, limit in product(("id", "id DESC", f"{at} DESC NULLS LAST, id"), (1, 10, 500)):
            yield f"SELECT * FROM {table} ORDER BY {order} LIMIT {limit}"
            yield f"SELECT id, row_number() OVER (ORDER BY {order}) AS rn FROM {table} WHERE id BETWEEN 5 AND {limit + 5}"
        for size in ("pg_relation_size", "pg_total_relation_size", "pg_table_size", "pg_indexes_size"):
            yield f"SELECT pg_size_pretty({size}('{table}')), {size}('public.{table}'::regclass)"
        for view in ("pg_stat_user_tables", "pg_statio_user_tables"):
            yield f"SELECT * FROM {view} WHERE relname = '{table}'"
        for view, column in (
            ("columns", "table_name"),
            ("table_constraints", "table_name"),
            ("key_column_usage", "table_name"),
        ):
            yield f"SELECT * FROM information_schema.{view} WHERE table_schema = 'public' AND {column} = '{table}'"
    for view in VIEWS.split():
        yield f"SELECT * FROM pg_catalog.{view} LIMIT 3"
        yield f"SELECT count(*) AS n, '{view}' AS view FROM {view}"


def queries() -> list[str]:
    """All of them."""
    return [*_lines("dba"), *_lines("analytics"), *_families()]
