"""What reset_branch does with a branch's migrations: read and keep them safe, then apply them again on the fresh data."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import anyio

from ..audit import default_path
from ..errors import Conflict, NeonBranchError, SqlError
from ..migrations.ledger import LedgerEntry, read_ledger
from ..migrations.replay import Replayed, executed_sql, keep
from ..models import Branch
from .context import Place, ToolContext

Ledgers = Mapping[str, Sequence[LedgerEntry]]


async def ledgers_of(ctx: ToolContext, branch: Branch) -> Ledgers:
    """The migrations of each of the branch's databases that has any. Only reads."""
    workspace = await ctx.workspace()
    found: dict[str, Sequence[LedgerEntry]] = {}
    for database in await workspace.branches.databases(branch, fresh=True):
        place = await ctx.place_on(branch, database.name)
        async with ctx.app.executor.session(place.target, purpose="ledger") as conn:
            if entries := await read_ledger(conn):
                found[database.name] = entries
    return found


def keep_safe(ctx: ToolContext, branch: Branch, ledgers: Ledgers) -> Path | None:
    """Write them beside the audit before the branch that holds them is thrown away; None where there is nothing to keep."""
    folder = (ctx.app.config.audit.path or default_path()).parent
    return keep(folder, branch.id, ledgers) if ledgers else None


async def replay(ctx: ToolContext, branch: Branch, ledgers: Ledgers, kept: Path | None) -> list[Replayed]:
    """Apply them again, in order. Raises the error of the first that no longer fits, saying which it is and what was done before.

    The file with the scripts is removed once all are applied.
    """
    done: list[Replayed] = []
    for database, entries in ledgers.items():
        place = await ctx.place_on(branch, database)
        for i, entry in enumerate(entries):
            try:
                done.append(await _again(ctx, place, entry))
            except NeonBranchError as exc:
                raise _no_longer_fits(exc, branch, entry, [e.name for e in entries[i + 1 :]], done, kept) from exc
    if kept is not None:
        await anyio.Path(kept).unlink(missing_ok=True)
    return done


async def _again(ctx: ToolContext, place: Place, entry: LedgerEntry) -> Replayed:
    # Here, because a server's first answers would else wait for all that it imports.
    from ..migrations.apply import apply

    limits = ctx.app.config.sql
    report = await apply(
        ctx.app.executor,
        place.target,
        name=entry.name,
        sql=executed_sql(entry),
        version=entry.version,
        lock_timeout=limits.lock_timeout,
        statement_timeout=limits.statement_timeout,
        who=entry.applied_by,
        progress=ctx.progress,
    )
    return Replayed(entry.name, report.state, place.database.name, report.verdict)


def _no_longer_fits(
    exc: NeonBranchError,
    branch: Branch,
    entry: LedgerEntry,
    after: Sequence[str],
    done: Sequence[Replayed],
    kept: Path | None,
) -> NeonBranchError:
    again = ", ".join(r.name for r in done) or "none"
    rest = f" Not tried: {', '.join(after)}." if after else ""
    where = f" All scripts are kept in {kept}." if kept else ""
    fits = f"Migration {entry.name!r} no longer fits: {exc.message}"
    story = f"{branch.name} was reset from its parent. Applied again: {again}. {fits}{rest}{where}"
    return SqlError(story, exc.fields) if isinstance(exc, SqlError) else Conflict(story)
