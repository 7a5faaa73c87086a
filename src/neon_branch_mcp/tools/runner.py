"""A row of the tool table, run: raw arguments → caller's rights → audit → run → result or error as text.

Everything an agent does passes `ToolRunner.run`, whichever transport it came over. It is the one place where our errors become what a
model reads. It needs no SDK: a server over stdio answers tool calls without importing one.
"""

import inspect
import json
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import anyio
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, create_model

from ..app import App, Caller
from ..audit import Outcome, Token, new_id
from ..config import Config
from ..errors import AuthError, InternalError, NeonBranchError, Refused, SqlError, TimedOut
from ..models import Progress
from .catalogue import TOOLS
from .context import ToolContext
from .spec import ToolSpec

log = logging.getLogger(__name__)

_JSON = re.compile(r"\s*[\[{n]")
"""How a list, an object or null begins."""


@dataclass(frozen=True)
class Answer:
    """What came of a call: a text that is complete by itself, and the same as JSON. An error has its text alone."""

    text: str
    structured: bytes | None = None

    @property
    def is_error(self) -> bool:
        """Whether the call failed or was refused."""
        return self.structured is None


class ToolRunner:
    """One tool over one application. What it takes to check arguments and to write results is made at the first call."""

    def __init__(self, spec: ToolSpec, app: App) -> None:
        self.spec = spec
        self._app = app

    @cached_property
    def arguments(self) -> type[BaseModel]:
        """The tool's parameters as a model. What is not among them is refused."""
        parameters = inspect.signature(self.spec.run).parameters.values()
        fields: dict[str, Any] = {
            p.name: (p.annotation, ... if p.default is p.empty else p.default) for p in parameters if p.name != "ctx"
        }
        return create_model(f"{self.spec.name}_arguments", __config__=ConfigDict(extra="forbid"), **fields)

    @cached_property
    def _texts(self) -> frozenset[str]:
        """The parameters that are a text and nothing else."""
        return frozenset(name for name, known in self.arguments.model_fields.items() if known.annotation is str)

    @cached_property
    def result(self) -> TypeAdapter[Any]:
        """The tool's result type."""
        return TypeAdapter(self.spec.run.__annotations__["return"])

    async def run(self, arguments: Mapping[str, Any], caller: Caller, progress: Progress) -> Answer:
        """One call, from raw arguments to what the client gets. Raises nothing but cancellation."""
        ctx = ToolContext(self._app, caller, self.spec.name, progress)
        try:
            caller.check_tool(self.spec.name, writes=self.spec.writes)
            answer = self._answer(await self._run_in_time(ctx, self._checked(arguments)))
        except NeonBranchError as exc:
            error = exc
            if isinstance(exc, AuthError):
                self._app.on_refused(caller)
            elif isinstance(exc, InternalError):
                error = InternalError(exc.error_id, began=ctx.facts.begun is not None)
        except anyio.get_cancelled_exc_class():
            await self._record(ctx, Outcome("cancelled"))
            raise
        except Exception:
            error = InternalError(new_id(), began=ctx.facts.begun is not None)
            log.exception("Internal error %s in %s", error.error_id, self.spec.name)
        else:
            await self._record(ctx, Outcome(rows=ctx.facts.rows))
            return answer
        await self._record(ctx, _outcome(error))
        return Answer(error.render())

    async def _record(self, ctx: ToolContext, outcome: Outcome) -> None:
        token = ctx.facts.begun or ctx.facts.foreseen or Token(new_id(), ctx.entry("read"), ctx.started, recorded=False)
        await self._app.audit.end(token, outcome)

    async def _run_in_time(self, ctx: ToolContext, values: dict[str, Any]) -> Any:
        limit = self._app.config.sql.call_timeout
        with anyio.move_on_after(limit) as scope:
            return await self.spec.run(ctx, **values)
        if scope.cancelled_caught:
            raise TimedOut(f"{self.spec.name} did not end within {limit:g} s (sql.call_timeout) and was cancelled.")
        raise AssertionError("unreachable: the scope ends by returning, raising or being cancelled")

    def _checked(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The typed arguments. Raises Refused naming what is wrong, without repeating values."""
        try:
            checked = self.arguments.model_validate({name: self._read(name, arguments[name]) for name in arguments})
        except ValidationError as exc:
            problems = "; ".join(
                f"{'.'.join(map(str, e['loc']))}: "
                + ("unknown argument" if e["type"] == "extra_forbidden" else e["msg"].lower())
                for e in exc.errors(include_url=False, include_input=False)
            )
            raise Refused(
                f"{self.spec.name} was not run: {problems}.",
                rule="arguments",
                remedy=f"Its arguments are: {', '.join(self.arguments.model_fields)}.",
            ) from None
        return vars(checked)

    def _read(self, name: str, value: Any) -> Any:
        """Some clients send a list or an object as a text that holds it (Claude Desktop does); such a text is read where no text is
        wanted.
        """
        if not isinstance(value, str) or not _JSON.match(value) or name in self._texts:
            return value
        try:
            read = json.loads(value)
        except (ValueError, RecursionError):
            return value
        return value if isinstance(read, str | int | float) else read

    def _answer(self, result: Any) -> Answer:
        # What has its default says nothing: it would only cost the model tokens.
        structured = self.result.dump_json(result, exclude_defaults=True)
        return Answer(self.spec.text(result) if self.spec.text else structured.decode(), structured)


class ToolRunners(dict[str, ToolRunner]):
    """The tools that a server with these settings offers, by name, in the order of the table."""

    def __init__(self, app: App) -> None:
        super().__init__({spec.name: ToolRunner(spec, app) for spec in served_tools(app.config)})


def served_tools(config: Config) -> list[ToolSpec]:
    """The rows this server offers: the groups that are asked for, and what reads where it is look-only. list_projects goes where a
    project is pinned.
    """
    policy, pinned = config.policy, config.neon.project_id is not None
    return [
        spec
        for spec in TOOLS
        if (not policy.tools or spec.group in policy.tools)
        and not (policy.look_only and spec.writes)
        and not (pinned and spec.group == "projects")
    ]


def counted(report: Callable[[int, str], Any]) -> Progress:
    """Progress by its number, from 1: how far a call will go is not known beforehand."""
    count = 0

    async def step(message: str) -> None:
        nonlocal count
        count += 1
        await report(count, message)

    return step


async def unheard(_: str) -> None:
    """Progress that nobody asked to hear of."""


def _outcome(error: NeonBranchError) -> Outcome:
    return Outcome(
        result=error.code,
        rule=error.rule if isinstance(error, Refused) else "",
        sqlstate=(error.fields.sqlstate or "") if isinstance(error, SqlError) else "",
    )
