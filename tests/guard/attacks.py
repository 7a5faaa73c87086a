"""All attacks: those that were given (tests/data/attacks.jsonl) and our own (cases*.py)."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .cases import ATTACKS
from .cases_again import AGAIN_ATTACKS
from .cases_behind import BEHIND_ATTACKS
from .cases_more import MORE
from .cases_wide import WIDE

GIVEN = [
    json.loads(line)
    for line in (Path(__file__).parent.parent / "data" / "attacks.jsonl").read_text(encoding="utf-8").splitlines()
]
OWN = ATTACKS | MORE | WIDE | BEHIND_ATTACKS | AGAIN_ATTACKS
KINDS = ("given", *OWN)


@dataclass(frozen=True)
class Attack:
    """Calls that must leave nothing and get no answer. `kind` is its class, `given` for those of the file."""

    kind: str
    id: str
    calls: tuple[str, ...]


def attacks() -> Iterator[Attack]:
    """Benign cases and limits left out."""
    for case in GIVEN:
        if case["label"] != "benign" if "label" in case else case["class"] != "limit":
            yield Attack("given", case["id"], tuple(case["calls"]))
    for kind, texts in OWN.items():
        for i, text in enumerate(texts):
            yield Attack(kind, f"{kind}-{i}", (text,))
