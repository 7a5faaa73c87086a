"""The one map from what the API answered, or failed to answer, to our errors, and to whether the request may be sent again.

Pure; `neon-api.md` has the table. Status is matched first, then code, then the message, because `code` is often empty.
"""

import email.utils
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import httpx

from ..errors import (
    ApiError,
    AuthError,
    ConfigError,
    Conflict,
    LimitExceeded,
    NeonBranchError,
    NotFound,
    NotPermitted,
    TimedOut,
    UnknownOutcome,
    Unreachable,
)
from ..redact import redact

READS = frozenset({"GET", "HEAD"})
SCOPE_TEXT = "not allowed"
_SUBJECT_PROJECT = re.compile(r'subject_project_id:\s*"?([a-z0-9-]{1,60})')


class ScopedKey(NotPermitted):
    """The key reaches one project only, `project_id`, and this lies outside."""

    def __init__(self, message: str, project_id: str) -> None:
        super().__init__(message)
        self.project_id = project_id


class OrgRequired(ConfigError):
    """A personal key lists projects of one organization at a time, and none was named."""


class PlanLimit(LimitExceeded):
    """The plan allows no more branches."""


Retry = Literal["never", "soon", "busy"]
"""soon: a few times, the API may be broken. busy: as long as the budget lasts, it said that nothing was done."""


@dataclass(frozen=True)
class Fault:
    """What went wrong with one request: the error to raise, and whether to send the request again first."""

    error: NeonBranchError
    retry: Retry = "never"
    retry_after: float | None = None


@dataclass(frozen=True)
class Refusal:
    """An error answer, taken apart."""

    method: str
    what: str
    status: int
    code: str
    message: str
    request_id: str

    def said(self) -> str:
        """`what` and the API's words, for the end of a message."""
        words = self.message or self.code or httpx.codes.get_reason_phrase(self.status) or "no reason given"
        tail = f" (request {self.request_id})" if self.request_id else ""
        return f'Neon answered {self.status}: "{redact(words)[:500]}"{tail}'


def fault_of_answer(method: str, what: str, status: int, headers: Mapping[str, str], body: Any) -> Fault:
    """The fault that an answer with an error status stands for."""
    fields = body if isinstance(body, dict) else {}
    refusal = Refusal(
        method,
        what,
        status,
        code=_text(fields.get("code")),
        message=_text(fields.get("message")),
        request_id=_text(fields.get("request_id")) or headers.get("x-neon-ret-request-id", ""),
    )
    if (busy := _busy(refusal)) is not None:
        return Fault(busy, "busy", retry_after(headers.get("retry-after")))
    if status >= 500:
        return _broken(refusal)
    return Fault(_final(refusal))


def fault_of_exception(method: str, what: str, exc: httpx.RequestError | TimeoutError) -> Fault:
    """The fault that a lost request stands for. Where it never left, nothing can have happened and any method may go again."""
    reason = exc.__class__.__name__
    if isinstance(exc, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout | httpx.ProxyError):
        return Fault(Unreachable(f"{what}: no connection to Neon's API ({reason}). Nothing was done."), "soon")
    if isinstance(exc, httpx.UnsupportedProtocol):
        return Fault(Unreachable(f"{what}: the API host is not an http(s) address; see neon.api_host."))
    return lost_answer(method, what, f"the API's answer was lost ({reason})")


def lost_answer(method: str, what: str, found: str) -> Fault:
    """No usable answer to a request that may have been carried out: reads go again, changes never do."""
    if method in READS:
        return Fault(Unreachable(f"{what}: {found}."), "soon")
    return Fault(UnknownOutcome(f"{what}: {found}. It may or may not be done; list_branches shows the state."))


def _busy(r: Refusal) -> NeonBranchError | None:
    """423, 429, 503 and "not ready yet" say that nothing was done: any method may be sent again."""
    if r.status == 423:
        return TimedOut(f"{r.what}: the project stayed busy with other operations. Nothing was done. {r.said()}")
    if r.status == 429:
        return LimitExceeded(f"{r.what}: too many requests to Neon's API; wait and try again. {r.said()}")
    if r.status == 503:
        return Unreachable(f"{r.what}: Neon's API is unavailable. Nothing was done. {r.said()}")
    if r.status == 422 and "not ready yet" in r.message.lower():
        return TimedOut(f"{r.what}: the branch did not become ready in time. {r.said()}")
    return None


def _broken(r: Refusal) -> Fault:
    if r.method in READS:
        return Fault(_api_error(r), "soon")
    return Fault(
        UnknownOutcome(f"{r.what}: it may or may not be done; list_branches shows the state. {r.said()}"),
    )


def _final(r: Refusal) -> NeonBranchError:
    message = r.message.lower()
    if r.status == 401:
        return AuthError(f"Neon refused the API key: it is wrong or revoked. Make one at Neon and set it. {r.said()}")
    if r.status == 403 or (r.status == 404 and SCOPE_TEXT in message):
        text = f"{r.what}: the API key may not do this. {r.said()}"
        found = _SUBJECT_PROJECT.search(r.message)
        return ScopedKey(text, found.group(1)) if found else NotPermitted(text)
    if r.status == 404:
        return NotFound(f"{r.what}: {r.said()}")
    if r.status == 409:
        return Conflict(f"{r.what}: {r.said()}.")
    if r.status == 400 and "org_id is required" in message:
        return OrgRequired(f"{r.what}: a personal API key needs an organization; set neon.org_id. {r.said()}")
    if r.status == 422 and "LIMIT_EXCEEDED" in r.code.upper():
        return PlanLimit(f"{r.what}: the Neon plan's limit is reached. {r.said()}")
    if r.status == 412:
        return _api_error(r, " The project stores no passwords.")
    return _api_error(r)


def _api_error(r: Refusal, hint: str = "") -> ApiError:
    return ApiError(f"{r.what}: {r.said()}.{hint}", status=r.status, api_code=r.code, request_id=r.request_id)


def retry_after(value: str | None) -> float | None:
    """Seconds that `Retry-After` asks for, from either of its forms; None when absent or not understood."""
    if not value:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
