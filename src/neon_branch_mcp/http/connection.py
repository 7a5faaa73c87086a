"""How long a client may take to say what it wants: a deadline and a size limit for request lines and headers.

uvicorn has a limit for the size only with h11, and a deadline for neither of its parsers: silent connections would stay for ever.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.auto import AutoHTTPProtocol

from ..config import HttpConfig

_TOO_SLOW = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


def protocol(config: HttpConfig) -> type[asyncio.Protocol]:
    """The fastest HTTP parser that is installed (httptools, else h11), with `http.head_timeout` and `http.max_head`."""
    base: Any = AutoHTTPProtocol

    class Protocol(base):  # type: ignore[misc]
        """A connection; between requests it is idle and uvicorn's keep-alive limit applies."""

        _deadline: asyncio.TimerHandle | None = None
        _head = 0

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._deadline = self.loop.call_later(config.head_timeout, self._give_up, _TOO_SLOW)

        def data_received(self, data: bytes) -> None:
            if self._deadline is None and self._is_waiting():
                self._deadline = self.loop.call_later(config.head_timeout, self._give_up, _TOO_SLOW)
            super().data_received(data)
            if not self._is_waiting():
                self._head = 0
                self._disarm()
                return
            self._head += len(data)
            if self._head > config.max_head:
                self._give_up(_TOO_LARGE)

        def connection_lost(self, exc: Exception | None) -> None:
            self._disarm()
            super().connection_lost(exc)

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
