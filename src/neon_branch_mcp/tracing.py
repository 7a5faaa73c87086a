"""OpenTelemetry spans of API calls and SQL, inside the span that the MCP SDK opens for each tool call.

Only the API package is used: without an SDK and an exporter in the process (`opentelemetry-instrument`, or the operator's own) nothing
is recorded. Spans carry names, codes and ids, never SQL, parameters, rows or secrets.
"""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext

from opentelemetry import trace
from opentelemetry.trace import INVALID_SPAN, ProxyTracerProvider, Span, SpanKind, StatusCode

from . import __version__
from .errors import NeonBranchError

tracer = trace.get_tracer("neon_branch_mcp", __version__)


def is_traced() -> bool:
    """Whether anybody records: a span that nobody sees still costs as much as a small query."""
    return not isinstance(trace.get_tracer_provider(), ProxyTracerProvider)


def span(name: str, attributes: Mapping[str, str | int]) -> AbstractContextManager[Span]:
    """A client span; an error of ours that leaves it is recorded by its code."""
    return _span(name, attributes) if is_traced() else nullcontext(INVALID_SPAN)


@contextmanager
def _span(name: str, attributes: Mapping[str, str | int]) -> Iterator[Span]:
    with tracer.start_as_current_span(
        name, kind=SpanKind.CLIENT, attributes=dict(attributes), record_exception=False, set_status_on_exception=False
    ) as opened:
        try:
            yield opened
        except NeonBranchError as exc:
            failed(opened, exc)
            raise


def failed(opened: Span, error: NeonBranchError) -> None:
    """Marks the span as failed, by the error's code alone: messages may quote data."""
    opened.set_attribute("error.type", error.code)
    opened.set_status(StatusCode.ERROR)
