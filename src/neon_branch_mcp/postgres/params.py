"""JSON values → parameters of the extended protocol ($1, $2 …), as text.

First they go untyped, as Postgres' own literals do, so that the statement decides (`id = $1` with "5" or 5, a date, an enum). Where
Postgres cannot decide (`SELECT $1`, `jsonb_build_object('a', $1)`), they go again with the type that the JSON value has.
"""

import json
from collections.abc import Sequence
from typing import Any

from ..errors import SqlError, SqlFields

UNTYPED = 0
# The statement gives a parameter no type, or two: indeterminate, ambiguous, undefined function, datatype mismatch.
UNDECIDED_STATES = frozenset({"42P18", "42P08", "42725", "42883", "42804"})
_BOOL, _INT8, _TEXT, _FLOAT8, _NUMERIC, _INT4, _JSONB = 16, 20, 25, 701, 1700, 23, 3802
_ARRAY_OF = {_BOOL: 1000, _INT8: 1016, _TEXT: 1009, _FLOAT8: 1022, _NUMERIC: 1231, _INT4: 1007, _JSONB: 3807}


def encode(value: Any) -> bytes | None:
    """A value as Postgres reads it from text: objects as JSON, lists as arrays (`{1,2}`)."""
    text = _text(value)
    if text is None:
        return None
    if "\0" in text:
        raise SqlError(
            "A parameter holds a NUL character, which Postgres has no text for.", SqlFields(sqlstate="22021")
        )
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise SqlError(
            "A parameter holds half of a surrogate pair: it is no text.", SqlFields(sqlstate="22021")
        ) from None


def _text(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return _array(value)
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False)
    return repr(value) if isinstance(value, float) else str(value)


def _array(values: Sequence[Any]) -> str:
    return "{" + ",".join(_item(v) for v in values) + "}"


def _item(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return _array(value)
    text = _text(value)
    if text is None:
        return "NULL"
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def type_of(value: Any) -> int:
    """The type that a JSON value has by itself."""
    if isinstance(value, bool):
        return _BOOL
    if isinstance(value, int):
        return _INT4 if abs(value) < 2**31 else _INT8 if abs(value) < 2**63 else _NUMERIC
    if isinstance(value, float):
        return _FLOAT8
    if isinstance(value, str):
        return _TEXT
    if isinstance(value, dict):
        return _JSONB
    if isinstance(value, (list, tuple)):
        return _list_type(value)
    return UNTYPED


def _list_type(values: Sequence[Any]) -> int:
    kinds = {type_of(v) for v in values if v is not None}
    if len(kinds) == 1:
        kind = kinds.pop()
        return kind if isinstance(values[0], (list, tuple)) else _ARRAY_OF.get(kind, UNTYPED)
    if kinds and kinds <= {_INT4, _INT8, _NUMERIC, _FLOAT8}:
        return _ARRAY_OF[_NUMERIC]
    return UNTYPED
