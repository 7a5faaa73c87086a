"""sqlglot in pure Python, and compiled (the extra `fast`): the guard judges the same by both. Other tests run with what is there."""

import importlib.util
import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

from neon_branch_mcp.guard.lexer import LexError, tokens

from .attacks import attacks
from .cases import READS
from .corpus import queries

ROOT = Path(__file__).parent.parent.parent
MUTANTS = 1_500
ONCE_DIFFERENT = "SELECT a ?# b FROM t"  # what the compiled one tripped over and the other took for a read
COMPILED = importlib.util.find_spec("sqlglot.parser")


def corpus() -> list[str]:
    """Attacks, reads, and reads in which tokens were left out, doubled, swapped or taken from elsewhere."""
    chosen = random.Random(4)
    known = [
        ONCE_DIFFERENT,
        *READS,
        *queries(),
        *(text for attack in attacks() if attack.kind != "parser" for text in attack.calls),
    ]
    parts: list[list[str]] = []
    for text in known:
        try:
            parts.append([text[token.start : token.end] for token in tokens(text)][:150])
        except LexError:
            continue
    words = [word for part in parts for word in part if len(word) < 30]
    mutants = []
    for _ in range(MUTANTS):
        part = list(chosen.choice(parts)) or ["SELECT"]
        for _ in range(chosen.randint(1, 3)):
            at = chosen.randrange(len(part))
            other = chosen.choice([[], [part[at]] * 2, [chosen.choice(words)], [part[at], chosen.choice(words)]])
            part[at : at + 1] = other
            part = part or ["SELECT"]
        mutants.append(" ".join(part))
    return known + mutants


@pytest.mark.skipif(
    COMPILED is None or not str(COMPILED.origin).endswith((".so", ".pyd")),
    reason="the compiled parser (extra `fast`) is not installed",
)
def test_both_builds_of_the_parser_judge_alike(tmp_path: Path) -> None:
    texts = corpus()
    asked = tmp_path / "texts.json"
    asked.write_text(json.dumps(texts), encoding="utf-8")
    running = []
    for build in ("pure", "compiled"):
        with asked.open() as source:
            command = [sys.executable, "-m", "tests.guard.one_build", build]
            running.append(subprocess.Popen(command, cwd=ROOT, stdin=source, stdout=subprocess.PIPE, text=True))
    pure, compiled = (process.communicate()[0].split("\n") for process in running)
    assert json.loads(pure[0])["parser"].endswith(".py")
    assert not json.loads(compiled[0])["parser"].endswith(".py")
    assert len(pure) == len(compiled) == len(texts) + 1
    differ = [(text, p, c) for text, p, c in zip(texts, pure[1:], compiled[1:], strict=True) if p != c]
    assert differ == []
