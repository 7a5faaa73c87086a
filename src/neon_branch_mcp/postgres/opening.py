"""Beginning to read: a READ ONLY transaction in which the guard's second layer holds for what that very transaction sees.

What the database is known to say is judged beforehand, so that all of it takes one round trip; the server itself goes no further where
it says something else by now.
"""

import anyio.to_thread
import psycopg

from ..guard.functions import FunctionCatalogue
from ..guard.policy import Refuse
from .call import Call, roll_back
from .catalogue import STAMP_DIFFERS, is_quiet, openings
from .rows import RowSet
from .wire import Moment, Wire

JUDGED, JUDGED_LENGTH = 64, 10_000
"""Texts, and characters of one, that a session remembers to have judged."""
LARGE_PLAN = 100_000
"""Characters of a plan (some hundred partitions) that are not read where other callers would wait for it."""


async def read_again(wire: Wire, call: Call, known: FunctionCatalogue, limits: tuple[str, str, str]) -> RowSet | None:
    """All in one round trip, for a text whose plan was judged in this session before: it begins and goes on only where nothing was
    committed since. None where it was not judged, or something was; no transaction is open then.
    """
    moment = wire.moment
    if moment is None or call.vetted.text not in moment.judged or not call.is_remembered:
        return None
    if not is_quiet(moment, known.stamp):
        return None
    call.foresee(moment.judged[call.vetted.text] + 1)
    try:
        return await call.rows(wire, next(openings(known.stamp, limits, moment)).statements)
    except psycopg.Error as exc:
        await _only_for_another_stamp(wire, exc)
        return None


async def open_known(wire: Wire, call: Call, known: FunctionCatalogue, limits: tuple[str, str, str]) -> bool:
    """Begin, and judge the plan; False, and no transaction, where the catalogue is no longer the one that is `known`. Raises Refused."""
    for opening in openings(known.stamp, limits, wire.moment):
        try:
            plan, said = await call.open(wire, opening.statements)
        except psycopg.Error as exc:
            await _only_for_another_stamp(wire, exc)
        else:
            wire.moment = opening.moment(said)
            await judge(call, plan, known)
            if plan is not None and call.is_remembered and not known.shown_late:
                # Nothing is committed, but time goes by: what planning leaves out for what the time is ('now' in the text, a function that
                # is IMMUTABLE by label) may come in later. So only where no plan can show what must not be used.
                _remember(wire.moment, call.vetted.text)
            return True
    return False


def has_read(wire: Wire, call: Call, rows: RowSet) -> None:
    """How much of what was asked for an answer has room for: the same is read at once next time."""
    if wire.moment is not None and call.vetted.text in wire.moment.judged:
        wire.moment.judged[call.vetted.text] = len(rows.rows)


async def judge(call: Call, plan: str | None, catalogue: FunctionCatalogue) -> None:
    """The guard's word on the plan. Raises Refused."""
    if plan is None or len(plan) < LARGE_PLAN:
        verdict = call.judge_plan(plan, catalogue)
    else:
        verdict = await anyio.to_thread.run_sync(call.judge_plan, plan, catalogue)
    raise_refused(verdict)


def raise_refused(verdict: Refuse | None) -> None:
    """Raises Refused where the verdict is one."""
    if verdict is not None:
        raise verdict.error()


async def _only_for_another_stamp(wire: Wire, error: psycopg.Error) -> None:
    """Leaves the transaction that another catalogue ended; raises what ended it otherwise."""
    wire.moment = None
    if error.sqlstate != STAMP_DIFFERS:
        raise error
    await roll_back(wire)


def _remember(moment: Moment | None, text: str) -> None:
    """That the text's plan may be run again."""
    if moment is None or len(text) > JUDGED_LENGTH:
        return
    if len(moment.judged) >= JUDGED:
        moment.judged.clear()
    moment.judged[text] = 0
