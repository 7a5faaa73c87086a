"""What is asked for and is not there: the answer names what there is, has the specification's code, and leaves no traceback."""

import json
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from neon_branch_mcp.config import load
from neon_branch_mcp.local.plane import LocalPlane

from .conftest import plane_config
from .http_support import rpc, running
from .stdio_client import HANDSHAKE, STATELESS
from .test_front import hello, stateless
from .test_stdio_direct import INITIALIZED, by_sdk, directly, one_by_one

pytestmark = pytest.mark.anyio

INVALID_PARAMS, INTERNAL_ERROR = -32602, -32603
NOT_FOUND = {HANDSHAKE: -32002, STATELESS: INVALID_PARAMS}
PROMPTS = "Prompts here: refactor_schema, review_branch, clean_up_branches."
RESOURCES = "Resources here: neon://branches, neon://branches/{branch}/schema, neon://branches/{branch}/migrations."
REVIEW = "The prompt review_branch was not given: "

WRONG_PROMPTS: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown name": ({"name": "nope"}, f"There is no prompt 'nope'. {PROMPTS}"),
    "a very long name": ({"name": "n" * 999}, f"There is no prompt '{'n' * 80}'. {PROMPTS}"),
    "no name": ({"arguments": {}}, f"A prompt is asked for by its name. {PROMPTS}"),
    "a number as name": ({"name": 7}, f"A prompt is asked for by its name. {PROMPTS}"),
    "no arguments": ({"name": "review_branch"}, f"{REVIEW}branch is missing. Its arguments: branch."),
    "a number as argument": (
        {"name": "review_branch", "arguments": {"branch": 7}},
        f"{REVIEW}branch must be a text. Its arguments: branch.",
    ),
    "no object as arguments": (
        {"name": "review_branch", "arguments": ["b"]},
        f"{REVIEW}the arguments must be an object. Its arguments: branch.",
    ),
    "one argument too many": (
        {"name": "refactor_schema", "arguments": {"goal": "g", "nonsense": "x"}},
        "The prompt refactor_schema was not given: unknown argument 'nonsense'. Its arguments: goal, branch (optional).",
    ),
    "an argument where there are none": (
        {"name": "clean_up_branches", "arguments": {"x": "y"}},
        "The prompt clean_up_branches was not given: unknown argument 'x'. Its arguments: none.",
    ),
}
ABSENT_RESOURCES = {
    "neon://nope": f"There is no resource 'neon://nope'. {RESOURCES}",
    "neon://branches/": f"There is no resource 'neon://branches/'. {RESOURCES}",
    "neon://branches//schema": f"There is no resource 'neon://branches//schema'. {RESOURCES}",
    "neon://branches/main/schema?x=1": f"There is no resource 'neon://branches/main/schema?x=1'. {RESOURCES}",
    "neon://branches/..%2f/schema": f"There is no resource 'neon://branches/..%2f/schema'. {RESOURCES}",
    "no address": f"There is no resource 'no address'. {RESOURCES}",
    "": f"There is no resource ''. {RESOURCES}",
    "neon://branches/nope/schema": "[not_found] Branch 'nope' is not in project {project}. There are: main",
    "neon://branches/{branch}/migrations": "[not_found] Branch '{branch}' is not in project {project}. There are: main",
}

Errors = Callable[[LocalPlane, str, list[dict[str, Any]]], Awaitable[list[dict[str, Any]]]]
"""The errors that requests of a version get, in their order."""


async def over_stdio(plane: LocalPlane, version: str, requests: list[dict[str, Any]], serve: Any = directly) -> Any:
    meta = {"_meta": stateless("")["params"]["_meta"]} if version == STATELESS else {}
    asked = [{"jsonrpc": "2.0", "id": i, **r, "params": {**r["params"], **meta}} for i, r in enumerate(requests)]
    before = [] if meta else [hello(version), INITIALIZED]
    answers = await one_by_one(plane_config(plane), serve, [*before, *asked])
    return [json.loads(line)["error"] for line in answers[-len(asked) :]]


async def by_the_sdks_server(plane: LocalPlane, version: str, requests: list[dict[str, Any]]) -> Any:
    return await over_stdio(plane, version, requests, by_sdk)


async def over_http(plane: LocalPlane, version: str, requests: list[dict[str, Any]]) -> Any:
    async with running(plane_config(plane)) as server, rpc(server, modern=version == STATELESS) as client:
        answers = [await client.send(**request) for request in requests]
    return [answer.json()["error"] for answer in answers]


WAYS = pytest.mark.parametrize("way", [over_stdio, by_the_sdks_server, over_http])
VERSIONS = pytest.mark.parametrize("version", [HANDSHAKE, STATELESS])


@WAYS
@VERSIONS
async def test_a_prompt_that_there_is_not_is_wrong_parameters_and_the_answer_names_those_that_there_are(
    way: Errors, version: str, plane: LocalPlane, caplog: pytest.LogCaptureFixture
) -> None:
    # A stateless request over HTTP says the name in a header too, and without it does not come this far.
    nameless = (way, version) != (over_http, STATELESS)
    wrong = [case for case in WRONG_PROMPTS.values() if nameless or isinstance(case[0].get("name"), str)]
    asked = [{"method": "prompts/get", "params": params} for params, _ in wrong]
    with caplog.at_level(logging.WARNING):
        found = await way(plane, version, asked)
    assert found == [{"code": INVALID_PARAMS, "message": message} for _, message in wrong]
    assert caplog.records == []


@WAYS
@VERSIONS
async def test_a_resource_that_there_is_not_is_not_found_in_the_words_of_the_version(
    way: Errors, version: str, plane: LocalPlane, caplog: pytest.LogCaptureFixture
) -> None:
    asked = [{"method": "resources/read", "params": {"uri": uri}} for uri in ABSENT_RESOURCES]
    with caplog.at_level(logging.WARNING):
        found = await way(plane, version, asked)
    assert [(f["code"], f["data"]) for f in found] == [(NOT_FOUND[version], {"uri": uri}) for uri in ABSENT_RESOURCES]
    for error, message in zip(found, ABSENT_RESOURCES.values(), strict=True):
        assert error["message"].startswith(message.replace("{project}", plane.project_id))
    assert caplog.records == []


def complete(prompt: str) -> dict[str, Any]:
    ref, argument = {"type": "ref/prompt", "name": prompt}, {"name": "branch", "value": ""}
    return {"method": "completion/complete", "params": {"ref": ref, "argument": argument}}


@WAYS
@VERSIONS
async def test_a_completion_for_a_prompt_that_there_is_not_is_wrong_parameters(
    way: Errors, version: str, plane: LocalPlane, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        (error,) = await way(plane, version, [complete("nope")])
    assert error == {"code": INVALID_PARAMS, "message": f"There is no prompt 'nope'. {PROMPTS}"}
    assert caplog.records == []


async def test_a_completion_that_fails_says_why_and_is_no_bug_of_ours(caplog: pytest.LogCaptureFixture) -> None:
    nowhere = {"api_key": "napi_x", "api_host": "http://127.0.0.1:9/api/v2", "retry_budget": 0.01}
    config = load({"neon": nowhere, "audit": {"enabled": False}}, env={}, cwd=Path("/"))
    asked = {"jsonrpc": "2.0", "id": 1, **complete("review_branch")}
    with caplog.at_level(logging.WARNING):
        answers = await one_by_one(config, directly, [hello(HANDSHAKE), INITIALIZED, asked])
    error = json.loads(answers[-1])["error"]
    assert error["code"] == INTERNAL_ERROR
    assert error["message"].startswith("[unreachable] ")
    assert caplog.records == []
