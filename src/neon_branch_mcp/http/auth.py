"""Who calls: from a bearer token to a Caller. One authenticator for each mode of `http.auth`."""

import hashlib
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

import anyio

from ..app import Caller
from ..config import Secret
from ..errors import AuthError, LimitExceeded
from ..neon.cache import Cache
from ..neon.client import Identity
from .limits import Rate

KNOWN_FOR = 300.0
"""Seconds that a good Neon key is remembered, unless Neon refuses it earlier: how long a revoked one may be let in to be told so."""
REJECTED_FOR = 20.0
CHECKS_PER_MINUTE = 60
"""Unknown keys that one address may have checked in a minute."""
_BEARER = re.compile(rb"(?i)bearer +([A-Za-z0-9._~+/-]{1,4096}=*) *\Z")


class Authenticator(Protocol):
    """Says who holds a token."""

    async def caller(self, token: str, peer: str) -> Caller:
        """The holder of `token`, which came from the address `peer`.

        Raises AuthError when there is none, NotPermitted when it may do nothing here, LimitExceeded when an address asks too often.
        """
        ...


def bearer(headers: list[tuple[bytes, bytes]]) -> str | None:
    """The bearer token of a request; None when there is no Authorization header.

    Raises AuthError for more than one, or one in any other form.
    """
    found = [value for name, value in headers if name == b"authorization"]
    if not found:
        return None
    match = _BEARER.match(found[0])
    if match is None or len(found) > 1:
        raise AuthError("The Authorization header must be one `Bearer TOKEN`.")
    return match[1].decode("ascii")


@dataclass(frozen=True)
class _Verdict:
    """What Neon said of a key; `identity` None is a key it does not take."""

    identity: Identity | None
    asked_at: float


class NeonKeys:
    """The bearer is the caller's own Neon API key, as with Neon's own server. `check` asks Neon whose it is."""

    def __init__(self, check: Callable[[Secret], Awaitable[Identity]]) -> None:
        self._check = check
        self._verdicts: Cache[str, _Verdict] = Cache(KNOWN_FOR, 10_000)
        self._checks = Rate(CHECKS_PER_MINUTE)

    async def caller(self, token: str, peer: str) -> Caller:
        """The account of the key. Only hashes of keys are remembered."""
        digest = hashlib.sha256(token.encode()).hexdigest()

        async def ask() -> _Verdict:
            return await self._ask(token, peer)

        verdict = await self._verdicts.get(digest, ask)
        if verdict.identity is None and verdict.asked_at + REJECTED_FOR < anyio.current_time():
            verdict = await self._verdicts.get(digest, ask, fresh=True)
        if verdict.identity is None:
            raise AuthError("Neon does not take this API key.")
        return Caller(
            identity=f"key:{digest}",
            session=f"key-{digest[:12]}",
            credential=Secret(token),
            name=verdict.identity.account_id,
        )

    def forget(self, caller: Caller) -> None:
        """Neon is asked again at the caller's next request: a call of theirs was refused."""
        self._verdicts.forget(lambda digest: caller.identity == f"key:{digest}")

    async def _ask(self, token: str, peer: str) -> _Verdict:
        if wait := self._checks.take(peer):
            raise LimitExceeded(f"Too many unknown keys from this address; try again in {wait:.0f} s.")
        asked_at = anyio.current_time()
        try:
            return _Verdict(await self._check(Secret(token)), asked_at)
        except AuthError:
            return _Verdict(None, asked_at)
