"""SQL text → tokens, by the rules of Postgres' own scanner (src/backend/parser/scan.l), with standard_conforming_strings = on.

Only what the guard needs: where strings, comments and quoted names end, which words stand in code, and what is called. Where
versions differ (a number that runs into a word) the reading that finds more words wins. Linear in the length of the text.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, NamedTuple

NAME_BYTES = 63  # NAMEDATALEN - 1: Postgres cuts longer names, so the guard must look up what is left

_SPACE = r"[ \t\n\r\f\v]"
# A string may go on after whitespace that holds a newline; an E'' string then goes on with its escapes.
_CONTINUE = re.compile(r"(?:[ \t\f\v]|--[^\n\r]*)*[\n\r](?:[ \t\n\r\f\v]|--[^\n\r]*(?=[\n\r]))*'")
_BLANK = re.compile(rf"(?:{_SPACE}+|--[^\n\r]*)+")
_NEST = re.compile(r"/\*|\*/")
_NAME = r"[A-Za-z_\x80-\U0010ffff][A-Za-z_0-9$\x80-\U0010ffff]*"
_TAG = r"[A-Za-z_\x80-\U0010ffff][A-Za-z_0-9\x80-\U0010ffff]*"
# One token, whatever is blank before it skipped. E'', B'', X'' and N'' are strings; only E'' has escapes.
_NEXT = re.compile(
    rf"""(?:{_SPACE}+|--[^\n\r]*)*+(?:(?P<comment>/\*)|(?P<plain>[bBxXnN]?')|(?P<escaped>[eE]')|(?P<word>{_NAME})|(?P<quoted>")
    |(?P<number>[0-9][0-9_]*)|(?P<parameter>\$[0-9]+)|(?P<dollar>\$(?:{_TAG})?\$)|(?P<operator>[~!@#^&|`?+\-*/%<>=]+)|(?P<other>[\s\S]))""".replace(
        "\n    ", ""
    )
)
_PLAIN_END = re.compile(r"[^']*(?:''[^']*)*'")
_ESCAPE_END = re.compile(r"[^'\\]*(?:(?:''|\\.)[^'\\]*)*'", re.DOTALL)
_QUOTED_END = re.compile(r'[^"]*(?:""[^"]*)*"')
_CUT = re.compile(r"/\*|--")


class Kind(Enum):
    """What a token is."""

    WORD = "word"  # an unquoted keyword or name; `text` is folded to lower case
    QUOTED = "quoted"  # a quoted name; `text` is what is inside, decoded
    STRING = "string"  # any string constant; `text` is the raw text with its quotes
    NUMBER = "number"
    PARAMETER = "parameter"
    OPERATOR = "operator"
    OTHER = "other"  # one character: , ( ) [ ] . ; :


class Token(NamedTuple):
    """One token and where it stands in the text (0-based, end exclusive)."""

    kind: Kind
    text: str
    start: int
    end: int

    def is_word(self, *words: str) -> bool:
        """An unquoted one of these (lower case)."""
        return self.kind is Kind.WORD and self.text in words

    def is_char(self, char: str) -> bool:
        """This one special character."""
        return self.kind is Kind.OTHER and self.text == char


class LexError(Exception):
    """A string, comment or quoted name that does not end; `offset` is where it begins."""

    def __init__(self, what: str, offset: int) -> None:
        super().__init__(what)
        self.what = what
        self.offset = offset


def fold(word: str) -> str:
    """An unquoted name as Postgres keeps it: ASCII in lower case, at most 63 bytes."""
    return truncate(word.lower() if word.isascii() else re.sub("[A-Z]+", lambda m: m[0].lower(), word))


def truncate(name: str) -> str:
    """A name as Postgres keeps it: at most 63 bytes of UTF-8."""
    if len(name) * 4 <= NAME_BYTES:
        return name
    raw = name.encode("utf-8", "replace")
    return name if len(raw) <= NAME_BYTES else raw[:NAME_BYTES].decode("utf-8", "ignore")


def skip_comment(sql: str, start: int) -> int:
    """The end of the nested comment that begins at `start`."""
    depth = 0
    for match in _NEST.finditer(sql, start):
        depth += 1 if match[0] == "/*" else -1
        if depth == 0:
            return match.end()
    raise LexError("a comment that does not end", start)


def skip_blank(sql: str, start: int) -> int:
    """The end of the whitespace and comments that begin at `start`."""
    i = start
    while True:
        if match := _BLANK.match(sql, i):
            i = match.end()
        if not sql.startswith("/*", i):
            return i
        i = skip_comment(sql, i)


def tokens(sql: str) -> list[Token]:
    """Every token of `sql`, comments and whitespace left out. Raises LexError where Postgres would say «unterminated»."""
    found: list[Token] = []
    i = 0
    while (match := _NEXT.match(sql, i)) is not None:
        group = match.lastgroup
        start = match.start(group or 0)
        i = match.end()
        if group == "word":
            found.append(Token(_WORD, fold(sql[start:i]), start, i))
        elif group == "other":
            found.append(Token(_OTHER, sql[start], start, i))
        elif group == "comment":
            i = skip_comment(sql, start)
        else:
            found.append(_token(sql, group or "", start, i))
            i = found[-1].end
    return found


_WORD: Final = Kind.WORD
_OTHER: Final = Kind.OTHER


def _token(sql: str, group: str, start: int, end: int) -> Token:
    """The token of this group of _NEXT, which matched from `start` to `end`."""
    if group == "plain":
        return _string(sql, start, end, _PLAIN_END)
    if group == "escaped":
        return _string(sql, start, end, _ESCAPE_END)
    if group == "quoted":
        return _quoted(sql, start)
    if group == "dollar":
        return _dollar(sql, start, end)
    if group == "operator":
        # A comment ends an operator; it cannot begin here, the blanks would have taken it.
        cut = _CUT.search(sql, start, end)
        end = cut.start() if cut else end
        return Token(Kind.OPERATOR, sql[start:end], start, end)
    return Token(Kind.NUMBER if group == "number" else Kind.PARAMETER, sql[start:end], start, end)


def _string(sql: str, start: int, inside: int, rule: re.Pattern[str]) -> Token:
    match = rule.match(sql, inside)
    if match is None:
        raise LexError("a string that does not end", start)
    end = match.end()
    while (more := _CONTINUE.match(sql, end)) is not None:
        match = rule.match(sql, more.end())
        if match is None:
            raise LexError("a string that does not end", start)
        end = match.end()
    return Token(Kind.STRING, sql[start:end], start, end)


def _quoted(sql: str, start: int) -> Token:
    match = _QUOTED_END.match(sql, start + 1)
    if match is None:
        raise LexError("a quoted name that does not end", start)
    return Token(Kind.QUOTED, truncate(sql[start + 1 : match.end() - 1].replace('""', '"')), start, match.end())


def _dollar(sql: str, start: int, inside: int) -> Token:
    tag = sql[start:inside]
    end = sql.find(tag, inside)
    if end < 0:
        raise LexError("a dollar-quoted string that does not end", start)
    end += len(tag)
    return Token(Kind.STRING, sql[start:end], start, end)


def statements(found: Sequence[Token]) -> list[Sequence[Token]]:
    """The tokens of each statement; empty ones (`;;`) are left out.

    In a CREATE, semicolons inside parentheses (rules) and inside BEGIN ATOMIC … END (functions) do not end the statement; anywhere
    else every semicolon does.
    """
    out: list[Sequence[Token]] = []
    start = depth = blocks = 0
    for i, token in enumerate(found):
        if token.is_char(";") and not (found[start].is_word("create") and (depth > 0 or blocks > 0)):
            if i > start:
                out.append(found[start:i])
            start, depth, blocks = i + 1, 0, 0
        elif token.kind is Kind.OTHER:
            depth += (token.text in "([") - (token.text in ")]")
        elif token.kind is Kind.WORD:
            blocks += _block_step(token, found[i + 1] if i + 1 < len(found) else None, inside=blocks > 0)
    if start < len(found):
        out.append(found[start:])
    return out


def _block_step(token: Token, after: Token | None, *, inside: bool) -> int:
    """How much deeper `token` leads into BEGIN ATOMIC … END; a CASE in there has an END of its own."""
    if token.text == "begin" and after is not None and after.is_word("atomic"):
        return 1
    if not inside or token.text not in ("case", "end"):
        return 0
    return 1 if token.text == "case" else -1


@dataclass(frozen=True)
class Names:
    """What stands in a text, by its place there. `calls`: before a parenthesis, functions and some keywords and types that look the same.

    `casts` may be types: after `::`, `AS` or `RETURNING`, with what follows their dots; before a string (`date '…'`); and after a name
    that begins an item of a list (`AS t(a int, b date)`, `COLUMNS a int`). `operators` holds also those that are only meant
    (`CASE x WHEN`, `LIKE`). `fields` follow a dot and are not called: columns, or functions of one row.
    """

    calls: frozenset[str]
    casts: frozenset[str]
    operators: frozenset[str]
    words: frozenset[str]
    fields: frozenset[str] = frozenset()


NO_NAMES = Names(frozenset(), frozenset(), frozenset(), frozenset())

# These compare without an operator's symbol, some in a plan's text too.
_MEANS = {
    **dict.fromkeys(
        ["case", "nullif", "distinct", "any", "using", "natural", "group", "union", "except", "intersect"], ("=",)
    ),
    "in": ("=", "<>"),
    "like": ("~~", "!~~"),
    "ilike": ("~~*", "!~~*"),
    "similar": ("~", "!~"),
    "between": ("=", "<", "<=", ">", ">="),
    "symmetric": ("<", "<=", ">", ">="),
}
_BEFORE_TYPE = frozenset({":", "as", "returning"})
_BEFORE_ITEM = frozenset({"(", ",", "columns"})


def names(found: Sequence[Token]) -> Names:
    """All of them in one pass."""
    calls: set[str] = set()
    casts: set[str] = set()
    operators: set[str] = set()
    words: set[str] = set()
    fields: set[str] = set()
    typed = after_name = False
    before_text = older_text = last = ""
    for token in found:
        kind, text = token.kind, token.text
        if kind is _WORD or kind is Kind.QUOTED:
            words.add(text)
            # `older` is the token before `before`: `(a int` and `, b date`.
            typed = (
                before_text in _BEFORE_TYPE
                or (typed and before_text == ".")
                or (after_name and older_text in _BEFORE_ITEM)
            )
            if typed:
                casts.add(text)
            if before_text == ".":
                fields.add(text)
            older_text, before_text, after_name = before_text, text if kind is _WORD else '"', True
            last = text
            continue
        if after_name and kind is _OTHER and text == "(":
            calls.add(last)
        elif after_name and kind is Kind.STRING:
            casts.add(last)
        elif kind is Kind.OPERATOR:
            operators.add(text)
        typed = before_text in _BEFORE_TYPE or (typed and "." in (text, before_text))
        older_text, before_text, after_name = before_text, text if kind is _OTHER else "", False
    for word in _MEANS.keys() & words:
        operators.update(_MEANS[word])
    if "!=" in operators:
        operators.add("<>")
    return Names(frozenset(calls), frozenset(casts), frozenset(operators), frozenset(words), frozenset(fields))
