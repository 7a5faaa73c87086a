"""Projects, branches and databases as the tools ask for them: by name or id, from a cache where that is safe, usable once they are made."""

import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit, urlunsplit

import anyio

from ..config import Config, Secret
from ..errors import Ambiguous, ApiError, Conflict, NotFound, Refused, UnknownOutcome
from ..models import Branch, Database, Endpoint, Progress
from . import ownership
from .cache import Cache
from .client import BranchRequest, NeonClient
from .creation import Creation, own_passwords
from .faults import OrgRequired, PlanLimit, ScopedKey

log = logging.getLogger(__name__)

FACTS_TTL = 60.0
"""Seconds that branch facts may be old for reading."""
URI_TTL = 600.0
"""Seconds that the list of databases and a connection URI are kept: what is wrong in them shows when they are used."""
ENDPOINT_ID = "ep-"
"""What every id of a compute begins with."""
_SHOWN = 30


@dataclass(frozen=True)
class NewBranch:
    """A branch whose operations ended well. `own_credentials`: its passwords open nothing but itself."""

    branch: Branch
    databases: tuple[Database, ...]
    own_credentials: bool
    seconds: float


class Branches:
    """One key's view of its projects. Caches live here, so that nothing is ever shared between keys."""

    def __init__(self, client: NeonClient, config: Config, *, session: str = "") -> None:
        self._client = client
        self._config = config
        self._session = session
        self._found_projects: Cache[str, list[str]] = Cache(FACTS_TTL)
        self._lists: Cache[str, list[Branch]] = Cache(FACTS_TTL)
        self._facts: Cache[tuple[str, str], Branch] = Cache(FACTS_TTL)
        self._databases: Cache[tuple[str, str], list[Database]] = Cache(URI_TTL)
        self._endpoints: Cache[str, list[Endpoint]] = Cache(FACTS_TTL)
        self._uris: Cache[tuple[str, str, str, str, bool], Secret] = Cache(URI_TTL)
        # The API shows a new password once where the project stores none.
        self._passwords: dict[tuple[str, str], Secret] = {}

    async def project_id(self, asked: str | None) -> str:
        """The project to work in: the configured one, which no call can leave, else `asked`, else that of `.neon`, else the only
        one the key reaches.
        """
        pinned = self._config.neon.project_id
        if pinned is not None:
            if asked not in (None, "", pinned):
                raise Refused(
                    f"This server works in project {pinned} only; {asked!r} is another.",
                    rule="project-pinned",
                    remedy="Leave project_id out.",
                )
            return pinned
        if asked:
            return asked
        if self._config.context is not None and self._config.context.project_id:
            return self._config.context.project_id
        found = await self._found_projects.get("", self._reachable)
        if len(found) == 1:
            return found[0]
        if not found:
            raise NotFound("The API key reaches no project. Make one at Neon, or set neon.project_id.")
        raise Ambiguous(f"The API key reaches {len(found)} projects: {_names(found)}. Pass project_id.")

    async def _reachable(self) -> list[str]:
        """Ids of the projects the key reaches; a project's own key names its project while refusing."""
        try:
            return [p.id for p in await self._client.list_projects(org_id=self._config.neon.org_id)]
        except ScopedKey as exc:
            return [exc.project_id]
        except OrgRequired:
            organizations = await self._client.organizations()
            lists = [await self._client.list_projects(org_id=org) for org in organizations]
            return [p.id for projects in lists for p in projects]

    async def list(self, project_id: str, *, fresh: bool = False) -> list[Branch]:
        """The project's branches, at most 60 s old."""
        return await self._lists.get(project_id, lambda: self._client.list_branches(project_id), fresh=fresh)

    async def resolve(self, project_id: str, branch: str | None, *, fresh: bool = False) -> Branch:
        """The branch with that id or name; None is the configured branch, else the default one.

        At most 60 s old, or read after this call began when `fresh`. Raises NotFound that lists the names there are.
        """
        wanted = self._wanted(project_id, branch)
        known = self.known(project_id, branch)
        if fresh and known is not None:
            found = await self._refreshed(known, wanted)
        else:
            found = _match(await self.list(project_id), wanted)
        if found is None:
            found = _match(await self.list(project_id, fresh=True), wanted)
        if found is None:
            names = [b.name for b in await self.list(project_id)]
            raise NotFound(
                f"Branch {wanted or 'default'!r} is not in project {project_id}. There are: {_names(names)}."
            )
        return found

    def known(self, project_id: str, branch: str | None) -> Branch | None:
        """What was last heard of the branch, however old; costs no call."""
        return _match(self._lists.peek(project_id) or (), self._wanted(project_id, branch))

    def _wanted(self, project_id: str, branch: str | None) -> str | None:
        return branch or self._config.neon.branch or self._context_branch(project_id)

    def _context_branch(self, project_id: str) -> str | None:
        """The branch of `.neon`, which counts only in that file's project."""
        context = self._config.context
        return context.branch if context is not None and context.project_id == project_id else None

    async def _refreshed(self, known: Branch, wanted: str | None) -> Branch | None:
        """The branch as it is now, in one call; None when it is no longer what was asked for."""
        key = (known.project_id, known.id)
        try:
            now = await self._facts.get(key, lambda: self._client.get_branch(*key), fresh=True)
        except NotFound:
            now = None
        return None if now is None else _match([now], wanted)

    async def databases(self, branch: Branch, *, fresh: bool = False) -> Sequence[Database]:
        """The branch's databases, at most 10 minutes old."""
        key = (branch.project_id, branch.id)
        return await self._databases.get(key, lambda: self._client.list_databases(*key), fresh=fresh)

    async def endpoints_elsewhere(self, branch: Branch, sql: str) -> frozenset[str]:
        """Ids of the computes of the project's other branches, at most 60 s old: SQL that names one reaches beyond `branch`.

        Not asked for where the text holds no id of a compute at all.
        """
        if ENDPOINT_ID not in sql.lower():
            return frozenset()
        project = branch.project_id
        found = await self._endpoints.get(project, lambda: self._client.list_project_endpoints(project))
        return frozenset(e.id for e in found if e.branch_id != branch.id)

    async def database(self, branch: Branch, asked: str | None) -> Database:
        """The database of that name; without one, the only database there is. Raises NotFound or Ambiguous with the names."""
        found = await self.databases(branch)
        if asked and not any(d.name == asked for d in found):
            found = await self.databases(branch, fresh=True)
        names = [d.name for d in found]
        for database in found:
            if database.name == asked or (not asked and len(found) == 1):
                return database
        if asked or not found:
            raise NotFound(f"Database {asked or ''!r} is not on branch {branch.name}. There are: {_names(names)}.")
        raise Ambiguous(f"Branch {branch.name} has {len(names)} databases: {_names(names)}. Pass database.")

    async def conninfo(self, branch: Branch, database: Database, *, pooled: bool = False) -> Secret:
        """The connection URI of the database as its owner."""
        key = (branch.project_id, branch.id, database.name, database.owner_name, pooled)

        async def load() -> Secret:
            return await self._client.connection_uri(
                branch.project_id,
                branch_id=branch.id,
                database=database.name,
                role=database.owner_name,
                pooled=pooled,
            )

        uri = await self._uris.get(key, load)
        return with_password(uri, self._passwords.get((branch.id, database.owner_name)))

    async def renewed(self, branch: Branch, database: Database, refused: Secret) -> Secret:
        """The connection URI after Postgres refused the login of `refused`: somebody may have reset the password. Asked of the API
        once, however many sessions were refused.
        """
        if await self.conninfo(branch, database) == refused:
            self.forget(branch)
        return await self.conninfo(branch, database)

    async def has_own_password(self, branch: Branch, database: Database) -> bool:
        """No branch above this one, nor the default branch, opens with this branch's password, as far as the API shows passwords."""
        own = password_of(await self.conninfo(branch, database))
        if own is None:
            return False
        for other in _above(branch, await self.list(branch.project_id)):
            for theirs in await self.databases(other, fresh=True):
                same_role = theirs.owner_name == database.owner_name
                if same_role and password_of(await self.conninfo(other, theirs)) in (own, None):
                    return False
        return True

    async def create(
        self,
        project_id: str,
        *,
        name: str | None = None,
        parent: str | None = None,
        expires_in: str | None = None,
        schema_only: bool = False,
        parent_timestamp: str | None = None,
        parent_lsn: str | None = None,
        client_name: str = "",
        session: str | None = None,
        purpose: str = "",
        progress: Progress | None = None,
    ) -> NewBranch:
        """A new branch of `parent` (else the default branch), its operations done, with passwords of its own where the API can.

        Raises LimitExceeded (our caps or the plan's, with what could be deleted), Conflict when the name is taken, Refused for a bad
        `expires_in`; after any failure no half-made branch is left, or the message names it.
        """
        started, now = anyio.current_time(), datetime.now(UTC)
        maker = self._session if session is None else session
        life = self._config.policy.branch_ttl if expires_in is None else expires_in
        expires_at = ownership.expiry(life, now)
        async with self._client.serialised(project_id, progress):
            branches = await self.list(project_id, fresh=True)
            ownership.check_quota(branches, self._config.policy, maker)
            source = _match(branches, parent)
            if source is None:
                raise NotFound(
                    f"Parent branch {parent!r} does not exist. There are: {_names(b.name for b in branches)}."
                )
            request = BranchRequest(
                name=name or ownership.default_name(client_name, now),
                parent_id=source.id,
                parent_lsn=parent_lsn,
                parent_timestamp=parent_timestamp,
                init_source="schema-only" if schema_only else None,
                expires_at=expires_at,
            )
            notes = ownership.annotations(client=client_name, session=maker, purpose=purpose)
            try:
                made = await Creation(self._client, project_id, request, notes, progress).run()
            except PlanLimit as exc:
                exc.add(ownership.deletable(branches))
                raise
            except Conflict as exc:
                if "exists" in exc.message:
                    exc.add(f'Pass branch="{request.name}" to work on that one, or choose another name.')
                raise
            except ApiError as exc:
                if source.expires_at is not None:
                    exc.add(ownership.childless(source))
                raise
            finally:
                self._lists.forget(lambda key: key == project_id)
        self._remember(made.branch, made.passwords)
        return NewBranch(made.branch, made.databases, made.own_credentials, round(anyio.current_time() - started, 3))

    async def delete(self, branch: Branch, progress: Progress | None = None) -> None:
        """Deletes the branch; one that is gone already is as good. Whether it may be deleted is the guard's decision, made before."""
        async with self._client.serialised(branch.project_id, progress):
            try:
                operations = await self._client.delete_branch(branch.project_id, branch.id, progress)
                await self._client.wait(operations, progress=progress)
            finally:
                self.forget(branch)

    async def reset(self, branch: Branch, progress: Progress | None = None) -> Branch:
        """Makes the branch what its parent is now, with new passwords of its own. Returns it as it is afterwards."""
        parent = branch.parent_id
        if parent is None or branch.init_source == "schema-only":
            raise Refused(
                f"Branch {branch.name} is a root branch: there is nothing to reset it from.",
                rule="root-branch",
                remedy="Create a new branch instead.",
            )
        async with self._client.serialised(branch.project_id, progress):
            try:
                # As it is now: whether a lost reset was done shows in what changed since.
                before = await self._client.get_branch(branch.project_id, branch.id)
                await self._restore(before, parent, progress)
                databases = await self._client.list_databases(branch.project_id, branch.id)
                passwords, _ = await own_passwords(self._client, branch, tuple(databases), progress)
                now = await self._client.get_branch(branch.project_id, branch.id)
            finally:
                self.forget(branch)
        self._remember(now, passwords)
        return now

    async def _restore(self, branch: Branch, parent: str, progress: Progress | None) -> None:
        """A reset whose answer was lost is asked for again only if the branch shows that it did not happen."""
        for attempt in range(3):
            try:
                operations = await self._client.restore_branch(branch.project_id, branch.id, parent, progress)
            except UnknownOutcome:
                ours = [o for o in await self._client.list_operations(branch.project_id) if o.branch_id == branch.id]
                await self._client.wait([o for o in ours if not o.ended_badly], progress=progress)
                now = await self._client.get_branch(branch.project_id, branch.id)
                if now.last_reset_at != branch.last_reset_at:
                    return
                if attempt == 2:
                    raise
            else:
                await self._client.wait(operations, progress=progress)
                return

    def forget(self, branch: Branch) -> None:
        """Drops everything remembered of the branch, as after a login that its Postgres refused."""
        self._lists.forget(lambda key: key == branch.project_id)
        self._facts.forget(lambda key: key[1] == branch.id)
        self._databases.forget(lambda key: key[1] == branch.id)
        self._uris.forget(lambda key: key[1] == branch.id)
        for known in [k for k in self._passwords if k[0] == branch.id]:
            del self._passwords[known]

    def _remember(self, branch: Branch, passwords: Mapping[str, Secret]) -> None:
        self._passwords |= {(branch.id, role): password for role, password in passwords.items()}

    def created_by_us(self, branch: Branch) -> bool:
        """This server made the branch, by its annotation."""
        return ownership.created_by_us(branch)


def _match(branches: Sequence[Branch], wanted: str | None) -> Branch | None:
    """Ids go before names: nobody can shadow a branch by naming another one after its id."""
    by_name: Branch | None = None
    for branch in branches:
        if branch.id == wanted or (branch.default and not wanted):
            return branch
        if by_name is None and branch.name == wanted:
            by_name = branch
    return by_name


def _above(branch: Branch, branches: Sequence[Branch]) -> Sequence[Branch]:
    """Its ancestors, and the default branch, which a schema-only branch may have come from."""
    known = {b.id: b for b in branches}
    found = {b.id: b for b in branches if b.default}
    parent = known.get(branch.parent_id or "")
    while parent is not None and parent.id not in {*found, branch.id}:
        found[parent.id] = parent
        parent = known.get(parent.parent_id or "")
    found.pop(branch.id, None)
    return list(found.values())


def _names(names: Iterable[str]) -> str:
    found = sorted(names)
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return ", ".join(found[:_SHOWN]) + more if found else "none"


_USERINFO = re.compile(r"^(?P<user>[^:@]*)(?::(?P<password>[^@]*))?@(?P<rest>.*)$")


def password_of(uri: Secret) -> str | None:
    """The password in a connection URI, as it is written there (percent-encoded)."""
    match = _USERINFO.match(urlsplit(uri.reveal()).netloc)
    return (match.group("password") or None) if match else None


def with_password(uri: Secret, password: Secret | None) -> Secret:
    """The URI with `password` where it has none of its own."""
    if password is None:
        return uri
    parts = urlsplit(uri.reveal())
    match = _USERINFO.match(parts.netloc)
    if match is None or match.group("password"):
        return uri
    netloc = f"{match.group('user')}:{quote(password.reveal(), safe='')}@{match.group('rest')}"
    return Secret(urlunsplit(parts._replace(netloc=netloc)))
