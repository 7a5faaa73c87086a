"""The audit: what it holds, and that its chain shows every change, cut and gap."""

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest

from neon_branch_mcp import audit_chain
from neon_branch_mcp.app import Caller, open_app
from neon_branch_mcp.audit import Audit, Entry, LogFile, Outcome
from neon_branch_mcp.config import AuditConfig, Config
from neon_branch_mcp.errors import Refused
from neon_branch_mcp.tools.context import ToolContext
from neon_branch_mcp.tools.runner import ToolRunner, unheard
from neon_branch_mcp.tools.spec import ToolSpec

pytestmark = pytest.mark.anyio


def make(path: Path, **settings: Any) -> Audit:
    return Audit(AuditConfig(path=path, **settings))


def records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for _, _, line in audit_chain.lines(path)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "audit.jsonl"


async def test_a_write_is_on_disk_before_it_is_sent_and_its_outcome_after(path: Path) -> None:
    audit = make(path)
    token = await audit.begin(Entry("run_sql", "write", branch="dev", sql="DELETE FROM users"))
    (begun,) = records(path)
    assert (begun["event"], begun["sql"], begun["branch"]) == ("begin", "DELETE FROM users", "dev")
    await audit.end(token, Outcome(rows=3))
    ended = records(path)[1]
    assert (ended["event"], ended["call"], ended["rows"]) == ("end", begun["call"], 3)
    assert audit_chain.verify(path) == audit_chain.Verdict(2, 1, 0, None)


async def test_a_read_is_one_line(path: Path) -> None:
    audit = make(path)
    token = await audit.begin(Entry("query", "read", sql="SELECT 1"))
    assert not path.exists()
    await audit.end(token, Outcome(rows=1))
    (line,) = records(path)
    assert (line["event"], line["decision"], line["result"], line["sql"]) == ("call", "allowed", "ok", "SELECT 1")


async def test_a_read_that_finds_the_log_taken_waits_without_holding_up_the_others(path: Path) -> None:
    audit = make(path)
    await audit.record(Entry("query", "read"), Outcome())
    with audit_chain.head_path(path).open("r+b") as head:
        fcntl.flock(head, fcntl.LOCK_EX)  # another process writes
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(audit.record, Entry("query", "read", sql="SELECT 2"), Outcome())
            for _ in range(20):
                await anyio.sleep(0.001)
            assert len(records(path)) == 1
            fcntl.flock(head, fcntl.LOCK_UN)
    assert [r.get("sql") for r in records(path)] == [None, "SELECT 2"]
    assert audit_chain.verify(path).problem is None


def test_what_another_process_added_is_read_on_the_spot_unless_it_is_much(path: Path) -> None:
    ours, theirs = LogFile(path, 1 << 20), LogFile(path, 1 << 20)
    ours.append({"n": 1}, durable=False)
    theirs.append({"n": 2}, durable=False)
    ours.append({"n": 3}, durable=False, wait=False)
    assert [record["n"] for record in records(path)] == [1, 2, 3]
    for _ in range(9):
        theirs.append({"sql": "x" * 8_000}, durable=False)
    with pytest.raises(BlockingIOError):
        ours.append({"n": 4}, durable=False, wait=False)
    ours.append({"n": 4}, durable=False)
    assert audit_chain.verify(path) == audit_chain.Verdict(13, 1, 0, None)


async def test_a_text_with_half_of_a_surrogate_pair_is_recorded_as_it_is(path: Path) -> None:
    audit = make(path)
    await audit.record(Entry("query", "read", sql="SELECT '\ud83d \u00e9 \U0001f418'"), Outcome())
    await audit.record(Entry("query", "read", sql="SELECT '\u00e9 \U0001f418'"), Outcome())
    assert [line["sql"] for line in records(path)] == [
        "SELECT '\ud83d \u00e9 \U0001f418'",
        "SELECT '\u00e9 \U0001f418'",
    ]
    assert audit_chain.verify(path) == audit_chain.Verdict(2, 1, 0, None)
    assert "\u00e9 \U0001f418" in path.read_text(encoding="utf-8"), "a person reads it"


async def test_a_refusal_names_its_rule(path: Path) -> None:
    await make(path).record(Entry("run_sql", "write", sql="DROP TABLE users"), Outcome("refused", rule="kind"))
    (line,) = records(path)
    assert (line["decision"], line["rule"]) == ("refused", "kind")


@pytest.mark.parametrize(
    "sql",
    [
        "ALTER ROLE x PASSWORD 'hunter2!'",
        "alter role x with password $q$hunter2!$q$",
        "SELECT dblink('host=h password=hunter2! user=x', 'y')",
        "SELECT 'postgresql://u:hunter2!@h/d'",
        "SELECT 'napi_hunter2'",
    ],
)
async def test_secrets_in_sql_are_not_kept(path: Path, sql: str) -> None:
    await make(path).record(Entry("run_sql", "write", sql=sql), Outcome())
    assert "hunter2" not in path.read_text()


async def test_the_sql_can_be_kept_as_a_hash_only(path: Path) -> None:
    await make(path, sql="hash").record(Entry("query", "read", sql="SELECT 'private'"), Outcome())
    assert "private" not in path.read_text()
    assert len(records(path)[0]["sql_sha256"]) == 64


async def test_a_write_that_cannot_be_recorded_is_refused_and_a_read_goes_on(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    audit = make(blocked / "audit.jsonl")
    with pytest.raises(Refused, match="cannot be written") as caught:
        await audit.begin(Entry("run_sql", "write"))
    assert caught.value.rule == "audit"
    await audit.end(await audit.begin(Entry("query", "read")), Outcome())


async def test_a_disabled_audit_writes_nothing(path: Path) -> None:
    audit = make(path, enabled=False)
    await audit.end(await audit.begin(Entry("run_sql", "write")), Outcome())
    assert not path.parent.exists()


async def test_the_chain_goes_on_through_rotated_files(path: Path) -> None:
    audit = make(path, max_bytes=10_000)
    for _ in range(100):
        await audit.record(Entry("query", "read", sql="SELECT " + "x" * 200), Outcome())
    assert len(audit_chain.files(path)) > 3
    assert max(p.stat().st_size for p in audit_chain.files(path)) < 11_000
    assert audit_chain.verify(path) == audit_chain.Verdict(100, 1, 0, None)


def log_of(path: Path, count: int) -> LogFile:
    log = LogFile(path, 10**9)
    for number in range(count):
        log.append({"event": "call", "n": number}, durable=False)
    return log


@pytest.mark.parametrize(
    ("changes", "said"), [(True, "It may have taken effect"), (False, "Nothing is known to be done")]
)
async def test_a_bug_after_a_change_has_begun_does_not_say_that_nothing_was_done(
    path: Path, changes: bool, said: str
) -> None:
    async def broken(ctx: ToolContext) -> None:
        """Fails."""
        if changes:
            await ctx.about_to_change()
        raise ZeroDivisionError

    async with open_app(Config(audit=AuditConfig(path=path))) as app:
        answer = await ToolRunner(ToolSpec(broken, "Broken", "write", "sql"), app).run({}, Caller(), unheard)
    assert answer.is_error
    assert said in answer.text
    assert [line["event"] for line in records(path)] == (["begin", "end"] if changes else ["call"])


def test_a_changed_record_shows(path: Path) -> None:
    log_of(path, 5)
    path.write_text(path.read_text().replace('"n":2', '"n":7'))
    assert audit_chain.verify(path).problem == "audit.jsonl, line 3: record 3 was changed: its hash does not fit"


@pytest.mark.parametrize(("gone", "problem"), [(2, "record 4 does not follow record 2"), (4, "the end is missing")])
def test_a_missing_record_shows(path: Path, gone: int, problem: str) -> None:
    log_of(path, 5)
    kept = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for number, line in enumerate(kept) if number != gone))
    assert problem in str(audit_chain.verify(path).problem)


def test_a_cut_off_end_still_shows_after_more_was_written(path: Path) -> None:
    log_of(path, 5)
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:3]))
    log_of(path, 1)
    assert "record 6 does not follow record 3" in str(audit_chain.verify(path).problem)


@pytest.mark.parametrize("cut", [1, 40])
@pytest.mark.parametrize("same_writer", [True, False])
def test_a_line_that_a_crash_cut_off_is_kept_and_accounted_for(path: Path, cut: int, same_writer: bool) -> None:
    log = log_of(path, 3)
    with path.open("ab") as stream:
        stream.write(b'{"seq":4,"event":"call","n":3,"prev":"0000000000000000000000000'[:cut])
    assert audit_chain.verify(path).problem is None
    (log if same_writer else LogFile(path, 10**9)).append({"event": "call"}, durable=True)
    assert audit_chain.verify(path) == audit_chain.Verdict(4, 1, 1, None)


def test_a_garbage_line_is_not_taken_for_a_crash(path: Path) -> None:
    log_of(path, 2)
    kept = path.read_text().splitlines(keepends=True)
    path.write_text(kept[0] + "garbage\n" + kept[1])
    assert "not one that a crash cut off" in str(audit_chain.verify(path).problem)


def test_a_crash_between_rotating_and_writing_keeps_the_chain(path: Path) -> None:
    log_of(path, 3)
    head = audit_chain.head_path(path)
    stale = head.read_bytes()
    log_of(path, 2)
    path.rename(path.with_name("audit.jsonl.000000000005"))
    head.write_bytes(stale)
    log_of(path, 1)
    assert audit_chain.verify(path) == audit_chain.Verdict(6, 1, 0, None)


WRITER = """
import sys
from pathlib import Path
from neon_branch_mcp.audit import LogFile
log = LogFile(Path(sys.argv[1]), 20_000)
for number in range(int(sys.argv[2])):
    log.append({"event": "call", "n": number, "pad": "x" * 100}, durable=False)
    print(number, flush=True)
"""


def test_several_processes_write_one_chain(path: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(path), "200"]
    writers = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for _ in range(3)]
    assert [w.wait(60) for w in writers] == [0, 0, 0]
    assert audit_chain.verify(path) == audit_chain.Verdict(600, 1, 0, None)


def test_after_kill_nine_the_chain_verifies_and_holds_all_that_was_acknowledged(path: Path) -> None:
    acknowledged = 0
    for run in range(5):
        command = [sys.executable, "-c", WRITER, str(path), "1000000"]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            for _ in range(50 + 37 * run):
                writer.stdout.readline()
                acknowledged += 1
            os.kill(writer.pid, 9)
            acknowledged += len(writer.stdout.read().splitlines())
    verdict = audit_chain.verify(path)
    assert verdict.problem is None
    assert verdict.records >= acknowledged
