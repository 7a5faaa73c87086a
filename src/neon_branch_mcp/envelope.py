"""What a client says of itself and of its request (MCP, "Lifecycle"; from 2026-07-28 on with every request). Standard library only.

It is read here only where it is plainly right: whatever a function here does not vouch for is the SDK's to judge and to word.
"""

from __future__ import annotations

import json

TYPE_CHECKING = False
if TYPE_CHECKING:  # the front's start is counted in milliseconds: it waits for no module that only types need
    from collections.abc import Mapping
    from typing import Any, TypeGuard

STATELESS = "2026-07-28"
"""The version whose requests each say who asks; the earlier ones begin with a handshake."""
OWN = "io.modelcontextprotocol/"
VERSION_KEY, CLIENT_KEY, CAPABILITIES_KEY = f"{OWN}protocolVersion", f"{OWN}clientInfo", f"{OWN}clientCapabilities"
_WORDS = ("title", "description", "websiteUrl")


def is_id(value: Any) -> TypeGuard[str | int]:
    """Whether this may be a request's id, or a token for its progress."""
    return isinstance(value, str | int) and not isinstance(value, bool)


def is_request(message: Mapping[str, Any]) -> bool:
    """Whether a message is a request and nothing else (JSON-RPC 2.0, section 4)."""
    return (
        message.get("jsonrpc") == "2.0"
        and isinstance(message.get("method"), str)
        and is_id(message.get("id"))
        and message.get("result") is None
        and message.get("error") is None
    )


def has_bad_id(message: Mapping[str, Any]) -> bool:
    """Whether a message asks something under an id that is none (JSON-RPC 2.0, section 4; MCP, "Messages"). A client that writes what it
    does not set as null makes no request of a notification.
    """
    if not isinstance(method := message.get("method"), str) or "id" not in message or is_id(message["id"]):
        return False
    return message["id"] is not None or not method.startswith("notifications/")


BAD_ID = "The id of a request must be a text or an integer."


def other_spelling(number: str | int) -> str | int | None:
    """The same number as a text, or the number that a text is: some clients give up a request by that."""
    if isinstance(number, int):
        return str(number)
    return int(number) if len(number) < 20 and number.removeprefix("-").isdecimal() else None


def holds_half_a_pair(message: Any) -> bool:
    """Whether a text in a message is none: half of a surrogate pair, which JSON can write and UTF-8 cannot. What is nested too deeply to
    tell counts as such.
    """
    try:
        json.dumps(message, ensure_ascii=False).encode()
    except (UnicodeEncodeError, RecursionError):
        return True
    return False


def names_itself(client: Any) -> TypeGuard[dict[str, Any]]:
    """Whether this is how a client presents itself (`Implementation`)."""
    return (
        isinstance(client, dict)
        and all(isinstance(client.get(name), str) for name in ("name", "version"))
        and all(isinstance(client.get(name, ""), str) for name in _WORDS)
        and _are_icons(client.get("icons", []))
    )


def _are_icons(icons: Any) -> bool:
    return isinstance(icons, list) and all(isinstance(i, dict) and isinstance(i.get("src"), str) for i in icons)


def are_capabilities(value: Any) -> TypeGuard[dict[str, Any]]:
    """Whether this is what a client says it can do (`ClientCapabilities`): each capability is an object."""
    return isinstance(value, dict) and all(isinstance(capability, dict) for capability in value.values())


def is_enveloped(params: Any) -> bool:
    """Whether a request is of the stateless versions, right or wrong: no other carries a protocol version."""
    meta = params.get("_meta") if isinstance(params, dict) else None
    return isinstance(meta, dict) and VERSION_KEY in meta


def era_of(params: Mapping[str, Any]) -> str | None:
    """The version a request says it is of, "" for one after a handshake; None where what is said beside it is not plainly right."""
    meta = params.get("_meta")
    if meta is None:
        return ""
    if not isinstance(meta, dict) or not is_id(meta.get("progressToken", "")):
        return None
    own = {name for name in meta if name.startswith(OWN)}
    if not own:
        return ""
    if own | {CLIENT_KEY} != {VERSION_KEY, CLIENT_KEY, CAPABILITIES_KEY} or meta[VERSION_KEY] != STATELESS:
        return None
    if not are_capabilities(meta[CAPABILITIES_KEY]) or not (CLIENT_KEY not in meta or names_itself(meta[CLIENT_KEY])):
        return None
    return STATELESS


def is_greeting(params: Mapping[str, Any]) -> bool:
    """Whether these are plainly the parameters of a handshake, whichever version it proposes."""
    return (
        isinstance(params.get("protocolVersion"), str)
        and names_itself(params.get("clientInfo"))
        and are_capabilities(params.get("capabilities"))
        and isinstance(params.get("_meta", {}), dict)
    )
