"""The guard as one thing: text → worker → policy, with the facts of the database's catalogue where they are needed."""

from collections import OrderedDict
from collections.abc import Collection
from typing import Protocol

from ..config import PolicyConfig
from ..models import Branch
from .functions import FunctionCatalogue
from .policy import ALL_LAYERS, BranchAccess, Intent, Layers, Refuse, VettedSql, decide
from .statements import Report
from .statements_pool import StatementPool
from .statements_process import Spawned


class CatalogueSource(Protocol):
    """Facts of the database that a statement is for. `fresh`: read now, not remembered."""

    async def __call__(self, *, fresh: bool = False) -> FunctionCatalogue: ...


class Guard:
    """Vets SQL. One per server; `aclose` ends its worker processes. `spawned`: the first of them, where it was started already."""

    def __init__(self, policy: PolicyConfig, *, layers: Layers = ALL_LAYERS, spawned: Spawned | None = None) -> None:
        self._policy = policy
        self._layers = layers
        self._pool = StatementPool(spawned=spawned)
        self._reads: OrderedDict[tuple[str, str, BranchAccess, Intent], tuple[Report, VettedSql]] = OrderedDict()

    async def warm(self) -> None:
        """Start what the first statement would otherwise wait for."""
        await self._pool.warm()

    async def vet(
        self,
        sql: str,
        *,
        branch: Branch,
        access: BranchAccess,
        intent: Intent,
        catalogue: CatalogueSource,
        elsewhere: Collection[str] = (),
    ) -> VettedSql:
        """`sql` as the executor takes it, or Refused. The database is asked only when the text alone is not refused already."""
        reading = access.access == "read-only" or intent == "query"
        report = await self._report(sql, reading=reading)
        asked = (sql, branch.name, access, intent)
        # Nothing but these, the report and the catalogue decides about a read (`decide`): by the same ones it was decided before.
        if reading and (before := self._reads.get(asked)) is not None and before[0] is report:
            self._reads.move_to_end(asked)
            if before[1].catalogue is await catalogue(fresh=False):
                return before[1]

        def judged(facts: FunctionCatalogue | None) -> VettedSql | Refuse:
            verdict = decide(
                sql,
                report,
                branch=branch,
                access=access,
                intent=intent,
                policy=self._policy,
                catalogue=facts,
                elsewhere=elsewhere,
                layers=self._layers,
            )
            return verdict if isinstance(verdict, Refuse) else verdict.vetted

        for facts in (None, False, True):
            verdict = judged(None if facts is None else await catalogue(fresh=facts))
            # Remembered facts may be stale: they refuse only when fresh ones do too.
            if isinstance(verdict, Refuse) and facts is not False:
                raise verdict.error()
            if isinstance(verdict, VettedSql) and facts is not None:
                if reading:
                    self._reads[asked] = report, verdict
                    while len(self._reads) > REMEMBERED_READS:
                        self._reads.popitem(last=False)
                return verdict
        raise AssertionError("the last round always decides")

    async def _report(self, sql: str, *, reading: bool) -> Report:
        if reading:
            return await self._pool.report(sql, "read")
        if len(sql) > PARSED_WRITE:
            return await self._pool.report(sql, "script")
        report = await self._pool.report(sql, "write")
        # Where writing is allowed, a text that the parser cannot take is not the guard's business.
        return await self._pool.report(sql, "script") if report.kind == "bad" and report.rule == "parse" else report

    async def aclose(self) -> None:
        """End the worker processes."""
        await self._pool.aclose()


REMEMBERED_READS = 256
PARSED_WRITE = 20_000  # where writing is allowed, a longer text is no SELECT whose rows are worth stopping early
