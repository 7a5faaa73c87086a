"""API keys of the local control plane, of the kinds that Neon has, with the refusals that Neon gives."""

import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from ..config import Secret
from .problems import Problem
from .store import Store, now

Kind = Literal["first", "personal", "organization", "project"]
"""`first` is the key that the data directory was made with: a user without organizations, who needs to name none."""

OUTSIDE = 'not allowed to perform actions outside the project this key is scoped to; subject_project_id:"{}"'


@dataclass(frozen=True)
class Key:
    """A key, known by the digest of its secret."""

    id: int
    name: str
    kind: Kind
    digest: str
    created_at: float
    project_id: str | None = None

    def check(self, method: str, path: str, parts: Mapping[str, Any], query: Mapping[str, str]) -> None:
        """Raises Problem where Neon refuses a key of this kind: 404 for what is out of its scope, 400 for a missing organization."""
        if self.kind == "project":
            inside = parts.get("project_id") == self.project_id
            deletes_project = method == "DELETE" and path.endswith(f"/projects/{self.project_id}")
            if not path.endswith("/auth") and (not inside or deletes_project):
                raise Problem(404, OUTSIDE.format(self.project_id))
        if self.kind == "organization" and "/users/me" in path:
            raise Problem(404, "not allowed for organization API keys")
        if self.kind == "personal" and method == "GET" and path.endswith("/projects") and not query.get("org_id"):
            raise org_required()


def org_required() -> Problem:
    """A personal key has to say for which of its organizations it asks."""
    return Problem(400, "org_id is required, you can find it on your organization settings page")


class Keys:
    """All keys of a data directory. Only digests are kept."""

    def __init__(self, store: Store, first: Secret) -> None:
        self._store = store
        self._first = Key(1, "first", "first", _digest(first.reveal()), now())

    def identify(self, authorization: str) -> Key:
        """The key of an Authorization header. Raises Problem 401."""
        scheme, _, given = authorization.partition(" ")
        if scheme.lower() == "bearer":
            digest = _digest(given.strip())
            for key in (self._first, *self.all()):
                if hmac.compare_digest(key.digest, digest):
                    return key
        raise Problem(401, "authorization failed: the API key is missing, wrong or revoked")

    def all(self) -> list[Key]:
        """The keys that were made, oldest first."""
        with self._store.read() as tx:
            return [Key(**entry) for entry in json.loads(tx.meta("api_keys") or "[]")]

    def create(self, name: str, kind: Kind, project_id: str | None = None) -> tuple[Key, Secret]:
        """A new key and its secret, which is shown this once."""
        secret = Secret(f"napi_{secrets.token_hex(32)}")
        with self._store.write() as tx:
            entries = json.loads(tx.meta("api_keys") or "[]")
            number = int(tx.meta("last_api_key") or "1") + 1
            key = Key(number, name, kind, _digest(secret.reveal()), now(), project_id)
            tx.set_meta("last_api_key", str(number))
            tx.set_meta("api_keys", json.dumps([*entries, asdict(key)]))
        return key, secret

    def revoke(self, key_id: int) -> Key:
        """Takes a key away. Raises Problem 404."""
        with self._store.write() as tx:
            entries = json.loads(tx.meta("api_keys") or "[]")
            found = next((e for e in entries if e["id"] == key_id), None)
            if found is None:
                raise Problem(404, "API key not found")
            tx.set_meta("api_keys", json.dumps([e for e in entries if e["id"] != key_id]))
        return Key(**found)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
