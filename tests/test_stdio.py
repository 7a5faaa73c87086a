"""The pipe of the stdio transport: what arrives in pieces is read whole, and a client that is slow to read holds up nobody else."""

import json
import os
from collections.abc import Iterator
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from neon_branch_mcp.front import Handover
from neon_branch_mcp.stdio_pipe import OnceAnswered, Output, Unreadable, lines_of, read_message

from .stdio_client import raw_server

pytestmark = pytest.mark.anyio


class Pipe:
    """Both ends; each knows that it was closed."""

    def __init__(self) -> None:
        reads, writes = os.pipe()
        self.reader, self.writer = os.fdopen(reads, "rb", buffering=0), os.fdopen(writes, "wb", buffering=0)

    @property
    def reads(self) -> int:
        return self.reader.fileno()

    @property
    def writes(self) -> int:
        return self.writer.fileno()


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = Pipe()
    yield made
    made.reader.close()
    made.writer.close()


def handed_over(
    *,
    reads: int = -1,
    writes: int = -1,
    lines: tuple[bytes, ...] = (),
    rest: bytes = b"",
    answered: tuple[int, ...] = (),
) -> Handover:
    return Handover(reads, writes, lines, rest, frozenset(answered), closed=False)


async def test_lines_are_those_the_front_left_and_then_those_of_the_pipe_however_they_are_cut(pipe: Pipe) -> None:
    long = b'{"x":"' + "ä".encode() * 40_000 + b'"}'
    sent = b"rd\n\n" + long + b"\nbad \xff\nlast, unfinished"
    found: list[bytes] = []

    async def send() -> None:
        for start in range(0, len(sent), 3_001):
            os.write(pipe.writes, sent[start : start + 3_001])
            await anyio.lowlevel.checkpoint()
        pipe.writer.close()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(send)
        async for line in lines_of(handed_over(reads=pipe.reads, lines=(b"first", b"second"), rest=b"thi")):
            found.append(line)
    assert found == [b"first", b"second", b"third", b"", long, b"bad \xff", b"last, unfinished"]


@pytest.mark.parametrize(
    ("line", "code", "number", "words"),
    [
        (b'{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"sql":"\xff"}}', -32700, 7, "not UTF-8 at byte 64"),
        (
            rb'{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"sql":"\ud800"}}',
            -32700,
            7,
            "half of a surrogate pair",
        ),
        (rb'{"jsonrpc":"2.0","id":"\udc00","method":"ping"}', -32700, "\udc00", "half of a surrogate pair"),
        (b'{"jsonrpc":"2.0","id":7,', -32700, None, "not JSON"),
        (b"[" * 200_000, -32700, None, "not JSON"),
        (b"\xff\xfe", -32700, None, "not UTF-8 at byte 1"),
        (b"[]", -32600, None, "not a JSON object"),
        (b'{"id":7,"method":"ping"}', -32600, 7, "no JSON-RPC 2.0"),
        (b'{"jsonrpc":"2.0","id":7}', -32600, 7, "no JSON-RPC 2.0"),
        (b'{"jsonrpc":"2.0","id":[1]}', -32600, None, "no JSON-RPC 2.0"),
    ],
)
def test_a_line_that_is_no_message_is_answered_with_what_is_wrong(
    line: bytes, code: int, number: Any, words: str
) -> None:
    fault = read_message(line)
    assert isinstance(fault, Unreadable)
    answer = json.loads(fault.text())
    assert (answer["id"], answer["error"]["code"]) == (number, code)
    assert words in answer["error"]["message"]


@pytest.mark.parametrize(
    "line",
    [
        b'{"jsonrpc":"2.0","id":1,"method":"ping"}',
        b'{"jsonrpc":"2.0","method":"notifications/initialized"}\r',
        b'{"jsonrpc":"2.0","id":"a","result":{}}',
        rb'{"jsonrpc":"2.0","id":1,"method":"x","params":{"sql":"\ud83d\ude00 \\ud800 \u0000"}}',
        '{"jsonrpc":"2.0","id":1,"method":"x","params":{"sql":"é😀"}}'.encode(),
    ],
)
def test_a_message_is_left_as_it_is(line: bytes) -> None:
    assert read_message(line) == json.loads(line)


def test_no_depth_of_nesting_is_too_much_for_the_reader() -> None:
    for depth in range(900, 1_000):  # somewhere here reading ends to work, and writing a little earlier
        line = (
            b'{"jsonrpc":"2.0","id":1,"method":"x","params":{"x":' + b"[" * depth + b'"\\u0041"' + b"]" * depth + b"}}"
        )
        assert isinstance(read_message(line), dict | Unreadable)


def test_a_client_that_sends_no_text_is_told_and_served_on() -> None:
    with raw_server(NEON_API_KEY="napi_x") as client:
        assert client.process.stdin is not None
        client.process.stdin.write(rb'{"jsonrpc":"2.0","id":"\ud800","method":"tools/list"}' + b"\n\xff\n\n")
        client.process.stdin.flush()
        assert {client.answer()["error"]["code"] for _ in range(2)} == {-32700}
        client.greet()
        with pytest.raises(RuntimeError, match="half of a surrogate pair"):
            client.request("tools/call", {"name": "query", "arguments": {"sql": "SELECT '\ud800'"}})
        assert client.request("tools/list")["tools"]


async def test_an_answer_larger_than_the_pipe_waits_for_its_reader_and_not_the_loop(pipe: Pipe) -> None:
    text = "0123456789" * 50_000 + "\n"
    output, taken = Output(pipe.writes), bytearray()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(output.write, text)
        with anyio.fail_after(20):
            while len(taken) < len(text):
                await anyio.wait_readable(pipe.reads)
                taken += os.read(pipe.reads, 1_000)
    assert taken.decode() == text


async def test_an_answer_that_the_front_gave_is_not_given_again(pipe: Pipe) -> None:
    output = OnceAnswered(Output(pipe.writes), frozenset({7}))
    for text in ('{"id":7,"result":{}}\n', '{"id":7,"result":{}}\n', '{"id":8,"result":{}}\n'):
        await output.write(text)
    assert os.read(pipe.reads, 1_000) == b'{"id":7,"result":{}}\n{"id":8,"result":{}}\n'
