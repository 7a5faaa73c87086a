"""The door to `/mcp`: method, caller, scope, limits, body, and then the MCP server. Any replica can answer any request."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace

import anyio
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from pydantic_core import from_json
from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from ..app import Caller
from ..config import HttpConfig
from ..envelope import BAD_ID, has_bad_id
from ..errors import AuthError, LimitExceeded, NeonBranchError
from ..tools.wire import NAME_LENGTH
from .answers import INVALID_REQUEST, refusal, status_of
from .auth import Authenticator, bearer
from .callers import SCOPE_KEY
from .direct import DirectCalls
from .limits import Gauge, Rate
from .metrics import Metrics
from .scope import asked, narrowed

DISCARD_BYTES, DISCARD_SECONDS = 16_000_000, 5.0
"""How much of a body that is too large is read and thrown away before the connection is closed."""


def asks_for_progress(body: bytes) -> bool:
    """Whether a request wants to hear of progress: the only thing our tools tell before their result."""
    return b'"progressToken"' in body


class McpEndpoint:
    """The ASGI application of `/mcp`.

    Answers are plain JSON, `direct` or by `plain`, unless the request `may_stream`: then `streaming` gives an event stream where there are
    events.
    Without an `authenticator` every request is `anybody`'s.
    """

    def __init__(
        self,
        config: HttpConfig,
        plain: StreamableHTTPSessionManager,
        streaming: StreamableHTTPSessionManager,
        direct: DirectCalls,
        authenticator: Authenticator | None,
        metrics: Metrics,
        challenge: str,
        may_stream: Callable[[bytes], bool],
    ) -> None:
        self._config = config
        self._plain = plain
        self._streaming = streaming
        self._direct = direct
        self._authenticator = authenticator
        self._metrics = metrics
        self._challenge = challenge
        self._may_stream = may_stream
        self._anybody = Caller()
        self._open = Gauge(config.max_requests)
        self._bytes = Rate(config.bytes_per_minute)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        try:
            self._check_form(scope)
            caller = await self._caller(scope)
            if not self._open.enter(caller.identity):
                raise LimitExceeded(
                    f"{self._config.max_requests} requests of this caller are open (http.max_requests)."
                )
        except (HTTPException, NeonBranchError) as exc:
            await self._refusal(scope, exc)(scope, receive, send)
            return
        try:
            await self._serve(caller, scope, receive, send)
        finally:
            self._open.leave(caller.identity)

    def _check_form(self, scope: Scope) -> None:
        """Raises HTTPException for what no MCP client sends. Without sessions there is no stream to GET and nothing to DELETE."""
        if scope["method"] != "POST":
            raise HTTPException(405, "Only POST is answered here: this server keeps no sessions.", {"Allow": "POST"})
        types = [v for n, v in scope["headers"] if n == b"content-type"]
        if len(types) != 1 or types[0].split(b";")[0].strip().lower() != b"application/json":
            raise HTTPException(415, "The Content-Type must be application/json.")
        if any(n == b"content-encoding" and v.strip().lower() != b"identity" for n, v in scope["headers"]):
            raise HTTPException(415, "Compressed bodies are not read.")

    async def _caller(self, scope: Scope) -> Caller:
        """The caller, within the scope of the URL. Raises NeonBranchErrors: AuthError without a good token."""
        headers = scope["headers"]
        caller = self._anybody
        if self._authenticator is not None:
            token = bearer(headers)
            if token is None:
                raise AuthError("A bearer token is needed: Authorization: Bearer TOKEN.")
            caller = await self._authenticator.caller(token, (scope.get("client") or ("",))[0])
        parameters = QueryParams(scope["query_string"]).multi_items() if scope["query_string"] else []
        caller = narrowed(caller, asked(parameters, headers))
        agent = next((v for n, v in headers if n == b"user-agent"), b"")
        return replace(caller, client=agent.decode("latin-1")[:NAME_LENGTH])

    async def _serve(self, caller: Caller, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            self._spend(caller, 1)
            body = await self._body(scope, receive)
            self._spend(caller, len(body))
        except (HTTPException, LimitExceeded) as exc:
            await self._refusal(scope, exc)(scope, receive, send)
            return
        scope[SCOPE_KEY] = caller

        async def counted(message: Message) -> None:
            self._bytes.charge(caller.identity, len(message.get("body", b"")))
            await send(message)

        gone = anyio.Event()
        await _while_connected(receive, gone, self._answered(scope, body, gone, counted))

    async def _answered(self, scope: Scope, body: bytes, gone: anyio.Event, send: Send) -> None:
        streams = self._may_stream(body)
        if not streams and (call := self._direct.read(scope, body)) is not None:
            await _send_json(await self._direct.answer(call, scope[SCOPE_KEY]), send)
        elif _has_bad_id(body):  # which the SDK takes for a notification: nobody would hear that nothing was done
            await refusal(400, BAD_ID, code=INVALID_REQUEST)(scope, _replay(body, gone), send)
        else:
            await (self._streaming if streams else self._plain).handle_request(scope, _replay(body, gone), send)

    def _spend(self, caller: Caller, amount: int) -> None:
        if wait := self._bytes.take(caller.identity, amount):
            raise LimitExceeded(f"This caller's bytes a minute are used up; try again in {wait:.0f} s.")

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        """The whole body. Raises HTTPException when it is too large or too slow."""
        most = self._config.max_body
        body, size = bytearray(), _declared(scope["headers"])
        try:
            async with asyncio.timeout(self._config.body_timeout):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise HTTPException(400, "The client went away before its request was complete.")
                    body += message.get("body", b"")
                    size = max(size, len(body))
                    if size > most:
                        await _discard(receive, message, DISCARD_BYTES)
                        raise HTTPException(413, f"The request's body is larger than {most} bytes (http.max_body).")
                    if not message.get("more_body", False):
                        return bytes(body)
        except TimeoutError:
            raise HTTPException(
                408, f"The request's body took more than {self._config.body_timeout:g} s (http.body_timeout)."
            ) from None

    def _refusal(self, scope: Scope, exc: HTTPException | NeonBranchError) -> Response:
        if isinstance(exc, HTTPException):
            headers = {**(exc.headers or {}), **({"Connection": "close"} if exc.status_code in (408, 413) else {})}
            return refusal(exc.status_code, exc.detail, headers)
        self._metrics.denied(exc.code)
        status = status_of(exc)
        headers = {}
        if status == 401 or (status == 403 and self._authenticator is not None):
            headers["WWW-Authenticate"] = self._challenged(scope, status)
        if status in (429, 503):
            headers["Retry-After"] = "5"
        return refusal(status, exc.render(), headers)

    def _challenged(self, scope: Scope, status: int) -> str:
        """The challenge of RFC 6750: the error is named only when there was a token to be wrong."""
        if status == 403:
            return f'{self._challenge}, error="insufficient_scope"'
        sent = any(n == b"authorization" for n, _ in scope["headers"])
        return f'{self._challenge}, error="invalid_token"' if sent else self._challenge


async def _while_connected(receive: Receive, gone: anyio.Event, work: Awaitable[None]) -> None:
    """Await `work` until the client goes: nobody waits for the answer then, and what runs for it is cancelled, down to the statement
    in Postgres.
    """
    with anyio.CancelScope() as scope:

        async def watch() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            gone.set()
            scope.cancel()

        watcher = asyncio.ensure_future(watch())
        try:
            await work
        finally:
            watcher.cancel()


def _has_bad_id(body: bytes) -> bool:
    try:
        message = from_json(body)
    except ValueError:
        return False
    return isinstance(message, dict) and has_bad_id(message)


async def _send_json(body: bytes, send: Send) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _declared(headers: list[tuple[bytes, bytes]]) -> int:
    """The body's size as the client gives it; 0 where it does not."""
    sizes = [value for name, value in headers if name == b"content-length" and value.isdigit()]
    return min(int(sizes[0][:18]), sys.maxsize) if sizes else 0


async def _discard(receive: Receive, message: Message, most: int) -> None:
    """Reads on without keeping it, within reason: a client that is still sending would lose the answer with the connection."""
    with anyio.move_on_after(DISCARD_SECONDS):
        while most > 0 and message["type"] == "http.request" and message.get("more_body", False):
            message = await receive()
            most -= len(message.get("body", b""))


def _replay(body: bytes, gone: anyio.Event) -> Receive:
    """What the MCP server receives: the body at once, and then the end of the connection."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        if messages:
            return messages.pop()
        await gone.wait()
        return {"type": "http.disconnect"}

    return receive
