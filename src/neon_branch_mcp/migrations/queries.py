"""The SQL of this package, one file per question."""

from functools import cache
from importlib import resources


@cache
def query(name: str) -> str:
    """The text of `sql/NAME.sql`."""
    return resources.files(__package__).joinpath("sql", f"{name}.sql").read_text(encoding="utf-8")
