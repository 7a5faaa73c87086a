"""Identifiers in Neon's forms: `br-quiet-river-a1b2c3d4`, `ep-…`, `old-violet-32930710`; UUIDs for operations and requests."""

import secrets
import uuid

ADJECTIVES = (
    "ancient autumn bold bright broad calm cool crimson curly damp dawn delicate empty falling fancy flat floral "
    "fragrant frosty gentle green hidden icy jolly late little lively long lucky misty morning muddy old orange "
    "patient plain polished proud purple quiet rapid red round royal shiny shy silent small snowy soft solitary "
    "spring square steep still summer sweet tiny twilight wandering white wild winter young"
)
NOUNS = (
    "band bird block boat bread breeze brook bush cake cell cherry cloud dawn dew dream dust feather field fire "
    "firefly flower fog forest frog frost glade grass hall hat haze heart hill lab lake leaf math meadow moon "
    "mountain mouse night paper pine pond queen rain recipe rice river salad sea shadow shape sky smoke snow sound "
    "star sun surf term tooth tree truth union unit violet voice water wave wind wood"
)


def _words() -> str:
    return f"{secrets.choice(ADJECTIVES.split())}-{secrets.choice(NOUNS.split())}"


def _tail() -> str:
    return "a" + "".join(secrets.choice("0123456789abcdefghijklmnopqrstuvwxyz") for _ in range(7))


def project_id() -> str:
    """`word-word-12345678`."""
    return f"{_words()}-{secrets.randbelow(90_000_000) + 10_000_000}"


def branch_id() -> str:
    """`br-word-word-xxxxxxxx`: exactly three parts, by which clients tell an id from a name."""
    return f"br-{_words()}-{_tail()}"


def endpoint_id() -> str:
    """`ep-word-word-xxxxxxxx`."""
    return f"ep-{_words()}-{_tail()}"


def operation_id() -> str:
    """A UUID."""
    return str(uuid.uuid4())


def cluster_id() -> str:
    """Short, as it becomes the name of a folder."""
    return "c" + secrets.token_hex(6)


def password() -> str:
    """A password that needs no quoting in a URI, in Neon's form."""
    return f"npg_{secrets.token_urlsafe(18).replace('-', 'x').replace('_', 'y')}"
