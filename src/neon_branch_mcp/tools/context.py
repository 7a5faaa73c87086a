"""What a tool is given: the application, the caller, progress, and the steps that every tool begins with."""

import asyncio
import functools
import time
from dataclasses import dataclass, field
from typing import Literal

from ..app import App, Caller, Workspace
from ..audit import Entry, Token
from ..errors import Refused
from ..guard.policy import BranchAccess, access_of
from ..models import Branch, Database, Progress
from ..postgres.target import Target


@dataclass
class CallFacts:
    """What became known during a call, for the audit; filled in by the steps below and by the tools."""

    project: str = ""
    branch: str = ""
    branch_id: str = ""
    database: str = ""
    access: str = ""
    sql: str | None = None
    rows: int | None = None
    begun: Token | None = None
    foreseen: Token | None = None
    workspace: Workspace | None = None


@dataclass(frozen=True)
class Place:
    """Where a call works: a branch, what may be done there, and one of its databases."""

    branch: Branch
    access: BranchAccess
    database: Database
    target: Target


@dataclass(frozen=True)
class ToolContext:
    """One call's view of the application."""

    app: App
    caller: Caller
    tool: str
    progress: Progress
    facts: CallFacts = field(default_factory=CallFacts)
    started: float = field(default_factory=time.monotonic)

    def entry(self, effect: Literal["read", "write"]) -> Entry:
        """The audit's view of this call, as far as it is known by now."""
        facts, caller = self.facts, self.caller
        return Entry(
            tool=self.tool,
            effect=effect,
            caller=caller.name,
            client=caller.client,
            session=caller.session,
            project=facts.project,
            branch=facts.branch,
            branch_id=facts.branch_id,
            database=facts.database,
            access=facts.access,
            sql=facts.sql,
        )

    async def about_to_change(self) -> None:
        """Puts the call on record, on disk, before a change is sent. Raises Refused when that cannot be done: nothing may be changed."""
        if self.facts.begun is None:
            self.facts.begun = await self.app.audit.begin(self.entry("write"))

    def foresee_record(self) -> None:
        """Puts the record of a read together once its statement is sent, while Postgres works: then nobody waits for that. Nothing but
        its outcome may become known later.
        """
        loop = asyncio.get_running_loop()
        loop.call_soon(loop.call_soon, self._foresee)

    def _foresee(self) -> None:
        self.facts.foreseen = self.app.audit.foresee(self.entry("read"), self.started)

    async def workspace(self) -> Workspace:
        """The caller's view of Neon."""
        facts = self.facts
        if facts.workspace is None:
            facts.workspace = await self.app.workspace(self.caller)
        return facts.workspace

    async def project(self, asked: str | None) -> str:
        """The id of the project to work in: the one asked for, the caller's, the configured one, or the only one there is.

        Raises Refused when the caller is bound to another project.
        """
        if self.caller.project_id and asked not in (None, self.caller.project_id):
            raise Refused(
                f"This session works in project {self.caller.project_id}; {asked} is outside it. Nothing was done.",
                rule="project-scope",
                remedy="Leave project_id out.",
            )
        workspace = await self.workspace()
        project_id = await workspace.branches.project_id(asked or self.caller.project_id)
        self.facts.project = project_id
        return project_id

    async def branch(self, project_id: str | None, branch: str | None, *, fresh: bool = False) -> Branch:
        """The branch by id or name; with `fresh`, as the API shows it now."""
        workspace = await self.workspace()
        found = await workspace.branches.resolve(await self.project(project_id), branch, fresh=fresh)
        self.facts.branch, self.facts.branch_id = found.name, found.id
        return found

    async def access(self, branch: Branch) -> BranchAccess:
        """What the guard lets an agent do on `branch`."""
        workspace = await self.workspace()
        return access_of(branch, self.app.config.policy, workspace.branches.created_by_us(branch))

    async def place(
        self, project_id: str | None, branch: str | None, database: str | None, *, fresh: bool = False
    ) -> Place:
        """A database of a branch, with a login for it."""
        found = await self.branch(project_id, branch, fresh=fresh)
        return await self.place_on(found, database)

    async def place_to_write(self, project_id: str | None, branch: str | None, database: str | None) -> Place:
        """A place as `place` finds it, but where writing is allowed the API's word for that is read afresh: what became default or
        protected meanwhile must not be written.
        """
        known = (await self.workspace()).branches.known(await self.project(project_id), branch)
        may_write = known is not None and (await self.access(known)).access == "read-write"
        place = await self.place(project_id, branch, database, fresh=may_write)
        if may_write or place.access.access == "read-only":
            return place
        return await self.place(project_id, place.branch.id, database, fresh=True)

    async def place_on(self, branch: Branch, database: str | None) -> Place:
        """A database of `branch`, with a login for it."""
        workspace = await self.workspace()
        access = await self.access(branch)
        self.facts.access = access.access
        chosen = await workspace.branches.database(branch, database)
        self.facts.database = chosen.name
        branches = workspace.branches
        target = Target(
            project_id=branch.project_id,
            branch_id=branch.id,
            branch_name=branch.name,
            database=chosen.name,
            access=access.access,
            conninfo=await branches.conninfo(branch, chosen),
            owner=workspace.owner,
            renew=functools.partial(branches.renewed, branch, chosen),
        )
        if target.access == "read-only":
            await self.app.ensure_guarded(target)
        return Place(branch, access, chosen, target)
