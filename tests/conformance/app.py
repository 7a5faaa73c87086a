"""The production HTTP application with the fixtures that the MCP conformance suite calls by name: `python -m tests.conformance.app PORT`.

The suite cannot judge transport, errors and results of a server without tools it knows; everything but the fixtures is the product.
"""

import json
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
from mcp.server import MCPServer
from mcp.server.context import ServerRequestContext
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.prompts.base import UserMessage
from mcp.shared.exceptions import MCPError
from mcp_types import (
    MISSING_REQUIRED_CLIENT_CAPABILITY,
    AudioContent,
    Completion,
    CompletionArgument,
    CompletionContext,
    CreateMessageRequest,
    CreateMessageRequestParams,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    EmbeddedResource,
    EmptyResult,
    ImageContent,
    InputRequiredResult,
    ListRootsRequest,
    PromptReference,
    RequestParams,
    ResourceTemplateReference,
    SamplingMessage,
    TextContent,
    TextResourceContents,
)

from neon_branch_mcp.app import open_app
from neon_branch_mcp.config import AuditConfig, Config, LocalConfig
from neon_branch_mcp.http.asgi import build_http_app
from neon_branch_mcp.http.listener import listen, uvicorn_server

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
WAV = "UklGRiQAAABXQVZFZm10IBAAAAABAAEARKwAAIhYAQACABAAZGF0YQAAAAA="

Content = list[TextContent | ImageContent | AudioContent | EmbeddedResource]


def text(value: str) -> TextContent:
    return TextContent(type="text", text=value)


def image() -> ImageContent:
    return ImageContent(type="image", data=PNG, mime_type="image/png")


def embedded(uri: str, value: str, mime_type: str = "text/plain") -> EmbeddedResource:
    return EmbeddedResource(type="resource", resource=TextResourceContents(uri=uri, mime_type=mime_type, text=value))


# -- tools with every kind of content


async def test_simple_text() -> Content:
    return [text("This is a simple text response for testing.")]


async def test_image_content() -> Content:
    return [image()]


async def test_audio_content() -> Content:
    return [AudioContent(type="audio", data=WAV, mime_type="audio/wav")]


async def test_embedded_resource() -> Content:
    return [embedded("test://embedded-resource", "This is an embedded resource content.")]


async def test_multiple_content_types() -> Content:
    mixed = embedded("test://mixed-content-resource", '{"test":"data","value":123}', "application/json")
    return [text("Multiple content types test:"), image(), mixed]


async def test_error_handling() -> str:
    raise ToolError("This tool intentionally returns an error for testing")


async def test_tool_with_progress(ctx: Context) -> str:
    for step in (0, 50, 100):
        await ctx.report_progress(step, 100, f"Completed step {step} of 100")
        await anyio.sleep(0.02)
    return "done"


async def log(ctx: Context, message: str) -> None:
    with warnings.catch_warnings(action="ignore"):  # 2026-07-28 deprecates what the suite for 2025-11-25 wants to see
        await ctx.session.send_log_message(level="info", data=message, related_request_id=ctx.request_id)


async def test_tool_with_logging(ctx: Context) -> str:
    for message in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        await log(ctx, message)
        await anyio.sleep(0.02)
    return "logged"


async def test_logging_tool(ctx: Context) -> str:
    await log(ctx, "test_logging_tool")
    return "logged"


async def test_missing_capability(ctx: Context) -> str:
    declared = ctx.session.client_capabilities
    if declared is None or declared.sampling is None:
        needed: dict[str, Any] = {"requiredCapabilities": {"sampling": {}}}
        raise MCPError(MISSING_REQUIRED_CLIENT_CAPABILITY, "This tool needs the client's sampling.", needed)
    return "sampling is there"


# -- questions to the client, as results (2026-07-28)


def form(message: str, name: str, kind: str = "string") -> ElicitRequest:
    schema = {"type": "object", "properties": {name: {"type": kind}}, "required": [name]}
    return ElicitRequest(params=ElicitRequestFormParams(message=message, requested_schema=schema))


def sample(prompt: str) -> CreateMessageRequest:
    messages = [SamplingMessage(role="user", content=text(prompt))]
    return CreateMessageRequest(params=CreateMessageRequestParams(messages=messages, max_tokens=50))


def answered(ctx: Context, *names: str) -> bool:
    return set(names) <= set(ctx.input_responses or {})


def answer(ctx: Context, question: str, name: str) -> str | None:
    """What the client's form holds; None for anything that is not an answer to the question."""
    given = (ctx.input_responses or {}).get(question)
    value = given.content.get(name) if isinstance(given, ElicitResult) and given.content else None
    return value if isinstance(value, str) else None


async def test_input_required_result_elicitation(ctx: Context) -> str | InputRequiredResult:
    if (name := answer(ctx, "user_name", "name")) is not None:
        return f"Hello, {name}!"
    return InputRequiredResult(input_requests={"user_name": form("What is your name?", "name")})


async def test_input_required_result_sampling(ctx: Context) -> str | InputRequiredResult:
    if answered(ctx, "capital_question"):
        return "The model has said it."
    return InputRequiredResult(input_requests={"capital_question": sample("What is the capital of France?")})


async def test_input_required_result_list_roots(ctx: Context) -> str | InputRequiredResult:
    if answered(ctx, "client_roots"):
        return "The roots are known."
    return InputRequiredResult(input_requests={"client_roots": ListRootsRequest()})


async def test_input_required_result_request_state(ctx: Context) -> str | InputRequiredResult:
    if answered(ctx, "confirm") and ctx.request_state == "asked":
        return "state-ok"
    return InputRequiredResult(input_requests={"confirm": form("Go on?", "ok", "boolean")}, request_state="asked")


async def test_input_required_result_tampered_state(ctx: Context) -> str | InputRequiredResult:
    return await test_input_required_result_request_state(ctx)


async def test_input_required_result_multiple_inputs(ctx: Context) -> str | InputRequiredResult:
    if answered(ctx, "user_name", "greeting", "client_roots"):
        return "All is known."
    asked = {
        "user_name": form("What is your name?", "name"),
        "greeting": sample("Generate a greeting"),
        "client_roots": ListRootsRequest(),
    }
    return InputRequiredResult(input_requests=asked, request_state="asked")


async def test_input_required_result_multi_round(ctx: Context) -> str | InputRequiredResult:
    state: dict[str, str] = json.loads(ctx.request_state or "{}")
    name = answer(ctx, "step1", "name") or state.get("name")
    if state and name and (color := answer(ctx, "step2", "color")):
        return f"{name} likes {color}."
    if state and name:
        color_form = form("Step 2: What is your favorite color?", "color")
        return InputRequiredResult(input_requests={"step2": color_form}, request_state=json.dumps({"name": name}))
    name_form = form("Step 1: What is your name?", "name")
    return InputRequiredResult(input_requests={"step1": name_form}, request_state=json.dumps({"step": "1"}))


async def test_input_required_result_capabilities(ctx: Context) -> InputRequiredResult:
    declared = ctx.client_capabilities
    asked: dict[str, Any] = {}
    if declared is None or declared.sampling is not None:
        asked["sample"] = sample("Say hello")
    if declared is None or declared.elicitation is not None:
        asked["ask"] = form("What is your name?", "name")
    return InputRequiredResult(input_requests=asked, request_state="asked")


TOOLS = (
    test_simple_text,
    test_image_content,
    test_audio_content,
    test_embedded_resource,
    test_multiple_content_types,
    test_error_handling,
    test_tool_with_progress,
    test_tool_with_logging,
    test_logging_tool,
    test_missing_capability,
    test_input_required_result_elicitation,
    test_input_required_result_sampling,
    test_input_required_result_list_roots,
    test_input_required_result_request_state,
    test_input_required_result_tampered_state,
    test_input_required_result_multiple_inputs,
    test_input_required_result_multi_round,
    test_input_required_result_capabilities,
)


# -- prompts, resources, and what the product has no use for


async def test_simple_prompt() -> list[UserMessage]:
    return [UserMessage(text("This is a simple prompt for testing."))]


async def test_prompt_with_arguments(arg1: str, arg2: str) -> list[UserMessage]:
    return [UserMessage(text(f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'"))]


async def test_prompt_with_embedded_resource(resourceUri: str) -> list[UserMessage]:
    return [
        UserMessage(embedded(resourceUri, "Embedded resource content for testing.")),
        UserMessage(text("Please process the embedded resource above.")),
    ]


async def test_prompt_with_image() -> list[UserMessage]:
    return [UserMessage(image()), UserMessage(text("Please analyze the image above."))]


async def test_input_required_result_prompt(ctx: Context) -> list[UserMessage] | InputRequiredResult:
    if (context := answer(ctx, "user_context", "context")) is not None:
        return [UserMessage(text(f"Use this context: {context}"))]
    return InputRequiredResult(input_requests={"user_context": form("What context should it use?", "context")})


PROMPTS = (
    test_simple_prompt,
    test_prompt_with_arguments,
    test_prompt_with_embedded_resource,
    test_prompt_with_image,
    test_input_required_result_prompt,
)


async def complete(
    ref: PromptReference | ResourceTemplateReference, argument: CompletionArgument, context: CompletionContext | None
) -> Completion:
    return Completion(values=[], total=0, has_more=False)


async def accept(ctx: ServerRequestContext[Any, Any], params: RequestParams) -> EmptyResult:
    return EmptyResult()


def templated(id: str) -> str:
    return json.dumps({"id": id, "templateTest": True, "data": f"Data for ID: {id}"})


RESOURCES: tuple[tuple[str, str, str, Callable[..., str | bytes]], ...] = (
    ("test://static-text", "static text", "text/plain", lambda: "This is the content of the static text resource."),
    ("test://static-binary", "static binary", "image/png", lambda: b"\x89PNG\r\n\x1a\n"),
    ("test://watched-resource", "watched", "text/plain", lambda: "watched"),
    ("test://template/{id}/data", "template", "application/json", templated),
)


def add_fixtures(mcp: MCPServer) -> None:
    """Everything the suite asks for by name that one answer can carry."""
    for tool in TOOLS:
        mcp.add_tool(tool, description="A fixture.", structured_output=False)
    for prompt in PROMPTS:
        mcp.prompt(description="A fixture.")(prompt)
    for uri, name, mime_type, content in RESOURCES:
        mcp.resource(uri, name=name, mime_type=mime_type)(content)
    mcp.completion()(complete)  # type: ignore[no-untyped-call]
    # There is no public way to add these, and no server of ours has a use for them.
    for method in ("logging/setLevel", "resources/subscribe", "resources/unsubscribe"):
        mcp._lowlevel_server.add_request_handler(method, RequestParams, accept)


async def main(port: int) -> None:
    """Serves until it is stopped."""
    with tempfile.TemporaryDirectory(prefix="nbm-conformance-") as folder:
        local = LocalConfig(enabled=True, data_dir=Path(folder) / "data")
        config = Config(local=local, audit=AuditConfig(enabled=False))
        async with open_app(config) as app:
            # The fixtures log and report progress whether or not they are asked to: every answer may be a stream.
            http = build_http_app(app, "127.0.0.1", may_stream=lambda body: True)
            add_fixtures(http.mcp)
            await uvicorn_server(config, http.asgi, lambda: None).serve(sockets=[listen("127.0.0.1", port)])


if __name__ == "__main__":
    anyio.run(main, int(sys.argv[1]))
