"""The pipe of the stdio transport: the client's lines as they come, what is wrong with one that is no message, and answers written whole.

A pipe is waited for on the event loop: reading and writing it in threads, as the SDK does, costs more than most answers.
"""

import asyncio
import json
import os
import re
import select
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import anyio

from .envelope import BAD_ID, has_bad_id, holds_half_a_pair, is_id
from .front import GONE, Handover, read_some

CHUNK = 1 << 16
NEVER_BLOCKS = 4096
"""Bytes that a pipe which can be written to takes without making the writer wait (PIPE_BUF)."""
PARSE_ERROR, INVALID_REQUEST = -32700, -32600
MOST_LINE = 32 << 20
"""Bytes of the longest message. The longest text that a tool takes has 4 MB, each of which JSON may write in six."""
END = 1_000
"""Bytes of each end of a longer line that are kept: clients write the id first or last."""
_ID = rb'"id"\s*:\s*(-?\d{1,18}|"[^"\\]{0,200}")\s*'
_VERSION = rb'"jsonrpc"\s*:\s*"2\.0"\s*'
_FIRST = re.compile(rb"\s*\{\s*(?:" + _VERSION + rb",\s*)?" + _ID + rb",")
_LAST = re.compile(rb"[,{]\s*" + _ID + rb"(?:,\s*" + _VERSION + rb")?\}\s*$")
# json.loads looks at eight arguments each time.
_decoded = json.JSONDecoder().decode


@dataclass(frozen=True)
class Unreadable:
    """Why a line is no message, and the id of the request where one can be made out."""

    code: int
    message: str
    id: Any = None

    def text(self) -> str:
        """The answer, as a line."""
        return (
            json.dumps({"jsonrpc": "2.0", "id": self.id, "error": {"code": self.code, "message": self.message}}) + "\n"
        )


def read_message(line: bytes) -> dict[str, Any] | Unreadable:
    """The message in a line that is not empty, whatever it asks, or what is wrong with it (JSON-RPC 2.0, section 5.1)."""
    if len(line) > MOST_LINE:
        return Unreadable(
            INVALID_REQUEST, f"The message has more than {MOST_LINE:,} bytes. Nothing was done.", _id_at_an_end(line)
        )
    try:
        text, fault = line.decode(), ""
    except UnicodeDecodeError as exc:
        text, fault = (
            line.decode(errors="replace"),
            f"The message is not UTF-8 at byte {exc.start + 1}. Nothing was done.",
        )
    try:
        message = _decoded(text)
    except (ValueError, RecursionError) as exc:
        return Unreadable(PARSE_ERROR, fault or f"The message is not JSON: {exc}.")
    if not isinstance(message, dict):
        return Unreadable(INVALID_REQUEST, "The message is not a JSON object.")
    asked = message.get("id")
    found = asked if is_id(asked) else None
    if fault:
        return Unreadable(PARSE_ERROR, fault, found)
    if "\\u" in text and holds_half_a_pair(message):
        return Unreadable(
            PARSE_ERROR, "The message holds half of a surrogate pair: it is no text. Nothing was done.", found
        )
    if message.get("jsonrpc") != "2.0" or not ("method" in message or "result" in message or "error" in message):
        return Unreadable(INVALID_REQUEST, "The message is no JSON-RPC 2.0 request, notification or response.", found)
    wrong = _wrong_request(message) if "method" in message else None
    return message if wrong is None else Unreadable(INVALID_REQUEST, wrong, found)


def _wrong_request(message: dict[str, Any]) -> str | None:
    """What is wrong with the form of a request or notification (JSON-RPC 2.0, section 4; MCP, "Messages")."""
    method, is_response = message["method"], "result" in message or "error" in message
    if not isinstance(method, str):
        return None if method is None and is_response else "The method is no text."
    if message.get("result") is not None or message.get("error") is not None:
        return "The message is a request and a response."
    if not isinstance(message.get("params", {}), dict | None):
        return "The params are no JSON object."
    return BAD_ID if has_bad_id(message) else None


def _id_at_an_end(line: bytes) -> Any:
    """The id of a message too long to be read, where it stands first or last in it."""
    found = _FIRST.match(line[:END]) or _LAST.search(line[-END:])
    return None if found is None else json.loads(found[1].decode(errors="replace"))


async def lines_of(handover: Handover) -> AsyncIterator[bytes]:
    """The client's lines: those that were read already, then what the pipe still gives. Of one that is longer than MOST_LINE only so
    much is kept as shows that, and its end.
    """
    for line in handover.lines:
        yield line
    coming, ended = _Line(), handover.closed
    coming.add(handover.rest)
    with _Input(handover.input_fd) as pipe:
        while not ended:
            data = await pipe.read()
            ended = not data
            first, *others = data.split(b"\n")
            coming.add(first)
            for following in others:
                yield coming.whole()
                coming = _Line()
                coming.add(following)
    if rest := coming.whole():
        yield rest


class _Line:
    """A line as it comes."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0
        self._end = b""

    def add(self, data: bytes) -> None:
        if self._size <= MOST_LINE:
            self._parts.append(data)
            self._size += len(data)
        else:
            self._end = (self._end + data)[-END:]

    def whole(self) -> bytes:
        return b"".join([*self._parts, self._end])


class _Input:
    """The client's end, for one reader on the event loop. A context: the loop goes on watching it between two messages, which costs
    less than to begin anew, until one comes while nobody reads.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._loop = asyncio.get_running_loop()
        self._coming: asyncio.Future[bytes] | None = None
        self._watched = False

    def __enter__(self) -> "_Input":
        return self

    async def read(self) -> bytes:
        """What has come, as soon as there is something; nothing at the end."""
        if not self._watched:
            try:
                self._loop.add_reader(self._fd, self._come)
            except PermissionError:  # a file, for which nobody ever waits
                return read_some(self._fd, CHUNK)
            self._watched = True
        self._coming = self._loop.create_future()
        return await self._coming

    def __exit__(self, *_: object) -> None:
        self._leave()

    def _come(self) -> None:
        """Reads at once what the loop has just seen: a moment later it may be read, and reading would wait for more."""
        if self._coming is None or self._coming.done():  # nobody reads on: the loop would tell it again and again
            self._leave()
            return
        try:
            self._coming.set_result(read_some(self._fd, CHUNK))
        except BlockingIOError:  # who shares the pipe with us was faster
            return
        except OSError as exc:
            self._coming.set_exception(exc)

    def _leave(self) -> None:
        if self._watched:
            self._watched = False
            self._loop.remove_reader(self._fd)


def _write_some(fd: int, data: bytes | memoryview) -> int:
    try:
        return os.write(fd, data)
    except BlockingIOError:
        return 0
    except OSError as exc:
        if exc.errno in GONE:
            raise BrokenPipeError(exc.errno, exc.strerror) from exc
        raise


class Output:
    """Writes lines to the client. For one event loop, and any number of writers."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLOUT)
        self._writing = anyio.Lock(fast_acquire=True)
        self._torn = b""

    async def write(self, text: str) -> None:
        """One line, whole. Raises BrokenPipeError when nobody is there to read it."""
        await self.write_bytes(text.encode())

    async def write_bytes(self, line: bytes) -> None:
        """The same for a line that is encoded already. Whoever is cancelled in the middle of one leaves its end to the next."""
        if (left := self.begin(line)) is not None:
            await self.finish(left)

    def begin(self, line: bytes) -> bytes | None:
        """Writes a line as far as that keeps nobody waiting. None: it is written; else `finish` is to be called at once with what this
        returns.
        """
        if self._torn or self._writing.locked() or len(line) > NEVER_BLOCKS or not self._poll.poll(0):
            return line
        self._torn = line[_write_some(self._fd, line) :]
        return b"" if self._torn else None

    async def finish(self, line: bytes) -> None:
        """The rest of writing a line, with what others left before it."""
        async with self._writing:
            left, torn = memoryview(self._torn + line), len(self._torn)
            whole = len(left)
            self._torn = b""
            try:
                while left:
                    if not self._poll.poll(0):
                        await anyio.wait_writable(self._fd)
                    left = left[_write_some(self._fd, left[:NEVER_BLOCKS]) :]
            finally:
                if left and (torn or len(left) < whole):
                    self._torn = bytes(left)

    def has_reader(self) -> bool:
        """Whether the client's end of the pipe is still open, as far as the system tells."""
        return not any(event & (select.POLLERR | select.POLLHUP) for _, event in self._poll.poll(0))

    async def flush(self) -> None:
        """Nothing is held back."""


class OnceAnswered:
    """The SDK's output: the second answer to each request of which the client has the first is dropped. `tell` hears of each answer."""

    def __init__(self, output: Output, answered: frozenset[Any], tell: Callable[[Any], None] | None = None) -> None:
        self._output = output
        self._answered = set(answered)
        self._tell = tell

    async def write(self, text: str) -> None:
        """One line, unless it was answered before."""
        message = json.loads(text) if self._answered or self._tell else {}
        is_answer = "result" in message or "error" in message
        if is_answer and message.get("id") in self._answered:
            self._answered.remove(message["id"])
        else:
            await self._output.write(text)
        if self._tell and is_answer:
            self._tell(message.get("id"))

    async def flush(self) -> None:
        """Nothing is held back."""
