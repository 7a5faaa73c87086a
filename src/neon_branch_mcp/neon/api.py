"""One request to Neon's API, sent until it is answered: retries, budget, deadlines, spans. Nothing here knows what is asked for."""

import json
import math
import random
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import anyio
import httpx

from .. import __version__
from ..config import Secret
from ..models import Progress
from ..tracing import failed, span
from .faults import Fault, fault_of_answer, fault_of_exception, lost_answer
from .parse import WrongShape

T = TypeVar("T")
Query = Mapping[str, str | int | bool | None]

MAX_SOON = 4
"""Attempts at a read that broke, or at reaching an API that does not answer the door."""
BASE_DELAY, MAX_DELAY = 0.25, 8.0


class Api:
    """Neon's API at one base URL with one key, over one httpx client that keeps its connections alive."""

    def __init__(
        self,
        *,
        base_url: str,
        api_key: Secret,
        transport: httpx.AsyncBaseTransport | None,
        timeout: float,
        retry_budget: float,
        user_agent: str | None,
        pace: float,
    ) -> None:
        self.pace = pace
        self._timeout = timeout
        self._budget = retry_budget
        self._api_key = api_key
        self.calls: Counter[str] = Counter()
        """How many requests were sent, by method and route: tests and metrics read it."""
        self.retries = 0
        self._http = httpx.AsyncClient(
            base_url=base_url,
            headers={"accept": "application/json", "user-agent": user_agent or f"neon-branch-mcp/{__version__}"},
            timeout=httpx.Timeout(timeout, connect=min(timeout, 10.0)),
            limits=httpx.Limits(max_connections=32, max_keepalive_connections=8, keepalive_expiry=60),
            transport=transport,
            follow_redirects=False,
        )

    async def aclose(self) -> None:
        """Closes the connections."""
        await self._http.aclose()

    async def pause(self, seconds: float) -> None:
        """Waits, at this client's pace."""
        await anyio.sleep(seconds * self.pace)

    async def call(
        self,
        method: str,
        route: str,
        parse: Callable[[Any], T],
        *,
        what: str,
        ids: Mapping[str, str] | None = None,
        query: Query | None = None,
        body: Any = None,
        progress: Progress | None = None,
    ) -> T:
        """The parsed answer to one request.

        `route` has its identifiers in braces, filled from `ids`. What the API says was not done is sent again within the budget; a
        broken or lost answer is asked for again only when it is a read. Raises the errors of `faults`.
        """
        path = route.format_map(ids or {})
        until = min(anyio.current_time() + self._budget, anyio.current_effective_deadline() - 1)
        soon = attempt = 0
        while True:
            self.calls[f"{method} {route}"] += 1
            facts: dict[str, str | int] = {
                "http.request.method": method,
                "url.template": route,
                "http.request.resend_count": attempt,
            }
            with span(f"{method} {route}", facts) as opened:
                outcome = await self._once(method, path, parse, what, query, body)
                if isinstance(outcome, Fault):
                    failed(opened, outcome.error)
            if not isinstance(outcome, Fault):
                return outcome[0]
            soon += outcome.retry == "soon"
            attempt += 1
            delay = _delay(attempt, outcome.retry_after)
            if outcome.retry == "never" or soon >= MAX_SOON or anyio.current_time() + delay * self.pace > until:
                raise outcome.error
            if progress is not None and attempt > 1:
                await progress(f"{what}: Neon is busy, trying again")
            await self.pause(delay)

    async def _once(
        self, method: str, path: str, parse: Callable[[Any], T], what: str, query: Query | None, body: Any
    ) -> tuple[T] | Fault:
        params = {k: v for k, v in (query or {}).items() if v is not None}
        headers = {"authorization": f"Bearer {self._api_key.reveal()}"}
        try:
            # httpx bounds each read of the socket, not the whole answer; and the in-process transport knows no time-out.
            with anyio.fail_after(self._timeout):
                response = await self._http.request(method, path, params=params, json=body, headers=headers)
        except (httpx.RequestError, TimeoutError) as exc:
            return fault_of_exception(method, what, exc)
        return self._read(method, parse, what, response)

    def _read(self, method: str, parse: Callable[[Any], T], what: str, response: httpx.Response) -> tuple[T] | Fault:
        try:
            data = json.loads(response.content) if response.content else None
        except ValueError:
            data = WrongShape("the body is not JSON")
        if not response.is_success:
            return fault_of_answer(method, what, response.status_code, response.headers, data)
        try:
            if isinstance(data, WrongShape):
                raise data
            return (parse(data),)
        except WrongShape as exc:
            return lost_answer(method, what, f"the API's answer is not usable ({exc})")


def _delay(attempt: int, asked: float | None) -> float:
    """Full jitter; never less than the API asked for."""
    jitter = random.uniform(0, min(MAX_DELAY, BASE_DELAY * math.pow(2, min(attempt, 10))))
    return jitter if asked is None else asked + min(jitter, 1.0)
