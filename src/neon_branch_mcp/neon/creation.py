"""Making one branch so that in the end there is exactly one, or none.

The answer to `POST …/branches` may be lost after the work was done. The branch is then looked for by the nonce of its annotation: found,
we go on with it; surely not there, we ask again under the same name, which Neon gives only once. Whatever stops us, the half-made branch
is deleted again; where even that fails, the error names it.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

import anyio

from ..config import Secret
from ..errors import ApiError, Conflict, NeonBranchError, NotFound, NotPermitted, TimedOut, UnknownOutcome
from ..models import Branch, Database, Progress
from .client import BranchRequest, CreatedBranch, NeonClient
from .ownership import NONCE

log = logging.getLogger(__name__)

CLEANUP = 20.0
"""Seconds to remove a half-made branch; taken out of the caller's deadline beforehand."""
LOOKS = (0.2, 1.0, 3.0)
"""Seconds before each look for a branch whose creation was not answered: the request may still be on its way."""


@dataclass(frozen=True)
class MadeBranch:
    """A branch whose operations ended well, and the new passwords of its owner roles."""

    branch: Branch
    databases: tuple[Database, ...]
    passwords: Mapping[str, Secret]
    own_credentials: bool


class Creation:
    """One request for a branch. The caller holds the project's queue."""

    def __init__(
        self,
        client: NeonClient,
        project_id: str,
        request: BranchRequest,
        annotations: Mapping[str, str],
        progress: Progress | None,
    ) -> None:
        self._client = client
        self._project = project_id
        self._request = request
        self._annotations = annotations
        self._progress = progress
        self._maybe_there = False
        self._branch_id: str | None = None

    async def run(self) -> MadeBranch:
        """The branch, ready, with passwords of its own where the API can give them.

        Ends before the caller's deadline by the time that cleaning up may take. Raises the API's error, TimedOut, or the caller's
        cancellation; then the branch is gone, or the message (the log, for a cancellation) names it.
        """
        remaining = anyio.current_effective_deadline() - anyio.current_time()
        deadline = anyio.current_time() + max(remaining - CLEANUP, remaining / 2)
        try:
            with anyio.CancelScope(deadline=deadline) as scope:
                return await self._make()
            if scope.cancelled_caught:
                raise TimedOut(f"Branch {self._request.name!r} was not ready within the time of this call.")
            raise AssertionError("unreachable: the scope ends by returning, raising or its deadline")
        except anyio.get_cancelled_exc_class():
            if self._maybe_there and (left := await self._remove()):
                log.error("Creating a branch was cancelled. %s", left)
            raise
        except NeonBranchError as exc:
            if self._maybe_there:
                exc.add(await self._remove() or "No branch was left behind.")
            raise

    async def _make(self) -> MadeBranch:
        created = await self._ask()
        self._branch_id = created.branch.id
        await self._client.wait(created.operations, progress=self._progress)
        passwords, own = await own_passwords(self._client, created.branch, created.databases, self._progress)
        branch = await self._client.get_branch(self._project, created.branch.id)
        return MadeBranch(branch, created.databases, passwords, own)

    async def _ask(self) -> CreatedBranch:
        lost: UnknownOutcome | None = None
        for _ in range(3):
            self._maybe_there = True
            try:
                return await self._client.create_branch(self._project, self._request, self._annotations, self._progress)
            except UnknownOutcome as exc:
                lost = exc
                found = await self._look()
            except Conflict:
                # Another's branch of that name, unless an earlier attempt of ours was only slow.
                found = await self._find()
                if found is None:
                    self._maybe_there = lost is not None
                    raise
            except NeonBranchError:
                self._maybe_there = lost is not None
                raise
            if found is not None:
                return await self._adopt(found)
        assert lost is not None
        raise lost

    async def _look(self) -> Branch | None:
        for pause in LOOKS:
            await self._client.pause(pause)
            if (found := await self._find()) is not None:
                return found
        return None

    async def _find(self) -> Branch | None:
        nonce = self._annotations[NONCE]
        branches = await self._client.list_branches(self._project, self._request.name)
        return next((b for b in branches if b.annotations.get(NONCE) == nonce), None)

    async def _adopt(self, branch: Branch) -> CreatedBranch:
        """What the lost answer would have held."""
        client, project, b = self._client, self._project, branch.id
        self._branch_id = b
        endpoints = await client.list_endpoints(project, b)
        operations = [o for o in await client.list_operations(project) if o.branch_id == b]
        await client.wait(operations, progress=self._progress)
        return CreatedBranch(
            branch=branch,
            endpoints=tuple(endpoints),
            databases=tuple(await client.list_databases(project, b)),
            roles=tuple(await client.list_roles(project, b)),
            operations=(),
        )

    async def _remove(self) -> str:
        """Deletes what was made so far. Returns what may be left, as a sentence; nothing when nothing is."""
        with anyio.move_on_after(CLEANUP, shield=True):
            try:
                if self._branch_id is None and (found := await self._look()) is not None:
                    self._branch_id = found.id
                if self._branch_id is not None:
                    await self._client.wait(await self._client.delete_branch(self._project, self._branch_id))
            except NeonBranchError as exc:
                log.warning("Removing a half-made branch failed: %s", exc.message)
            else:
                return ""
        return (
            f"The branch {self._request.name!r} may be left in project {self._project}; "
            "look with list_branches and delete it with delete_branch."
        )


async def own_passwords(
    client: NeonClient, branch: Branch, databases: tuple[Database, ...], progress: Progress | None
) -> tuple[dict[str, Secret], bool]:
    """New passwords, on this branch only, for the roles that own its databases, so that none of them opens the parent.

    The second value is False when the API would not do it for one of them: the branch is usable, its password is the parent's.
    """
    passwords: dict[str, Secret] = {}
    for role in sorted({d.owner_name for d in databases}):
        try:
            passwords[role] = await _new_password(client, branch, role, progress)
        except (ApiError, NotFound, NotPermitted, Conflict) as exc:
            log.warning("Branch %s keeps its parent's password: %s", branch.name, exc.message)
            return passwords, False
    return passwords, bool(databases)


async def _new_password(client: NeonClient, branch: Branch, role: str, progress: Progress | None) -> Secret:
    """A lost answer holds a lost password: another one is made, once whatever was begun has ended."""
    for attempt in range(3):
        try:
            password, operations = await client.reset_role_password(branch.project_id, branch.id, role, progress)
        except UnknownOutcome:
            if attempt == 2:
                raise
            running = [o for o in await client.list_operations(branch.project_id) if o.branch_id == branch.id]
            await client.wait([o for o in running if not o.ended_badly], progress=progress)
        else:
            await client.wait(operations, progress=progress)
            return password
    raise AssertionError("unreachable: the last attempt returns or raises")
