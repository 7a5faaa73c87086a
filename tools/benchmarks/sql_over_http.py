"""Neon's SQL over HTTP, as far as `@neondatabase/serverless` asks for it: the official server runs its statements through that."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import psycopg
from psycopg import pq

GOOD = (pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK)


class Failed(Exception):
    """Postgres' answer to a statement, in the form of Neon's proxy."""


def run(conn: psycopg.Connection, query: str, params: list[Any]) -> dict[str, Any]:
    """One statement, its values as Postgres' text. Raises Failed."""
    values = [None if p is None else str(p).encode() for p in params]
    result = conn.pgconn.exec_params(query.encode(), values)
    if result.status not in GOOD:
        fields = {"code": pq.DiagnosticField.SQLSTATE, "detail": pq.DiagnosticField.MESSAGE_DETAIL}
        fields |= {"hint": pq.DiagnosticField.MESSAGE_HINT, "position": pq.DiagnosticField.STATEMENT_POSITION}
        said = {name: (result.error_field(field) or b"").decode() for name, field in fields.items()}
        message = (result.error_field(pq.DiagnosticField.MESSAGE_PRIMARY) or b"").decode()
        raise Failed(json.dumps({"message": message, "severity": "ERROR", **said}))
    columns = range(result.nfields)
    texts = [[result.get_value(row, column) for column in columns] for row in range(result.ntuples)]
    return {
        "command": (result.command_status or b"").decode().split(" ")[0],
        "rowCount": int(result.command_tuples or 0),
        "fields": [{"name": (result.fname(c) or b"").decode(), "dataTypeID": result.ftype(c)} for c in columns],
        "rows": [[None if cell is None else cell.decode() for cell in row] for row in texts],
        "rowAsArray": True,
    }


def answer(uri: str, body: dict[str, Any]) -> dict[str, Any]:
    """One statement, or several in one transaction."""
    with psycopg.connect(uri, autocommit=True) as conn:
        if "queries" not in body:
            return run(conn, body["query"], body.get("params") or [])
        with conn.transaction():
            return {"results": [run(conn, q["query"], q.get("params") or []) for q in body["queries"]]}


class Handler(BaseHTTPRequestHandler):
    """POST /sql."""

    def log_message(self, *_: object) -> None:
        """Nothing."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        try:
            status, text = 200, json.dumps(answer(self.headers["neon-connection-string"], body))
        except Failed as exc:
            status, text = 400, str(exc)
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())


@contextmanager
def sql_over_http() -> Iterator[str]:
    """The URL of a stand-in on loopback."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/sql"
        finally:
            server.shutdown()
