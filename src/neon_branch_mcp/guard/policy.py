"""Who may do what where: branch facts × what a statement is × settings → Allow or Refuse. Pure.

The only maker of VettedSql, and the executor runs nothing else.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Literal

from ..config import PolicyConfig
from ..errors import Refused
from ..models import Access, Branch
from .functions import FunctionCatalogue, Harm, judge, judge_calls, judge_plan
from .lexer import NO_NAMES, Names
from .statements import Report, holds_code

Intent = Literal["query", "run_sql", "explain", "explain_analyze", "migration"]
Channel = Literal["cursor", "exec", "any"]
"""`cursor`: DECLARE … CURSOR FOR the text. `exec`: the extended protocol, one statement. `any`: whatever Postgres allows."""
ON_A_BRANCH = "Run it on a branch: create_branch, then run_sql with branch=…."
ONE_BY_ONE = "Send them one by one; on a branch that may be written, run_sql runs several at once."
MAY_REACH = "The operator can allow it with policy.reach_beyond."
_MAKER = object()


@dataclass(frozen=True)
class BranchAccess:
    """What may be done on a branch, and the words that say why it is read-only."""

    access: Access
    reason: str = ""


@dataclass(frozen=True)
class Layers:
    """Which layers of the guard stand. All of them, always: no setting reaches this. Tests take one away to show the others hold."""

    statement: bool = True
    functions: bool = True
    protocol: bool = True
    transaction: bool = True
    plan: bool = True


ALL_LAYERS = Layers()


@dataclass(frozen=True)
class VettedSql:
    """A text that the policy lets the executor run, and how.

    `prefix` is what we put before the caller's own text (EXPLAIN and its options). `body` is where, in the text, the statement begins
    that EXPLAIN (VERBOSE) can show before it runs; None when there is nothing to show. `rollback`: whatever it does is undone.
    `watched`: it runs in one transaction that the executor looks at before it commits. `logins` are the roles whose login it changes.
    """

    text: str
    access: Access
    channel: Channel
    intent: Intent
    where: str
    prefix: str = ""
    body: int | None = None
    uses: Names = NO_NAMES
    rollback: bool = False
    watched: bool = False
    statements: int = 1
    changes_schema: bool = False
    logins: tuple[str, ...] = ()
    catalogue: FunctionCatalogue | None = None
    layers: Layers = ALL_LAYERS
    maker: object = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.maker is not _MAKER:
            raise TypeError("only guard.policy makes a VettedSql")

    def judge_again(self, catalogue: FunctionCatalogue) -> "Refuse | None":
        """The same judgement with fresher facts of the catalogue."""
        if not self.layers.functions:
            return None
        harm = judge(self.uses, catalogue)
        return None if harm is None else self._refuse(harm)

    def judge_plan(self, plan: str, catalogue: FunctionCatalogue) -> "Refuse | None":
        """What EXPLAIN (VERBOSE) shows the statement would really call and read."""
        harm = judge_plan(plan, catalogue)
        return None if harm is None else self._refuse(harm)

    def reached_beyond(self, how: str) -> "Refuse":
        """What it did, seen before it was committed, is what the policy refuses."""
        return Refuse("reach-beyond", f"{self.where}: it {how}.", MAY_REACH, outcome="It was rolled back.")

    def _refuse(self, harm: Harm) -> "Refuse":
        return Refuse(harm.rule, f"{self.where}: this statement {harm.reason}.", _remedy(self.intent))


@dataclass(frozen=True)
class Allow:
    """It may run, as `vetted` says."""

    vetted: VettedSql


@dataclass(frozen=True)
class Refuse:
    """It may not: the rule that says so, the reason, and the way out."""

    rule: str
    reason: str
    remedy: str = ""
    outcome: str = "Nothing was executed."

    def error(self) -> Refused:
        """As an error of the tree."""
        return Refused(f"{self.reason} {self.outcome}", rule=self.rule, remedy=self.remedy)


def access_of(branch: Branch, policy: PolicyConfig, created_by_us: bool) -> BranchAccess:
    """Read-only for the default branch, protected ones, patterned ones, and what `policy.write` leaves out."""
    if branch.default:
        return BranchAccess("read-only", "the default branch")
    if branch.protected:
        return BranchAccess("read-only", "a protected branch")
    for pattern in policy.read_only:
        if fnmatchcase(branch.name, pattern):
            return BranchAccess("read-only", f'named by policy.read_only ("{pattern}")')
    if policy.write == "none":
        return BranchAccess("read-only", 'with policy.write = "none"')
    if policy.write == "own" and not created_by_us:
        return BranchAccess("read-only", 'not created by this server, with policy.write = "own"')
    return BranchAccess("read-write")


def may_delete(branch: Branch, branches: Sequence[Branch], policy: PolicyConfig, created_by_us: bool) -> Refuse | None:
    """None when `branch` may be deleted or reset. `branches` are all of the project: one with children is not deleted."""
    shown = f'Refused for "{branch.name}"'
    if branch.default:
        return Refuse("delete-default", f"{shown}: it is the default branch.")
    if branch.protected:
        return Refuse(
            "delete-protected", f"{shown}: it is protected.", "Only a person can lift that, in Neon's console."
        )
    if branch.is_root:
        return Refuse("delete-root", f"{shown}: it is a root branch.")
    for pattern in policy.read_only:
        if fnmatchcase(branch.name, pattern):
            return Refuse("delete-pattern", f'{shown}: policy.read_only names it ("{pattern}").')
    if policy.delete == "none":
        return Refuse("delete-none", f'{shown}: policy.delete is "none".')
    if policy.delete == "own" and not created_by_us:
        return Refuse(
            "delete-own",
            f'{shown}: this server did not create it, and policy.delete is "own".',
            "Its owner can delete it.",
        )
    children = [b.name for b in branches if b.parent_id == branch.id]
    if children:
        return Refuse(
            "delete-children", f"{shown}: it has children ({', '.join(sorted(children))}).", "Delete those first."
        )
    return None


def decide(
    sql: str,
    report: Report,
    *,
    branch: Branch,
    access: BranchAccess,
    intent: Intent,
    policy: PolicyConfig,
    catalogue: FunctionCatalogue | None,
    elsewhere: Collection[str] = (),
    layers: Layers = ALL_LAYERS,
) -> Allow | Refuse:
    """Whether `sql` may run, and how. `catalogue` None: judge the text alone (the caller judges again with it before anything runs).

    `elsewhere` are identifiers of the project's other endpoints, which a statement on a branch may not name.
    """
    if access.access == "read-only" or intent == "query":
        return _decide_read(sql, report, branch, access, intent, policy, catalogue, layers)
    return _decide_write(sql, report, branch, intent, policy, catalogue, elsewhere, layers)


def where(branch: Branch, access: BranchAccess, intent: Intent) -> str:
    """How a refusal begins."""
    if access.access == "read-only":
        return f'Refused on "{branch.name}", {access.reason} (read-only here)'
    return f'Refused on "{branch.name}": {intent} only reads, on every branch'


def _remedy(intent: Intent) -> str:
    return "run_sql can run it on a branch that may be written." if intent == "query" else ON_A_BRANCH


def _decide_read(
    sql: str,
    report: Report,
    branch: Branch,
    access: BranchAccess,
    intent: Intent,
    policy: PolicyConfig,
    catalogue: FunctionCatalogue | None,
    layers: Layers,
) -> Allow | Refuse:
    begin = where(branch, access, intent)
    explains = intent in ("explain", "explain_analyze")
    if layers.statement and (reason := _not_a_read(report, policy, intent)) is not None:
        remedy = ONE_BY_ONE if report.rule == "one-statement" and intent == "query" else _remedy(intent)
        return Refuse(report.rule or "statement", f"{begin}: {reason}{_at(sql, report)}.", remedy)
    if layers.functions and report.outside is not None:
        reason = f"it names {report.outside}(), which acts beyond this transaction or runs SQL given as text"
        return Refuse("function", f"{begin}: {reason}.", _remedy(intent))
    channel: Channel = "cursor"
    if explains or report.kind in ("show", "explain", "explain-analyze"):
        channel = "exec"
    if not layers.protocol:
        channel = "any"
    vetted = VettedSql(
        text=sql,
        access="read-only",
        channel=channel,
        intent=intent,
        where=begin,
        prefix=EXPLAIN_PREFIX[intent] if explains else "",
        body=_shown_body(report, layers) if layers.plan else None,
        uses=report.uses,
        catalogue=catalogue,
        layers=layers,
        maker=_MAKER,
    )
    if catalogue is not None and (refused := vetted.judge_again(catalogue)) is not None:
        return refused
    return Allow(vetted)


EXPLAIN_PREFIX = {
    "explain": "EXPLAIN (FORMAT JSON, VERBOSE) ",
    "explain_analyze": "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON, VERBOSE) ",
}


def _not_a_read(report: Report, policy: PolicyConfig, intent: Intent) -> str | None:
    """Why the text is not shown to only read; None when it is."""
    kind = report.kind
    if intent in ("explain", "explain_analyze"):
        if kind in ("explain", "explain-analyze"):
            return "give explain_sql the statement itself, without EXPLAIN"
        if intent == "explain" and kind == "other" and report.count == 1 and report.heads[0] in EXPLAINABLE:
            return None
    elif kind in ("show", "explain", "explain-analyze"):
        return None
    if kind == "read":
        return None
    if kind == "unparsed" and policy.unparsed_reads:
        return None
    return report.reason or "it is not understood"


EXPLAINABLE = frozenset({"INSERT", "UPDATE", "DELETE", "MERGE"})


def _shown_body(report: Report, layers: Layers) -> int | None:
    shown = report.kind in ("read", "unparsed", "explain-analyze") or not layers.statement
    return report.body if shown else None


def _at(sql: str, report: Report) -> str:
    """` (line 1, column 9)` where the report knows it."""
    if report.offset is None:
        return ""
    before = sql[: report.offset]
    return f" (line {before.count(chr(10)) + 1}, column {len(before) - before.rfind(chr(10))})"


def _decide_write(
    sql: str,
    report: Report,
    branch: Branch,
    intent: Intent,
    policy: PolicyConfig,
    catalogue: FunctionCatalogue | None,
    elsewhere: Collection[str],
    layers: Layers,
) -> Allow | Refuse:
    begin = f'Refused on "{branch.name}"'
    if report.kind == "bad":
        return Refuse(report.rule, f"{begin}: {report.reason}{_at(sql, report)}.")
    explains = intent in ("explain", "explain_analyze")
    if explains and report.count != 1:
        return Refuse("one-statement", f"{begin}: explain_sql explains one statement; this text has {report.count}.")
    if explains and report.kind in ("explain", "explain-analyze"):
        return Refuse("statement", f"{begin}: give explain_sql the statement itself, without EXPLAIN.")
    if not policy.reach_beyond and (harm := _beyond(sql, report, catalogue, elsewhere, intent)) is not None:
        return Refuse(
            harm.rule,
            f"{begin}: this statement {harm.reason}. A branch's copies of servers, passwords and subscriptions still lead to the "
            "real ones.",
            MAY_REACH,
        )
    read = report.kind == "read" and catalogue is not None and judge_calls(report.calls, catalogue) is None
    channel: Channel = "exec" if explains else "cursor" if read else "any"
    return Allow(
        VettedSql(
            text=sql,
            # A plan alone changes nothing and is asked for in a transaction that cannot.
            access="read-only" if intent == "explain" else "read-write",
            channel=channel,
            intent=intent,
            where=begin,
            prefix=EXPLAIN_PREFIX[intent] if explains else "",
            rollback=intent == "explain_analyze",
            watched=channel != "exec" and not policy.reach_beyond and _needs_watching(report, catalogue),
            statements=report.count,
            changes_schema=not DATA_ONLY.issuperset(report.heads),
            logins=report.logins,
            catalogue=catalogue,
            layers=layers,
            maker=_MAKER,
        )
    )


# These leave functions and tables as they are; after anything else what is remembered of the catalogue is forgotten.
DATA_ONLY = frozenset(
    {"SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "VALUES", "TABLE", "WITH", "SHOW", "EXPLAIN", "VACUUM", "ANALYZE"}
)


# Statements that must be a transaction of their own, besides those that say CONCURRENTLY. None runs a user's code beyond an index's.
ALONE = re.compile(
    r"VACUUM|REINDEX|CLUSTER|DISCARD|ALTER SYSTEM|(?:CREATE|DROP|ALTER) (?:DATABASE|TABLESPACE\b.*|SUBSCRIPTION)|PREPARE TRANSACTION"
    r"|COMMIT|ROLLBACK|BEGIN|START TRANSACTION|END|ABORT"
)


def _needs_watching(report: Report, catalogue: FunctionCatalogue | None) -> bool:
    """It may reach another server in ways that its text does not show, and takes to one transaction.

    Several statements are one transaction anyway unless they say otherwise. What commits by itself cannot be watched.
    """
    if report.commits or len(report.heads) < report.count:
        return False
    if report.count == 1 and (ALONE.fullmatch(report.heads[0]) or "concurrently" in report.names):
        return False
    if catalogue is None:
        return "DO" in report.heads
    if catalogue.leads_away:
        return True
    # A procedure may commit on its way.
    return "CALL" not in report.heads and ("DO" in report.heads or not catalogue.own.isdisjoint(report.calls))


def _beyond(
    sql: str, report: Report, catalogue: FunctionCatalogue | None, elsewhere: Collection[str], intent: Intent
) -> Harm | None:
    """What reaches another server from a branch that may be written."""
    if report.beyond_statement is not None:
        return Harm("reach-beyond", f"is {report.beyond_statement}, which connects to another server")
    if report.beyond is not None:
        return Harm("reach-beyond", f"calls {report.beyond}, which connects to another server")
    if catalogue is not None and (harm := _unwatchable(report, catalogue, intent)) is not None:
        return harm
    folded = sql.lower()
    for endpoint in elsewhere:
        if endpoint and endpoint.lower() in folded:
            return Harm("reach-beyond", f"names {endpoint}, an endpoint of another branch")
    if catalogue is not None:
        words = set(report.names)
        if any(map(holds_code, report.heads)):
            words.update(re.findall(r"\w+", folded))
        for relation in sorted(catalogue.foreign & words):
            return Harm("reach-beyond", f"names {relation}, whose rows live on another server")
    return None


def _unwatchable(report: Report, catalogue: FunctionCatalogue, intent: Intent) -> Harm | None:
    """Code that cannot be seen, in a database from which it could reach others before anybody looks."""
    at_once = [name for name in catalogue.ways if not name.startswith("postgres_fdw")]
    if report.assembles and at_once:
        return Harm("reach-beyond", f"runs SQL that it puts together, where {at_once[0]} can connect to other servers")
    if (
        catalogue.leads_away and report.commits and intent != "migration"
    ):  # a migration's own transactions are looked at
        return Harm(
            "reach-beyond",
            "runs code and commits it by itself, where foreign tables can lead to other servers; without BEGIN and COMMIT all "
            "statements of a call are one transaction, which is looked at before it commits",
        )
    return None


def two_statements(layers: Layers = ALL_LAYERS) -> VettedSql:
    """Two statements that claim to be one vetted read. The executor's self-test sends them; the server must refuse."""
    return VettedSql(
        text="SELECT 1; SELECT 2",
        access="read-only",
        channel="cursor" if layers.protocol else "any",
        intent="query",
        where="Refused by the self-test",
        layers=layers,
        maker=_MAKER,
    )
