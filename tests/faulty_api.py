"""A proxy in front of an API that spoils chosen calls, in all the ways networks, gateways and busy services do."""

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import anyio
import httpx
from anyio.abc import TaskGroup

Forward = Callable[[httpx.Request], Awaitable[httpx.Response]]
SILENCE = 3.0
"""Longer than the clients under test wait."""


class FaultyTransport(httpx.AsyncBaseTransport):
    """Forwards to `inner`; `choose(number, request)` names the fault for each call, counted from 0, or None."""

    def __init__(self, inner: httpx.AsyncBaseTransport, choose: Callable[[int, httpx.Request], str | None]) -> None:
        self._inner = inner
        self._choose = choose
        self._stack = AsyncExitStack()
        self._late: TaskGroup | None = None
        self.log: list[tuple[str, str, str | None]] = []

    async def __aenter__(self) -> "FaultyTransport":
        self._late = await self._stack.enter_async_context(anyio.create_task_group())
        return self

    async def aclose(self) -> None:
        """Waits for what was sent late."""
        await self._stack.aclose()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        fault = self._choose(len(self.log), request)
        self.log.append((request.method, request.url.path, fault))
        if fault is None:
            return await self._forward(request)
        return await FAULTS[fault](self, request)

    async def _forward(self, request: httpx.Request) -> httpx.Response:
        response = await self._inner.handle_async_request(request)
        content = await response.aread()
        headers = [
            (k, v) for k, v in response.headers.raw if k.lower() not in (b"content-length", b"transfer-encoding")
        ]
        return httpx.Response(response.status_code, headers=headers, content=content, request=request)

    async def late(self, request: httpx.Request) -> httpx.Response:
        """The caller gives up, and only then the request arrives."""
        assert self._late is not None

        async def deliver() -> None:
            await anyio.sleep(0.3)
            await self._forward(request)

        self._late.start_soon(deliver)
        raise httpx.ReadTimeout("late", request=request)


def _error(status: int, message: str = "", **headers: str) -> Callable[..., Awaitable[httpx.Response]]:
    async def answer(proxy: FaultyTransport, request: httpx.Request) -> httpx.Response:
        body = {"request_id": "00000000-0000-4000-8000-000000000000", "code": "", "message": message}
        return httpx.Response(status, json=body, headers=headers, request=request)

    return answer


def _raises(kind: type[httpx.RequestError], *, after: bool) -> Callable[..., Awaitable[httpx.Response]]:
    async def answer(proxy: FaultyTransport, request: httpx.Request) -> httpx.Response:
        if after:
            await proxy._forward(request)
        raise kind("injected", request=request)

    return answer


def _spoiled(change: Callable[[httpx.Response], tuple[int, bytes]]) -> Callable[..., Awaitable[httpx.Response]]:
    async def answer(proxy: FaultyTransport, request: httpx.Request) -> httpx.Response:
        status, content = change(await proxy._forward(request))
        return httpx.Response(status, content=content, request=request)

    return answer


async def _slow(proxy: FaultyTransport, request: httpx.Request) -> httpx.Response:
    await anyio.sleep(0.2)
    return await proxy._forward(request)


async def _silent(proxy: FaultyTransport, request: httpx.Request) -> httpx.Response:
    response = await proxy._forward(request)
    await anyio.sleep(SILENCE)
    return response


FAULTS: dict[str, Callable[[FaultyTransport, httpx.Request], Awaitable[httpx.Response]]] = {
    "423": _error(423, "project already has running conflicting operations, scheduling of new ones is prohibited"),
    "429": _error(429, "too many requests"),
    "429 with Retry-After": _error(429, "too many requests", **{"retry-after": "1"}),
    "503": _error(503),
    "500 before the work": _error(500, "internal"),
    "500 after the work": _spoiled(lambda _: (500, b'{"code":"","message":"internal"}')),
    "no connection": _raises(httpx.ConnectError, after=False),
    "time-out before the work": _raises(httpx.ReadTimeout, after=False),
    "time-out after the work": _raises(httpx.ReadTimeout, after=True),
    "reset after the work": _raises(httpx.RemoteProtocolError, after=True),
    "cut body": _spoiled(lambda r: (r.status_code, r.content[: len(r.content) // 2])),
    "not JSON": _spoiled(lambda r: (r.status_code, b"<html>gateway</html>")),
    "wrong JSON": _spoiled(lambda r: (r.status_code, b'{"unexpected": []}')),
    "slow": _slow,
    "silent after the work": _silent,
    "late": FaultyTransport.late,
    "no such route": _error(404, "this route is not here"),
}
