"""What is counted, as Prometheus text. No label comes from a caller: their number is fixed."""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ..app import App

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
_PREFIX = "neon_branch_mcp_"
_CODE = re.compile(r"\[([a-z_]{1,20})\]")
_RULE = re.compile(r"\(rule: ([a-z0-9-]{1,40})\)\s*\Z")


class Metrics:
    """The counters of one server."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._calls = Counter(
            f"{_PREFIX}tool_calls", "Tool calls by how they ended.", ("tool", "outcome"), registry=self.registry
        )
        self._call_seconds = Histogram(
            f"{_PREFIX}tool_call_seconds", "Duration of tool calls.", ("tool",), buckets=SECONDS, registry=self.registry
        )
        self._refusals = Counter(
            f"{_PREFIX}refusals", "Calls that the guard refused, by its rule.", ("rule",), registry=self.registry
        )
        self._requests = Counter(
            f"{_PREFIX}http_requests", "HTTP requests.", ("path", "status"), registry=self.registry
        )
        self._request_seconds = Histogram(
            f"{_PREFIX}http_request_seconds",
            "Duration of HTTP requests.",
            ("path",),
            buckets=SECONDS,
            registry=self.registry,
        )
        self._open = Gauge(f"{_PREFIX}http_requests_open", "HTTP requests being answered.", registry=self.registry)
        self._running = Gauge(f"{_PREFIX}tool_calls_running", "Tool calls running.", registry=self.registry)
        self._denied = Counter(
            f"{_PREFIX}denied",
            "Requests turned away at the door, by the kind of error.",
            ("code",),
            registry=self.registry,
        )

    @contextmanager
    def request_open(self) -> Iterator[None]:
        """Counts a request while it is open."""
        self._open.inc()
        try:
            yield
        finally:
            self._open.dec()

    def request(self, path: str, status: int, seconds: float) -> None:
        """A request was answered."""
        self._requests.labels(path, str(status)).inc()
        self._request_seconds.labels(path).observe(seconds)

    def denied(self, code: str) -> None:
        """A request was turned away at the door."""
        self._denied.labels(code).inc()

    @contextmanager
    def call(self, tool: str) -> Iterator[Callable[[str | None], None]]:
        """Counts a tool call while it runs. The function it gives takes the call's error text, or None for success."""
        outcome, rule = "cancelled", None

        def ended(error: str | None) -> None:
            nonlocal outcome, rule
            code = None if error is None else _CODE.match(error)
            outcome = "ok" if error is None else (code[1] if code else "invalid")
            rule = _RULE.search(error) if error is not None and outcome == "refused" else None

        started = time.perf_counter()
        self._running.inc()
        try:
            yield ended
        finally:
            self._running.dec()
            self._calls.labels(tool, outcome).inc()
            self._call_seconds.labels(tool).observe(time.perf_counter() - started)
            if rule is not None:
                self._refusals.labels(rule[1]).inc()

    def text(self) -> bytes:
        """Everything, in Prometheus' text format."""
        return generate_latest(self.registry)


class AppCollector(Collector):
    """What the application counts by itself, read when it is asked for."""

    def __init__(self, app: App) -> None:
        self._app = app

    def collect(self) -> Iterator[Metric]:
        """Requests to Neon's API, and how many callers' views are open."""
        stats = self._app.stats()
        requests = CounterMetricFamily(f"{_PREFIX}api_requests", "Requests to Neon's API.", labels=("call",))
        for route, count in stats.api_requests.items():
            requests.add_metric((route,), count)
        yield requests
        yield CounterMetricFamily(f"{_PREFIX}api_retries", "Of these, repeated ones.", value=stats.api_retries)
        yield GaugeMetricFamily(f"{_PREFIX}callers", "Credentials in use.", value=stats.workspaces)
