"""What `check` finds, piece by piece."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """One thing looked at. `bad` is something that has to be put right, and `fix` says how; `note` is worth knowing."""

    state: Literal["ok", "note", "bad"]
    title: str
    said: str
    fix: str = ""
