"""Nothing that lasts: every attack, over every layer, and with each layer taken away in turn."""

import json
from collections.abc import Collection
from dataclasses import replace

import anyio
import pytest

from neon_branch_mcp.config import PolicyConfig, SqlConfig
from neon_branch_mcp.errors import NeonBranchError, Refused
from neon_branch_mcp.guard.policy import Layers

from .attacks import GIVEN, KINDS, Attack, attacks
from .cases import ATTACKS, READS
from .conftest import DEV, Client, MakeClient
from .sweep import NONE
from .world import Probe, rest

pytestmark = pytest.mark.anyio
QUICK = SqlConfig(read_timeout=4, lock_timeout=1)
BATCH = 20
# Z10 is an honest string. Both logins are above row-level security, so that policy's function is never called.
NO_ATTACK = {"Z10", "I21", "indirect-46", "indirect-47"}
TRANSACTIONAL = tuple(kind for kind in KINDS if kind.startswith(("tx-", "hidden-dml", "lexer")))
CALLS = tuple(kind for kind in KINDS if kind.startswith(("func", "indirect", "behind")))
# Layer → the classes of attacks for which it is not the only one.
SWITCHES = {
    "statement": KINDS,
    "functions": CALLS,
    "plan": CALLS,
    "protocol": ("given", *TRANSACTIONAL),
    "transaction": ("given", *TRANSACTIONAL),
}
# What may last while a layer is away: signals to other sessions, and that a trap was called. Not a table, a setting, a file.
SIGNALS = {"bystander", "traps"}


async def attempt(client: Client, attack: Attack, probe: Probe) -> list[NeonBranchError | None]:
    """What each call of it came to; None: it gave an answer."""
    outcomes: list[NeonBranchError | None] = []
    pid = str(probe.bystander.info.backend_pid)
    for text in attack.calls:
        try:
            await client(text.replace("{pid}", pid))
            outcomes.append(None)
        except NeonBranchError as exc:
            outcomes.append(exc)
    return outcomes


async def every(
    client: Client, probe: Probe, kinds: Collection[str] = KINDS, but: Collection[str] = (), step: int = 1
) -> tuple[list[str], set[str]]:
    """All attacks of these classes, in batches: what each batch changed, and which attacks got an answer."""
    changed: list[str] = []
    answered: set[str] = set()
    state = probe.state()
    waiting = [attack for attack in attacks() if attack.kind in kinds and attack.kind != "parser"][::step]
    while waiting:
        batch, waiting = waiting[:BATCH], waiting[BATCH:]
        for attack in batch:
            if (await attempt(client, attack, probe))[-1] is None:
                answered.add(attack.id)
        await rest()
        now = probe.state()
        if difference := now.changed_since(state).difference(but):
            changed.append(f"{sorted(difference)} by one of {', '.join(a.id for a in batch)}")
        state = now
    return changed, answered


@pytest.mark.parametrize("role", ["owner", "superuser"])
async def test_no_attack_leaves_anything_or_gets_an_answer(
    role: str, database_uri: str, superuser_uri: str, probe: Probe, make_client: MakeClient
) -> None:
    client = await make_client(database_uri if role == "owner" else superuser_uri, sql=QUICK)
    changed, answered = await every(client, probe, step=2 if role == "superuser" else 9)
    assert changed == []
    assert answered <= NO_ATTACK


@pytest.mark.parametrize("off", SWITCHES)
async def test_without_one_layer_the_others_let_no_table_change(
    off: str, superuser_uri: str, probe: Probe, make_client: MakeClient
) -> None:
    layers = Layers(**{off: False})
    client = await make_client(superuser_uri, sql=QUICK, layers=layers)
    changed, _ = await every(client, probe, SWITCHES[off], but=SIGNALS, step=5)
    assert changed == []


NOT_TABLES = SIGNALS | {"locks", "sequences", "statistics", "settings"}


@pytest.mark.parametrize("alone", ["statement", "protocol transaction"])
async def test_one_layer_alone_lets_no_table_change(
    alone: str, superuser_uri: str, probe: Probe, make_client: MakeClient
) -> None:
    """A sample; `tools/attack` plays all attacks against every layer alone."""
    layers = replace(NONE, **dict.fromkeys(alone.split(), True))
    client = await make_client(superuser_uri, sql=QUICK, layers=layers)
    changed, _ = await every(client, probe, TRANSACTIONAL, but=NOT_TABLES, step=6)
    assert changed == []


async def test_reads_run(client: Client) -> None:
    refused = {}
    texts = [*READS, *(text for case in GIVEN if case.get("label") == "benign" for text in case["calls"])]
    for text in texts:
        try:
            await client(text)
        except NeonBranchError as exc:
            refused[text] = exc.render()
    assert refused == {}


async def test_limits_hold_and_say_so(client: Client) -> None:
    for case in GIVEN:
        if case["class"] == "limit":
            answer = await client(case["calls"][0])
            assert len(json.dumps(answer.rows)) <= 33_000
            assert answer.truncated or "characters" in str(answer.rows[0][0])


async def test_writes_that_are_refused_on_main_run_on_a_branch(client: Client, probe: Probe) -> None:
    for case in GIVEN:
        if case.get("label") == "benign-write":
            with pytest.raises(Refused):
                await client(case["calls"][0])
            await client(case["calls"][0], branch=DEV)
    assert probe.conn.execute("SELECT count(*) FROM legacy").fetchone() == (49,)


def test_the_probe_sees_what_it_is_for(probe: Probe) -> None:
    """Each kind of effect, made on purpose, shows: a probe that is blind would pass everything."""
    seen: set[str] = set()
    effects = (
        "CREATE TABLE made (i int)",
        "UPDATE canary SET v = 1",
        "SELECT nextval('counter')",
        "SELECT pg_notify('deploy', 'x')",
        "SELECT pg_stat_reset()",
        "SELECT pg_reload_conf(), pg_sleep(0.3)",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'bystander'",
        "SELECT pg_advisory_lock(1)",  # last: each look waits for a lock that may be on its way out
    )
    state = probe.state()
    for effect in effects:
        probe.conn.execute(effect.encode())
        now = probe.state()
        difference = now.changed_since(state)
        assert difference, effect
        seen |= difference
        state = now
    assert {"catalogue", "data", "sequences", "locks", "bystander", "statistics", "settings"} <= seen


async def test_unparsed_reads_hold_as_hard(superuser_uri: str, probe: Probe, make_client: MakeClient) -> None:
    client = await make_client(superuser_uri, sql=QUICK, policy=PolicyConfig(unparsed_reads=True))
    changed, answered = await every(client, probe, [kind for kind in KINDS if not kind.startswith("tx-")], step=5)
    assert changed == []
    assert answered <= NO_ATTACK


@pytest.mark.parametrize("text", ATTACKS["parser"], ids=lambda text: f"{text[:12]!r}-{len(text)}")
async def test_a_text_made_to_choke_the_parser_is_refused_in_time_and_harms_nobody(
    text: str, parser_client: Client
) -> None:
    with anyio.fail_after(20):  # 2 s for the text; the rest is for starting workers on a machine that does other things
        with pytest.raises(NeonBranchError):
            await parser_client(text)
        assert (await parser_client("SELECT 42")).rows == [[42]]
