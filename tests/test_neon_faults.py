"""Every way in which the API can fail has one error and one answer to "may it be sent again?"."""

import time
from email.utils import formatdate

import httpx
import pytest

from neon_branch_mcp.errors import (
    ApiError,
    AuthError,
    Conflict,
    LimitExceeded,
    NeonBranchError,
    NotFound,
    NotPermitted,
    TimedOut,
    UnknownOutcome,
    Unreachable,
)
from neon_branch_mcp.neon.faults import (
    OrgRequired,
    PlanLimit,
    Retry,
    ScopedKey,
    fault_of_answer,
    fault_of_exception,
    retry_after,
)

SCOPE = (
    'not allowed to perform actions outside the project this key is scoped to; subject_project_id:"damp-dream-67070160"'
)

ANSWERS: list[tuple[str, int, str, str, type[NeonBranchError], Retry]] = [
    ("GET", 302, "", "", ApiError, "never"),
    ("GET", 400, "", "bad branch name", ApiError, "never"),
    ("POST", 400, "", "bad branch name", ApiError, "never"),
    ("GET", 400, "", "org_id is required, you can find it on your organization settings page", OrgRequired, "never"),
    ("GET", 401, "", "authentication required", AuthError, "never"),
    ("GET", 403, "", "", NotPermitted, "never"),
    ("GET", 404, "", SCOPE, ScopedKey, "never"),
    ("GET", 404, "", "not allowed for organization API keys", NotPermitted, "never"),
    ("GET", 404, "", "branch not found", NotFound, "never"),
    ("POST", 409, "", "branch already exists", Conflict, "never"),
    ("GET", 412, "", "", ApiError, "never"),
    ("POST", 422, "BRANCHES_LIMIT_EXCEEDED", "branches limit exceeded", PlanLimit, "never"),
    ("POST", 422, "ROOT_BRANCHES_LIMIT_EXCEEDED", "", PlanLimit, "never"),
    ("POST", 422, "", "branch not ready yet", TimedOut, "busy"),
    ("POST", 422, "", "cannot delete branch that has children", ApiError, "never"),
    ("POST", 423, "", "project already has running conflicting operations", TimedOut, "busy"),
    ("POST", 429, "", "too many requests", LimitExceeded, "busy"),
    ("POST", 503, "", "", Unreachable, "busy"),
    ("GET", 500, "", "", ApiError, "soon"),
    ("POST", 500, "", "", UnknownOutcome, "never"),
    ("PATCH", 502, "", "", UnknownOutcome, "never"),
    ("DELETE", 504, "", "", UnknownOutcome, "never"),
]


@pytest.mark.parametrize(("method", "status", "code", "message", "kind", "retry"), ANSWERS)
def test_an_answer_becomes_its_error(
    method: str, status: int, code: str, message: str, kind: type[NeonBranchError], retry: Retry
) -> None:
    body = {"request_id": "5e1f", "code": code, "message": message}
    fault = fault_of_answer(method, "Doing it", status, {}, body)
    assert (type(fault.error), fault.retry) == (kind, retry)
    assert (message or str(status)) in fault.error.message
    assert "request 5e1f" in fault.error.message


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "DELETE"])
@pytest.mark.parametrize("body", [None, "text", ["x"], {"message": 7, "code": None}])
def test_no_status_and_no_body_is_without_an_error(method: str, body: object) -> None:
    for status in range(300, 600):
        fault = fault_of_answer(method, "Doing it", status, {}, body)
        assert fault.error.render().startswith(f"[{fault.error.code}] ")
        if method != "GET" and fault.retry != "never":
            assert status in (423, 429, 503), "only these say that nothing was done"


def subclasses(cls: type[httpx.RequestError]) -> list[type[httpx.RequestError]]:
    return [cls, *(found for sub in cls.__subclasses__() for found in subclasses(sub))]


@pytest.mark.parametrize("kind", [*subclasses(httpx.RequestError), TimeoutError])
def test_every_failure_of_httpx_is_ours_and_no_change_that_may_have_been_sent_is_sent_again(
    kind: type[httpx.RequestError] | type[TimeoutError],
) -> None:
    never_left = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
    for method in ("GET", "POST", "DELETE"):
        fault = fault_of_exception(method, "Doing it", kind("gone"))
        if kind is httpx.UnsupportedProtocol:
            assert (type(fault.error), fault.retry) == (Unreachable, "never")
        elif issubclass(kind, never_left) or method == "GET":
            assert (type(fault.error), fault.retry) == (Unreachable, "soon")
        else:
            assert (type(fault.error), fault.retry) == (UnknownOutcome, "never")


def test_a_scoped_keys_refusal_names_its_project() -> None:
    error = fault_of_answer("GET", "Listing projects", 404, {}, {"code": "", "message": SCOPE}).error
    assert isinstance(error, ScopedKey)
    assert error.project_id == "damp-dream-67070160"
    assert error.render().startswith("[not_permitted]")


def test_secrets_in_the_apis_words_do_not_come_through() -> None:
    said = "key napi_abc123 cannot use postgresql://u:secret1@ep-x.neon.tech/d"
    text = fault_of_answer("GET", "Doing it", 400, {}, {"message": said}).error.render()
    assert "abc123" not in text
    assert "secret1" not in text


@pytest.mark.parametrize(("value", "seconds"), [(None, None), ("", None), ("7", 7.0), ("-1", 0.0), ("soon", None)])
def test_retry_after_in_seconds(value: str | None, seconds: float | None) -> None:
    assert retry_after(value) == seconds


def test_retry_after_as_a_date() -> None:
    found = retry_after(formatdate(time.time() + 30, usegmt=True))
    assert found is not None
    assert 28 < found <= 30
