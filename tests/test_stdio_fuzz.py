"""Whatever a client over stdio says: each request has one answer, each line that is no message too, and the server ends with the client."""

import json
import random
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from neon_branch_mcp import stdio_direct
from neon_branch_mcp.app import open_app
from neon_branch_mcp.config import load
from neon_branch_mcp.envelope import is_id
from neon_branch_mcp.front import Handover
from neon_branch_mcp.stdio_pipe import Unreadable, read_message

from .test_front import HANDSHAKES, hello, pipes
from .test_stdio_direct import INITIALIZED, Serve, _read, _send, call, directly
from .test_stdio_odd import ENVELOPE, ask, through_the_front

pytestmark = pytest.mark.anyio

GREETING = [hello(HANDSHAKES[-1]), INITIALIZED]
COMPLETE = {"ref": {"type": "ref/prompt", "name": "review_branch"}, "argument": {"name": "branch", "value": "m"}}
MESSAGES: list[dict[str, Any]] = [
    *GREETING,
    ask(1, "ping"),
    ask("a", "tools/list"),
    ask(2, "prompts/get", {"name": "review_branch", "arguments": {"branch": "b"}}),
    ask(3, "resources/read", {"uri": "neon://branches"}),
    call(4, "query", {"sql": "select 1"}, _meta={"progressToken": 1}),
    call(5, "query", {"sql": 1}),
    ask(6, "tools/list", {"_meta": ENVELOPE}),
    call(7, "query", {"sql": 1}, _meta=ENVELOPE),
    ask(8, "prompts/list", {"cursor": ""}),
    {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 4}},
    {"jsonrpc": "2.0", "id": 3, "result": {}},
    ask(9, "completion/complete", COMPLETE),
    ask(10, "server/discover", {"_meta": ENVELOPE}),
]
VALUES: list[Any] = [None, True, 0, -1, 1.5, "", [], {}, "x", "\0", "\ud800", [1], {"a": 1}, 10**40, "1", float("nan")]
NAMES = ["id", "method", "params", "result", "error", "jsonrpc", "_meta", "x"]


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every container in a value, with each of its keys."""
    if isinstance(value, dict | list):
        for key in list(value) if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from places(value[key])


def changed(message: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    """The message with one thing in it changed, left out or added."""
    message = json.loads(json.dumps(message))
    if not (all_places := list(places(message))):
        return message
    container, key = chance.choice(all_places)
    way = chance.random()
    if way < 0.5:
        container[key] = chance.choice(VALUES)
    elif way < 0.7 and isinstance(container, dict):
        del container[key]
    elif way < 0.85 and isinstance(container, dict):
        container[chance.choice(NAMES)] = chance.choice(VALUES)
    else:
        container[key] = chance.choice(MESSAGES)
    return message


def conversation(chance: random.Random) -> bytes:
    lines = [json.dumps(message).encode() for message in GREETING] if chance.random() < 0.7 else []
    for _ in range(100):
        message = chance.choice(MESSAGES)
        for _ in range(chance.choice([0, 1, 1, 2])):
            message = changed(message, chance)
        line = bytearray(json.dumps(message).encode())
        if chance.random() < 0.1:
            line[chance.randrange(len(line))] = chance.choice([0, 255, 10, 34, 92, 123])
        lines.append(bytes(line))
    return b"\n".join(lines)


def expected(data: bytes) -> tuple[Counter[str], set[str]]:
    """How many answers each id should have, and the ids that are given up, which may have fewer."""
    answers: Counter[str] = Counter()
    given_up: set[str] = set()
    for line in data.split(b"\n"):
        message = read_message(line) if line.strip() else {}
        if isinstance(message, Unreadable):
            answers[json.dumps(message.id)] += 1
        elif message.get("method") is not None and is_id(message.get("id")):
            answers[json.dumps(message["id"])] += 1
        elif message.get("method") == "notifications/cancelled" and isinstance(message.get("params"), dict):
            given_up.add(str(message["params"].get("requestId")))
    return answers, given_up


@pytest.mark.parametrize("way", [directly, through_the_front])
@pytest.mark.parametrize("seed", range(6))
async def test_each_request_has_one_answer_whatever_is_said_between(way: Serve, seed: int) -> None:
    data = conversation(random.Random(seed))
    nowhere = {"api_key": "napi_x", "api_host": "http://127.0.0.1:9/api/v2", "retry_budget": 0.01}
    config = load({"neon": nowhere, "audit": {"enabled": False}}, env={}, cwd=Path("/"))
    found: list[bytes] = []
    with pipes() as p:
        talkers = [
            threading.Thread(target=_send, args=(p, data)),
            threading.Thread(target=_read, args=(p.client_in, found)),
        ]
        for talker in talkers:
            talker.start()
        try:
            async with open_app(config) as app:
                with anyio.fail_after(stdio_direct.GRACE - 1):
                    await way(app, Handover(p.server_in, p.server_out, (), b"", frozenset(), closed=False))
        finally:
            p.close(p.server_out)
            for talker in talkers:
                talker.join(5)
    answers = [message for message in map(json.loads, found) if "method" not in message]
    wanted, given_up = expected(data)
    got = Counter(json.dumps(answer["id"]) for answer in answers)
    for number in wanted | got:
        if str(json.loads(number)) in given_up:
            assert got[number] <= wanted[number], number
        else:
            assert got[number] == wanted[number], number
