"""Warm calls: our tools beside an empty tool of the same SDK plus the bare Postgres work."""

import json
from collections.abc import Callable
from pathlib import Path

import psycopg

from .measure import Figure, in_turn, seconds
from .servers import EMPTY, Peer, ours, running

ROW_QUERIES = {
    "select 1": "select 1",
    "100 rows": "select id, email, name from users order by id limit 100",
    "1000 rows": "select id from users order by id limit 1000",
}


def bare_read(conn: psycopg.Connection, sql: str) -> Callable[[], None]:
    """What any read-only execution must send: the transaction, its limits, the statement, the end."""

    def work() -> None:
        conn.execute("BEGIN READ ONLY")
        conn.execute("SET LOCAL statement_timeout = '15s'")
        conn.execute(sql).fetchall()
        conn.execute("ROLLBACK")

    return work


def warm_calls(data_dir: Path, rounds: int) -> list[Figure]:
    """`query` over stdio against an empty tool and a bare psycopg loop on the same branch."""
    found: list[Figure] = []
    with running(ours(data_dir)) as peer, running(EMPTY) as empty:
        branch = json.loads(peer.call("create_branch", name="bench")["content"][0]["text"])["branch"]["name"]
        uri = json.loads(peer.call("get_connection_string", branch=branch)["content"][0]["text"])["uri"]
        try:
            with psycopg.connect(uri, autocommit=True) as conn:
                for name, sql in ROW_QUERIES.items():
                    found += _one(name, sql, peer, empty, conn, branch, rounds)
        finally:
            peer.call("delete_branch", branch=branch)
    return found


def _one(
    name: str, sql: str, peer: Peer, empty: Peer, conn: psycopg.Connection, branch: str, rounds: int
) -> list[Figure]:
    bare = bare_read(conn, sql)

    def empty_and_bare() -> None:
        empty.call("nothing")
        bare()

    return in_turn(
        f"query, {name}",
        {
            "empty tool + bare psycopg": seconds(empty_and_bare),
            "bare psycopg": seconds(bare),
            "ours": seconds(lambda: peer.call("query", sql=sql, branch=branch, max_rows=1000)),
        },
        rounds=rounds,
        baseline="empty tool + bare psycopg",
    )


def big_table(data_dir: Path, rows: int, rounds: int) -> list[Figure]:
    """SELECT * of a big table with the default cap, beside LIMIT 101."""
    with running(ours(data_dir)) as peer:
        peer.call("create_branch", name="bench-big")
        try:
            fill = f"create table big as select g as id, md5(g::text) as text from generate_series(1, {rows}) g"
            peer.call("run_sql", sql=fill, branch="bench-big")
            return in_turn(
                f"{rows:,} rows, capped",
                {
                    "LIMIT 101": seconds(
                        lambda: peer.call("query", sql="select * from big limit 101", branch="bench-big")
                    ),
                    "SELECT *": seconds(lambda: peer.call("query", sql="select * from big", branch="bench-big")),
                },
                rounds=rounds,
                baseline="LIMIT 101",
            )
        finally:
            peer.call("delete_branch", branch="bench-big")
