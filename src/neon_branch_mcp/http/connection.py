"""How long a client may take to say what it wants, and what becomes of its connection when the server stops.

uvicorn has a limit for the size of a head only with h11, and a deadline for neither of its parsers: silent connections would
stay for ever. And when it stops, it closes a connection on which no request has arrived yet, though one may be on its way.
"""

import asyncio
from dataclasses import dataclass
from typing import Any

from uvicorn.protocols.http.auto import AutoHTTPProtocol

from ..config import HttpConfig

_TOO_SLOW = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


LINGER = 1.0
"""Seconds that a connection without a request stays open while the server stops: what was sent before the client knew is answered."""


@dataclass
class Stopping:
    """Whether the server is going: connections then take one more request, answer it with `Connection: close`, and end."""

    begun: bool = False


def protocol(config: HttpConfig, stopping: Stopping) -> type[asyncio.Protocol]:
    """The fastest HTTP parser that is installed (httptools, else h11), with `http.head_timeout` and `http.max_head`."""
    base: Any = AutoHTTPProtocol

    class Protocol(base):  # type: ignore[misc]
        """A connection; between requests it is idle and uvicorn's keep-alive limit applies."""

        _deadline: asyncio.TimerHandle | None = None
        _head = 0

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._deadline = self.loop.call_later(config.head_timeout, self._give_up, _TOO_SLOW)
            if stopping.begun:
                self.shutdown()

        def data_received(self, data: bytes) -> None:
            if self._deadline is None and self._is_waiting():
                self._deadline = self.loop.call_later(config.head_timeout, self._give_up, _TOO_SLOW)
            super().data_received(data)
            if not self._is_waiting():
                self._head = 0
                self._disarm()
                if stopping.begun:
                    super().shutdown()
                return
            self._head += len(data)
            if self._head > config.max_head:
                self._give_up(_TOO_LARGE)

        def connection_lost(self, exc: Exception | None) -> None:
            self._disarm()
            super().connection_lost(exc)

        def shutdown(self) -> None:
            if self._is_waiting():
                self.loop.call_later(LINGER, super().shutdown)
            else:
                super().shutdown()

        def _is_waiting(self) -> bool:
            return self.cycle is None or self.cycle.response_complete

        def _disarm(self) -> None:
            if self._deadline is not None:
                self._deadline.cancel()
                self._deadline = None

        def _give_up(self, answer: bytes) -> None:
            self._disarm()
            if self._is_waiting() and not self.transport.is_closing():
                self.transport.write(answer)
                self.transport.close()

    return Protocol
