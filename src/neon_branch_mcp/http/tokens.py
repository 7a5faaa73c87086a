"""Our own bearer tokens: 256 random bits each, of which the configuration keeps only the SHA-256.

A fast hash is enough for them: there is nothing to guess in 256 random bits.
"""

import hashlib
import secrets
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from ..app import Caller
from ..config import TokenConfig
from ..errors import AuthError, ConfigError
from ..tools.catalogue import TOOLS

PREFIX = "nbm_"


def new_token() -> tuple[str, str]:
    """A new token and what the configuration keeps of it."""
    token = PREFIX + secrets.token_urlsafe(32)
    return token, hashed(token)


def hashed(token: str) -> str:
    """What the configuration keeps of a token."""
    return "sha256:" + hashlib.sha256(token.encode()).hexdigest()


def _now() -> datetime:
    return datetime.now(UTC)


class Tokens:
    """Callers by the tokens of the configuration."""

    def __init__(self, tokens: Sequence[TokenConfig], now: Callable[[], datetime] = _now) -> None:
        """Raises ConfigError when there are none, when two share a name or a hash, or when one names an unknown tool."""
        if not tokens:
            raise ConfigError(
                'http.auth is "tokens" and http.tokens is empty; `neon-branch-mcp token new NAME` makes one.'
            )
        self._by_hash = {token.hash: token for token in tokens}
        if len(self._by_hash) < len(tokens) or len({t.name for t in tokens}) < len(tokens):
            raise ConfigError("http.tokens: two tokens share a name or a hash.")
        known = {spec.name for spec in TOOLS}
        for token in tokens:
            if wrong := set(token.tools or ()) - known:
                raise ConfigError(f"http.tokens {token.name!r}: there is no tool {', '.join(sorted(wrong))}.")
        self._now = now

    async def caller(self, token: str, peer: str) -> Caller:
        """Whose token it is. Raises AuthError for one that is unknown or has expired."""
        # The look-up is by hash: its timing says nothing about the token.
        found = self._by_hash.get(hashed(token))
        if found is None:
            raise AuthError("The token is not known here.")
        if found.expires is not None and found.expires <= self._now():
            raise AuthError(f"The token {found.name!r} expired on {found.expires:%Y-%m-%d}.")
        return Caller(
            identity=found.hash,
            session=f"token-{found.hash[7:19]}",
            name=found.name,
            project_id=found.project_id,
            read_only=found.read_only,
            tools=None if found.tools is None else frozenset(found.tools),
        )
