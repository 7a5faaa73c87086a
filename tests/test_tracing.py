"""Spans of a tool call: the SDK's around it, ours for the API and the SQL inside; and nothing in them that could be data."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, TraceFlags, Tracer, TracerProvider

from neon_branch_mcp.app import Caller, open_app
from neon_branch_mcp.local.plane import LocalPlane
from neon_branch_mcp.server import build_server, session_caller

from .conftest import plane_config

pytestmark = pytest.mark.anyio


class Recorder(TracerProvider, Tracer):
    """The least that can be registered as a tracer provider: keeps names and attributes."""

    def __init__(self) -> None:
        self.spans: list[tuple[str, dict[str, Any]]] = []

    def get_tracer(self, *args: Any, **kwargs: Any) -> Tracer:
        return self

    def start_span(self, name: str, *args: Any, **kwargs: Any) -> Span:
        facts = dict(kwargs.get("attributes") or {})
        self.spans.append((name, facts))
        return _Kept(facts)

    @contextmanager
    def _current(self, name: str, **kwargs: Any) -> Iterator[Span]:
        yield self.start_span(name, **kwargs)

    def start_as_current_span(self, name: str, *args: Any, **kwargs: Any) -> Any:
        return self._current(name, **kwargs)

    def of(self, prefix: str) -> Sequence[dict[str, Any]]:
        return [facts for name, facts in self.spans if name.startswith(prefix)]


class _Kept(NonRecordingSpan):
    def __init__(self, facts: dict[str, Any]) -> None:
        super().__init__(SpanContext(1, 1, is_remote=False, trace_flags=TraceFlags(1)))
        self._facts = facts

    def set_attribute(self, key: str, value: Any) -> None:
        self._facts[key] = value


async def test_api_calls_and_sql_have_spans_without_data(plane: LocalPlane, tmp_path: Path) -> None:
    recorder = Recorder()
    trace.set_tracer_provider(recorder)
    config = plane_config(plane, audit={"path": tmp_path / "audit.jsonl"})
    async with open_app(config) as app, Client(build_server(app, session_caller(Caller()))) as client:
        assert not (await client.call_tool("query", {"sql": "SELECT 'private'"})).is_error
        assert (await client.call_tool("query", {"sql": "SELECT 'private'::int"})).is_error
    assert len(recorder.of("tools/call query")) == 2, "the SDK's"
    listed = {"http.request.method": "GET", "url.template": "/projects/{p}/branches", "http.request.resend_count": 0}
    assert listed in recorder.of("GET /projects/{p}/branches")
    fine, failed = recorder.of("postgres query")[-2:]
    assert (fine["db.namespace"], fine["neon.branch.access"], fine.get("error.type")) == ("shop", "read-only", None)
    assert failed["error.type"] == "sql"
    assert "private" not in repr(recorder.spans)
