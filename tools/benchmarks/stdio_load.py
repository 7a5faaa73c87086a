"""A load of calls over stdio: one pipe, on which as many requests are open as there are callers."""

import json
import time
from collections.abc import Mapping
from typing import Any

from .http_load import Load
from .servers import Peer


def pipelined(peer: Peer, tool: str, arguments: Mapping[str, Any], *, callers: int, seconds: float) -> Load:
    """Each caller asks again as soon as it was answered, for `seconds`; the last answers are waited for."""
    found = Load()
    asked: dict[int, float] = {}
    call = {"name": tool, "arguments": dict(arguments)}
    started = time.perf_counter()
    until = started + seconds
    for _ in range(callers):
        asked[peer.ask("tools/call", call)] = time.perf_counter()
    while asked:
        answer = peer.answer()
        now = time.perf_counter()
        if (began := asked.pop(answer.get("id"), None)) is None:
            continue
        if "result" in answer and not answer["result"].get("isError"):
            found.latencies.append(now - began)
        else:
            found.fail(json.dumps(answer))
        if now < until:
            asked[peer.ask("tools/call", call)] = now
    found.seconds = time.perf_counter() - started
    return found
