"""Functions with effects that stand behind something else: a label that lies, an operator, an aggregate, a type, a view.

A label (IMMUTABLE, STABLE) is a claim of whoever made the function; its body is read for what it calls. What a body puts together at
run time cannot be read, and counts as having effects.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from .functions import has_effects
from .lexer import NO_NAMES, Kind, LexError, Names, Token, names, tokens

_READABLE = frozenset({"sql", "plpgsql"})
_CALL = re.compile(r"([A-Za-z_\x80-\U0010ffff][\w$]*)\"?\s*\(")
_RUNS_SQL = re.compile(r"(?i)\b(?:execute|prepare|spi_\w+|(?:plpy|plv8)\s*\.)")
_ESCAPES = re.compile(r"[uU]&\"")
ASSEMBLED = "runs SQL that it puts together at run time"


@dataclass(frozen=True)
class Body:
    """A user's function that claims to be harmless, and its text."""

    name: str
    signature: str
    text: str
    language: str


@dataclass(frozen=True)
class Behind:
    """`name`, of this kind, calls `function` without being written as a call. Of the kind `view`: it reads the relation `function`.

    A `relation` calls it when it is read, and a view's or rule's constants already when that is planned; a `planned` one only then.
    """

    kind: str
    name: str
    function: str
    volatile: bool = False


@dataclass(frozen=True)
class Hidden:
    """What must not be used, by kind; of functions and aggregates also why."""

    functions: Mapping[str, str]
    operators: frozenset[str]
    types: frozenset[str]
    checked: frozenset[str]
    fields: frozenset[str]
    views: Mapping[str, str]
    guarded: frozenset[str]
    """Relations that are no such view, and call a function with effects when they are read: by a policy."""


@dataclass(frozen=True)
class _Text:
    """What a body shows."""

    uses: Names
    flaw: str = ""


def find_hidden(bodies: Sequence[Body], behind: Sequence[Behind], volatile: Mapping[str, str]) -> Hidden:
    """Follows calls through bodies, operators, types, aggregates and views until nothing new is found."""
    functions: dict[str, str] = {}
    bad: dict[str, set[str]] = {
        kind: set() for kind in ("operator", "type", "checked", "relation", "aggregate", "function")
    }
    texts = [(body, _read(body)) for body in bodies]
    fields = frozenset(link.name for link in behind if link.kind == "field")
    waiting = [link for link in behind if link.kind not in ("field", "shown")]
    views = _views(behind)
    grown = True
    while grown:
        grown = False
        for body, text in texts:
            if body.name not in functions and (flaw := _flaw(text, functions, bad, volatile, fields)):
                functions[body.name] = f"{body.signature} is not VOLATILE by label, but its body {flaw}"
                grown = True
        for link in waiting:
            if link.kind == "view":
                for known in (bad["relation"], bad["type"]):
                    if link.function in known and link.name not in known:
                        known.add(link.name)
                        grown = True
                continue
            lies = link.function in functions
            if lies and link.kind in ("relation", "planned") and link.name not in bad["type"]:
                bad["type"].add(link.name)
                grown = True
            if link.kind == "planned":
                continue
            known = bad[link.kind]
            if link.name not in known and (lies or has_effects(link.function, link.volatile)):
                known.add(link.name)
                grown = True
                if link.kind in ("aggregate", "function"):
                    made = (
                        "is made of"
                        if link.kind == "aggregate"
                        else "has a default, or takes or gives a type, that calls"
                    )
                    functions.setdefault(link.name, f"it {made} {link.function}, which has effects")
    return Hidden(
        functions,
        frozenset(bad["operator"]),
        frozenset(bad["type"]),
        frozenset(bad["checked"]),
        fields & functions.keys(),
        views,
        frozenset(bad["relation"]) - views.keys(),
    )


def _views(behind: Sequence[Behind]) -> dict[str, str]:
    """Views by what they call, themselves or through others. A plan does not show all: not what is in LIMIT, in VALUES, in a frame."""
    views = {
        link.name: link.function
        for link in behind
        if link.kind == "shown" and has_effects(link.function, link.volatile)
    }
    grown = bool(views)
    while grown:
        found = {
            link.name: views[link.function]
            for link in behind
            if link.kind == "view" and link.function in views and link.name not in views
        }
        views |= found
        grown = bool(found)
    return views


def _flaw(
    text: _Text,
    functions: Mapping[str, str],
    bad: Mapping[str, set[str]],
    volatile: Mapping[str, str],
    fields: frozenset[str],
) -> str:
    """Why a body is not harmless, in words that follow «its body»; empty when it is."""
    if text.flaw:
        return text.flaw
    uses = text.uses
    for name in sorted(uses.calls | (uses.fields & fields)):
        if name in functions or has_effects(name, volatile.get(name)):
            return f"calls {name}"
    for word, found in (
        ("uses the operator", uses.operators & bad["operator"]),
        ("casts to", (uses.casts | uses.calls) & bad["checked"]),
        ("uses the type", uses.words & bad["type"]),
        ("reads", uses.words & bad["relation"]),
    ):
        if found:
            return f"{word} {min(found)}"
    return ""


def _read(body: Body) -> _Text:
    if body.language not in _READABLE:
        calls = frozenset(match[1].lower() for match in _CALL.finditer(body.text))
        flaw = ASSEMBLED if _RUNS_SQL.search(body.text) else ""
        return _Text(Names(calls, frozenset(), frozenset(), frozenset()), flaw)
    try:
        found = tokens(body.text)
    except LexError:
        return _Text(NO_NAMES, "cannot be read")
    if _ESCAPES.search(body.text):
        return _Text(NO_NAMES, "holds U& escapes, which can hide a name")
    uses = names(found)
    if body.language == "plpgsql":
        uses = replace(uses, casts=uses.casts | _declared(found))
    return _Text(uses, ASSEMBLED if any(map(_is_execute, found)) else "")


def _declared(found: Sequence[Token]) -> set[str]:
    """Every word between DECLARE and BEGIN: `x domain := 1`, `x table.column%TYPE`."""
    words: set[str] = set()
    inside = False
    for token in found:
        inside = token.is_word("declare") or (inside and not token.is_word("begin"))
        if inside and token.kind in (Kind.WORD, Kind.QUOTED):
            words.add(token.text)
    return words


def _is_execute(token: Token) -> bool:
    return token.kind is Kind.WORD and token.text == "execute"
