"""The pipe of the stdio transport: what arrives in pieces is read whole, and a client that is slow to read holds up nobody else."""

import os
from collections.abc import Iterator

import anyio
import anyio.lowlevel
import pytest

from neon_branch_mcp.front import Handover
from neon_branch_mcp.stdio import _lines, _Output

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
    found: list[str] = []

    async def send() -> None:
        for start in range(0, len(sent), 3_001):
            os.write(pipe.writes, sent[start : start + 3_001])
            await anyio.lowlevel.checkpoint()
        pipe.writer.close()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(send)
        async for line in _lines(handed_over(reads=pipe.reads, lines=(b"first", b"second"), rest=b"thi")):
            found.append(line)
    assert found == ["first", "second", "third", "", long.decode(), "bad \ufffd", "last, unfinished"]


async def test_an_answer_larger_than_the_pipe_waits_for_its_reader_and_not_the_loop(pipe: Pipe) -> None:
    text = "0123456789" * 50_000 + "\n"
    output, taken = _Output(handed_over(writes=pipe.writes)), bytearray()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(output.write, text)
        with anyio.fail_after(20):
            while len(taken) < len(text):
                await anyio.wait_readable(pipe.reads)
                taken += os.read(pipe.reads, 1_000)
    assert taken.decode() == text


async def test_an_answer_that_the_front_gave_is_not_given_again(pipe: Pipe) -> None:
    output = _Output(handed_over(writes=pipe.writes, answered=(7,)))
    for text in ('{"id":7,"result":{}}\n', '{"id":7,"result":{}}\n', '{"id":8,"result":{}}\n'):
        await output.write(text)
    assert os.read(pipe.reads, 1_000) == b'{"id":7,"result":{}}\n{"id":8,"result":{}}\n'
