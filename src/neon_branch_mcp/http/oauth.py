"""Bearer tokens of an OAuth authorization server: signed JWTs, judged by the issuer's published keys (RFC 9068, RFC 8414, RFC 7517).

Scopes: `read` is needed to get in, `write` (or `*`) to change anything.
"""

import hashlib
import logging
import math
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import anyio
import httpx
import jwt

from ..app import Caller
from ..config import HttpConfig
from ..errors import AuthError, ConfigError, NotPermitted, Unreachable

log = logging.getLogger(__name__)

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Public-key signatures only: with a shared secret, whoever can check a token could make one."""
KEYS_FOR = 600.0
"""Seconds that a key set is used before it is read again."""
REFETCH_AFTER = 30.0
"""Seconds between two fetches for key ids that are not in the set: what rotation needs, and no flood of made-up ids gets more."""
RETRY_AFTER = 1.0
"""Seconds between two attempts to get the first keys."""
LEEWAY = 30
"""Seconds that clocks may differ."""
SCOPES = ("read", "write")


class KeySet:
    """The issuer's signing keys, fetched when first needed, when they are old, and when a token names one that is new."""

    def __init__(self, issuer: str, jwks_url: str | None, http: httpx.AsyncClient) -> None:
        self._issuer = issuer
        self._url = jwks_url
        self._http = http
        self._keys: dict[str | None, jwt.PyJWK] = {}
        self._fetched = -math.inf
        self._tried = -math.inf
        self._lock = anyio.Lock()

    async def key(self, kid: str | None) -> jwt.PyJWK:
        """The key of that id; without an id, the only one. Raises AuthError when there is none, Unreachable when none can be had."""
        async with self._lock:
            if self._due(kid):
                await self._refresh()
        if kid is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        if (found := self._keys.get(kid)) is None:
            raise AuthError("The token is signed with a key that its issuer does not publish.")
        return found

    def _due(self, kid: str | None) -> bool:
        since_try = anyio.current_time() - self._tried
        if not self._keys:
            return since_try > RETRY_AFTER
        is_new = kid is not None and kid not in self._keys
        return since_try > REFETCH_AFTER and (is_new or anyio.current_time() > self._fetched + KEYS_FOR)

    async def _refresh(self) -> None:
        self._tried = anyio.current_time()
        try:
            if self._url is None:
                self._url = await self._discovered()
            document = await self._json(self._url)
            keys = jwt.PyJWKSet.from_dict(document).keys
        except (httpx.HTTPError, ValueError, KeyError, TypeError, jwt.PyJWTError) as exc:
            # Old keys stay good while the issuer is down: what they signed was good.
            log.warning("The issuer's keys could not be read: %s", type(exc).__name__)
            if not self._keys:
                raise Unreachable("The issuer's keys cannot be read, so tokens cannot be checked now.") from exc
            return
        self._keys = {key.key_id: key for key in keys if key.public_key_use in (None, "sig")}
        self._fetched = self._tried

    async def _discovered(self) -> str:
        """The key set's URL, by the issuer's metadata: OAuth's (RFC 8414), else OpenID's."""
        parts = urlsplit(self._issuer)
        path = parts.path.rstrip("/")
        oauth = urlunsplit(parts._replace(path=f"/.well-known/oauth-authorization-server{path}"))
        openid = urlunsplit(parts._replace(path=f"{path}/.well-known/openid-configuration"))
        try:
            metadata = await self._json(oauth)
        except (httpx.HTTPError, ValueError):
            metadata = await self._json(openid)
        if metadata["issuer"] != self._issuer:
            raise ValueError("the metadata is another issuer's")
        return str(metadata["jwks_uri"])

    async def _json(self, url: str) -> dict[str, Any]:
        response = await self._http.get(url)
        response.raise_for_status()
        document = response.json()
        if not isinstance(document, dict):
            raise TypeError("not a JSON object")
        return document


class JwtBearers:
    """Callers by the tokens of one issuer for one audience."""

    def __init__(self, issuer: str, audience: str, keys: KeySet) -> None:
        self._issuer = issuer
        self._audience = audience
        self._keys = keys

    async def caller(self, token: str, peer: str) -> Caller:
        """The subject of the token, read-only without `write`. Raises AuthError, NotPermitted without any scope, Unreachable."""
        try:
            header = jwt.get_unverified_header(token)
            key = await self._keys.key(header.get("kid"))
            claims = jwt.decode(
                token,
                key,
                algorithms=_algorithms(key),
                audience=self._audience,
                issuer=self._issuer,
                leeway=LEEWAY,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except jwt.PyJWTError as exc:
            raise AuthError(f"The token is not good: {_reason(exc)}.") from exc
        scopes = _scopes(claims)
        if not scopes & {*SCOPES, "*"}:
            raise NotPermitted("The token has neither the scope read nor write.")
        subject = str(claims["sub"])
        identity = hashlib.sha256(f"{self._issuer}\n{subject}".encode()).hexdigest()
        return Caller(
            identity=f"sub:{identity}",
            session=f"sub-{identity[:12]}",
            name=subject,
            read_only=not scopes & {"write", "*"},
        )


def _algorithms(key: jwt.PyJWK) -> Sequence[str]:
    """What the key itself is for; a key for a shared-secret algorithm checks nothing."""
    return [name for name in ALGORITHMS if name == key.algorithm_name]


def _scopes(claims: dict[str, Any]) -> frozenset[str]:
    """The scopes of `scope` (RFC 9068) or `scp`, as text or as a list."""
    found = claims.get("scope") or claims.get("scp") or ()
    return frozenset(found.split() if isinstance(found, str) else [s for s in found if isinstance(s, str)])


def _reason(exc: jwt.PyJWTError) -> str:
    known = {
        jwt.ExpiredSignatureError: "it has expired",
        jwt.ImmatureSignatureError: "it is not valid yet",
        jwt.InvalidAudienceError: "it is for another audience",
        jwt.InvalidIssuerError: "it is another issuer's",
        jwt.InvalidSignatureError: "its signature is wrong",
        jwt.InvalidAlgorithmError: "its algorithm is not allowed",
        jwt.MissingRequiredClaimError: "it lacks a claim that is needed (exp, iss, aud, sub)",
    }
    return next((text for kind, text in known.items() if isinstance(exc, kind)), "it is not a JWT that can be read")


def jwt_bearers(config: HttpConfig, http: httpx.AsyncClient) -> JwtBearers:
    """The authenticator of `http.auth = "jwt"`. Raises ConfigError for settings that are missing or weak."""
    if not config.issuer or not config.public_url:
        raise ConfigError('http.auth is "jwt": set http.issuer and http.public_url (the URL of /mcp that clients use).')
    for name, url in (("issuer", config.issuer), ("jwks_url", config.jwks_url)):
        if url is not None and not _is_safe(url):
            raise ConfigError(
                f"http.{name} must be an https URL: whoever can change the keys on their way can be anybody."
            )
    return JwtBearers(config.issuer, config.audience or config.public_url, KeySet(config.issuer, config.jwks_url, http))


def _is_safe(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost", "::1"))
