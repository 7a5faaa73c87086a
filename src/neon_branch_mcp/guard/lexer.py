"""SQL text → tokens, by the rules of Postgres' own scanner (src/backend/parser/scan.l), with standard_conforming_strings = on.

Only what the guard needs: where strings, comments and quoted names end, which words stand in code, and what is called. Where
versions differ (a number that runs into a word) the reading that finds more words wins. Linear in the length of the text.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise

NAME_BYTES = 63  # NAMEDATALEN - 1: Postgres cuts longer names, so the guard must look up what is left

_SPACE = r"[ \t\n\r\f\v]"
# A string may go on after whitespace that holds a newline; an E'' string then goes on with its escapes.
_CONTINUE = re.compile(r"(?:[ \t\f\v]|--[^\n\r]*)*[\n\r](?:[ \t\n\r\f\v]|--[^\n\r]*(?=[\n\r]))*'")
_BLANK = re.compile(rf"{_SPACE}+|--[^\n\r]*")
_NEST = re.compile(r"/\*|\*/")
_WORD = re.compile(r"[A-Za-z_\x80-\U0010ffff][A-Za-z_0-9$\x80-\U0010ffff]*")
_NUMBER = re.compile(r"[0-9][0-9_]*")
_PARAMETER = re.compile(r"\$[0-9]+")
_DOLLAR = re.compile(r"\$(?:[A-Za-z_\x80-\U0010ffff][A-Za-z_0-9\x80-\U0010ffff]*)?\$")
_PLAIN_END = re.compile(r"[^']*(?:''[^']*)*'")
_ESCAPE_END = re.compile(r"[^'\\]*(?:(?:''|\\.)[^'\\]*)*'", re.DOTALL)
_QUOTED_END = re.compile(r'[^"]*(?:""[^"]*)*"')
_OPERATOR = re.compile(r"[~!@#^&|`?+\-*/%<>=]+")
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


@dataclass(frozen=True, slots=True)
class Token:
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
    while i < len(sql):
        if match := _BLANK.match(sql, i):
            i = match.end()
        elif sql.startswith("/*", i):
            i = skip_comment(sql, i)
        else:
            break
    return i


def tokens(sql: str) -> Iterator[Token]:
    """Every token of `sql`, comments and whitespace left out. Raises LexError where Postgres would say «unterminated»."""
    i = skip_blank(sql, 0)
    while i < len(sql):
        token = _token(sql, i)
        yield token
        i = skip_blank(sql, token.end)


def _token(sql: str, i: int) -> Token:
    char = sql[i]
    if char == "'":
        return _string(sql, i, i + 1, _PLAIN_END)
    if char == '"':
        return _quoted(sql, i)
    if match := _WORD.match(sql, i):
        # E'', B'', X'' and N'' are strings; only E'' has escapes.
        if sql.startswith("'", i + 1) and char in "eEbBxXnN":
            return _string(sql, i, i + 2, _ESCAPE_END if char in "eE" else _PLAIN_END)
        return Token(Kind.WORD, fold(match[0]), i, match.end())
    if match := _NUMBER.match(sql, i):
        return Token(Kind.NUMBER, match[0], i, match.end())
    if char == "$":
        return _dollar(sql, i)
    if match := _OPERATOR.match(sql, i):
        # A comment ends an operator; it cannot begin here, skip_blank would have taken it.
        cut = _CUT.search(match[0])
        end = i + cut.start() if cut else match.end()
        return Token(Kind.OPERATOR, sql[i:end], i, end)
    return Token(Kind.OTHER, char, i, i + 1)


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


def _dollar(sql: str, start: int) -> Token:
    if match := _PARAMETER.match(sql, start):
        return Token(Kind.PARAMETER, match[0], start, match.end())
    if match := _DOLLAR.match(sql, start):
        end = sql.find(match[0], match.end())
        if end < 0:
            raise LexError("a dollar-quoted string that does not end", start)
        end += len(match[0])
        return Token(Kind.STRING, sql[start:end], start, end)
    return Token(Kind.OTHER, "$", start, start + 1)


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


def called(found: Sequence[Token]) -> set[str]:
    """Names that stand before a parenthesis: functions, and some keywords and types that look the same."""
    return {
        token.text for token, after in pairwise(found) if token.kind in (Kind.WORD, Kind.QUOTED) and after.is_char("(")
    }


def cast_to(found: Sequence[Token]) -> set[str]:
    """Names that may be those of types: after `::` or `AS`, with what follows their dots; before a string (`date '…'`); and after a
    name that begins an item of a list in parentheses (`AS t(a int, b date)`).
    """
    names: set[str] = set()
    typed = False
    previous: Token | None = None
    for before, token in pairwise(found):
        named = token.kind in (Kind.WORD, Kind.QUOTED)
        after_name = before.kind in (Kind.WORD, Kind.QUOTED)
        dotted = before.is_char(".") or token.is_char(".")
        item = named and after_name and previous is not None and (previous.is_char("(") or previous.is_char(","))
        typed = before.is_char(":") or before.is_word("as") or item or (typed and dotted)
        if typed and named:
            names.add(token.text)
        if token.kind is Kind.STRING and after_name:
            names.add(before.text)
        previous = before
    return names
