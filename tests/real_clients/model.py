"""A model that follows a script: enough of OpenAI's Responses API and Anthropic's Messages API for Codex and Claude Code to believe in.

A script is a list of steps, one per request that offers tools: `("call", tool, arguments)`, `("search", words)` for a Codex model with
tool search, or `("say", text)`. Every request is kept.
"""

import itertools
import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Step = tuple[Any, ...]
Json = dict[str, Any]
USAGE = {"input_tokens": 1, "output_tokens": 1}


class ScriptedModel(ThreadingHTTPServer):
    """Serves the script on a port of its own; `requests` holds what the client sent, `left` what it has not asked for yet."""

    daemon_threads = True

    def __init__(self, script: Sequence[Step]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.left = list(script)
        self.requests: list[Json] = []
        self.lock = threading.Lock()
        self.numbers = itertools.count(1)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def next_step(self, request: Json, *, tools: bool) -> Step:
        """The step for this request. A request without tools is a side job (a title, a summary) and gets words."""
        with self.lock:
            self.requests.append(request)
            if not tools or not self.left:
                return ("say", "done")
            return self.left.pop(0)


@contextmanager
def scripted_model(script: Sequence[Step]) -> Iterator[ScriptedModel]:
    """A running model; its thread ends with the block."""
    with ScriptedModel(script) as model:
        thread = threading.Thread(target=model.serve_forever, daemon=True)
        thread.start()
        try:
            yield model
        finally:
            model.shutdown()
            thread.join()


def codex_item(step: Step, request: Json, number: int) -> Json:
    """A step as Codex expects it, in the way in which it offers MCP tools to this model: functions, tool search, or code."""
    kind, *rest = step
    if kind == "say":
        return {
            "type": "message",
            "role": "assistant",
            "id": f"m{number}",
            "content": [{"type": "output_text", "text": rest[0]}],
        }
    if kind == "search":
        arguments = {"query": rest[0], "limit": 20}
        return {
            "type": "tool_search_call",
            "execution": "client",
            "call_id": f"c{number}",
            "status": "completed",
            "arguments": arguments,
        }
    tool, arguments = rest
    common = {"call_id": f"c{number}"}
    for namespace, name in offered(request):
        if name == tool or name.endswith(f"__{tool}"):
            found = {
                "type": "function_call",
                "id": f"f{number}",
                "name": name,
                "arguments": json.dumps(arguments),
                **common,
            }
            return {**found, "namespace": namespace} if namespace else found
    code = f"const t = ALL_TOOLS.find(t => t.name.endsWith({json.dumps('__' + tool)})); text(await tools[t.name]({json.dumps(arguments)}));"
    return {
        "type": "custom_tool_call", "id": f"t{number}", "status": "completed", "name": "exec", "namespace": "functions", "input": code,
        **common,
    }  # fmt: skip


def offered(request: Json) -> Iterator[tuple[str | None, str]]:
    """(namespace, name) of the tools in a request to the Responses API, those that a search loaded among them."""
    loaded = [
        i.get("tools") or [] for i in request["input"] if i.get("type") in ("tool_search_output", "additional_tools")
    ]
    for tool in itertools.chain(request.get("tools") or [], *loaded):
        if tool.get("type") == "namespace":
            yield from ((tool["name"], inner["name"]) for inner in tool["tools"])
        elif tool.get("name"):
            yield None, tool["name"]


def claude_block(step: Step, request: Json, number: int) -> Json:
    """A step as Claude Code expects it."""
    kind, *rest = step
    if kind == "say":
        return {"type": "text", "text": rest[0]}
    names = [t["name"] for t in request["tools"]]
    name = next((n for n in names if n == rest[0] or n.endswith(f"__{rest[0]}")), rest[0])
    return {"type": "tool_use", "id": f"u{number}", "name": name, "input": rest[1]}


class _Handler(BaseHTTPRequestHandler):
    server: ScriptedModel
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Silence: what was asked is in `requests`."""

    def do_HEAD(self) -> None:
        self._send(b"", "text/plain")

    def do_GET(self) -> None:
        self._send(b'{"models": [], "data": []}', "application/json")

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        number = next(self.server.numbers)
        path = self.path.partition("?")[0]
        if path.endswith("/responses"):
            self._events(self._codex(request, number))
        elif path.endswith("/messages"):
            self._events(self._claude(request, number))
        else:
            self._send(b'{"input_tokens": 1}', "application/json")

    def _codex(self, request: Json, number: int) -> Iterator[Json]:
        item = codex_item(self.server.next_step(request, tools=any(offered(request))), request, number)
        response: Json = {"id": f"r{number}", "status": "completed", "output": [item]}
        details: Json = {"input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}}
        yield {"type": "response.created", "response": {"id": f"r{number}", "status": "in_progress"}}
        yield {"type": "response.output_item.added", "output_index": 0, "item": item}
        yield {"type": "response.output_item.done", "output_index": 0, "item": item}
        yield {"type": "response.completed", "response": {**response, "usage": {**USAGE, **details, "total_tokens": 2}}}

    def _claude(self, request: Json, number: int) -> Iterator[Json]:
        block = claude_block(self.server.next_step(request, tools=bool(request.get("tools"))), request, number)
        message = {
            "id": f"m{number}",
            "type": "message",
            "role": "assistant",
            "model": request.get("model", "scripted"),
            "usage": USAGE,
        }
        yield {
            "type": "message_start",
            "message": {**message, "content": [], "stop_reason": None, "stop_sequence": None},
        }
        start: Json
        if block["type"] == "text":
            start, delta = {"type": "text", "text": ""}, {"type": "text_delta", "text": block["text"]}
        else:
            start, delta = (
                {**block, "input": {}},
                {"type": "input_json_delta", "partial_json": json.dumps(block["input"])},
            )
        yield {"type": "content_block_start", "index": 0, "content_block": start}
        yield {"type": "content_block_delta", "index": 0, "delta": delta}
        yield {"type": "content_block_stop", "index": 0}
        stop = "tool_use" if block["type"] == "tool_use" else "end_turn"
        yield {
            "type": "message_delta",
            "delta": {"stop_reason": stop, "stop_sequence": None},
            "usage": {"output_tokens": 1},
        }
        yield {"type": "message_stop"}

    def _events(self, events: Iterator[Json]) -> None:
        body = "".join(f"event: {e['type']}\ndata: {json.dumps(e)}\n\n" for e in events)
        self._send(body.encode(), "text/event-stream")

    def _send(self, body: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
