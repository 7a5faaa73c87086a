"""Postgres' lexical rules: text → tokens, and tokens → statements.

The rules are those of the server's own scanner (`scan.l`) and psql's (`psqlscan.l`) with `standard_conforming_strings = on`: nested block
comments, `E''` with backslashes and its continuation over lines, dollar quotes that cannot begin inside an identifier, operators that stop
where a comment starts, and `BEGIN ATOMIC … END` bodies whose semicolons end nothing. The text itself is never changed.
"""

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

from ..errors import SqlError, SqlFields, SqlPosition

TokenKind = Literal["word", "quoted", "string", "number", "symbol", "end"]

_IDENT = r"[A-Za-z_\u0080-\U0010ffff][A-Za-z_0-9$\u0080-\U0010ffff]*"
# A string goes on where only whitespace with a line end, and comments, stand before the next quote; for E'' the backslash rules go on too.
# Possessive, so that hostile text cannot make the match go back and forth.
_CONTINUED = r"(?:[ \t\f\v]|--[^\n\r]*+)*+[\n\r](?:[ \t\f\v\n\r]|--[^\n\r]*+[\n\r])*+'"
_ESCAPED_BODY = r"[^'\\]*(?:(?:\\.|'')[^'\\]*)*"
_MASTER = re.compile(
    r"(?:[ \t\n\r\f\v]++|--[^\n\r]*+)*+(?:"
    r"(?P<block>/\*)"
    rf"|(?P<escaped>[eE]'{_ESCAPED_BODY}(?:'(?:{_CONTINUED}){_ESCAPED_BODY})*(?P<escaped_end>')?)"
    rf"|(?P<word>{_IDENT})"
    r"|(?P<string>'[^']*(?:''[^']*)*(?P<string_end>')?)"
    r'|(?P<quoted>"[^"]*(?:""[^"]*)*(?P<quoted_end>")?)'
    r"|(?P<dollar>\$(?:[A-Za-z_\u0080-\U0010ffff][A-Za-z_0-9\u0080-\U0010ffff]*)?\$)"
    r"|(?P<number>[0-9][0-9A-Za-z_.]*|\$[0-9]+)"
    r"|(?P<end>;)"
    r"|(?P<symbol>.)"
    r"|(?P<finish>\Z))",
    re.DOTALL,
)
_PLAIN: dict[str, TokenKind] = {"word": "word", "number": "number", "symbol": "symbol", "end": "end"}
_BLOCK_EDGE = re.compile(r"/\*|\*/")


class Token(NamedTuple):
    """A piece of SQL that is neither whitespace nor comment: `text` is `sql[start:end]`.

    A tuple and not a dataclass: a script of 5 MB has more than a million.
    """

    kind: TokenKind
    start: int
    end: int
    text: str

    @property
    def word(self) -> str:
        """A keyword or bare identifier in upper case, else the text itself."""
        return self.text.upper() if self.kind == "word" else self.text

    @property
    def name(self) -> str:
        """The identifier that it stands for: quoted ones lose their quotes, bare ones are folded to lower case."""
        if self.kind == "quoted":
            return self.text[1:-1].replace('""', '"')
        return self.text.lower()


def lexical_error(
    sql: str, offset: int, message: str, *, index: int | None = None, hint: str | None = None
) -> SqlError:
    """A syntax error in the caller's text at the 0-based `offset`, found before anything was sent."""
    position = SqlPosition.find(sql, offset + 1)
    return SqlError(message, SqlFields(sqlstate="42601", hint=hint, position=position, statement_index=index))


def _block_comment_end(sql: str, start: int) -> int:
    depth, at = 1, start + 2
    while depth:
        edge = _BLOCK_EDGE.search(sql, at)
        if edge is None:
            raise lexical_error(sql, start, "Unterminated /* comment.")
        depth += 1 if edge.group() == "/*" else -1
        at = edge.end()
    return at


def tokens(sql: str, start: int = 0) -> Iterator[Token]:
    """The tokens of `sql` from `start` on, lazily.

    Raises SqlError (42601) with the position for a string, quoted identifier, dollar quote or comment that does not end.
    """
    at, match_at = start, _MASTER.match
    while True:
        match = match_at(sql, at)
        assert match is not None  # the last two alternatives take anything, and the end
        assert match.lastgroup is not None
        kind = match.lastgroup
        begin, at = match.span(kind)
        if kind in _PLAIN:
            yield Token(_PLAIN[kind], begin, at, match.group(kind))
        elif kind == "block":
            at = _block_comment_end(sql, begin)
        elif kind == "finish":
            return
        elif kind == "dollar":
            close = sql.find(match.group(kind), at)
            if close < 0:
                raise lexical_error(sql, begin, f"Unterminated dollar-quoted string {match.group(kind)}.")
            at = close + at - begin
            yield Token("string", begin, at, sql[begin:at])
        else:
            if match.group(f"{kind}_end") is None:
                what = "quoted identifier" if kind == "quoted" else "quoted string"
                raise lexical_error(sql, begin, f"Unterminated {what}.")
            yield Token("quoted" if kind == "quoted" else "string", begin, at, match.group(kind))


class _Nesting:
    """Whether a semicolon ends the statement: not in parentheses, nor in the BEGIN ATOMIC … END body of a routine."""

    def __init__(self) -> None:
        self.parentheses = 0
        self.atomic = 0
        self._words: list[str] = []
        self._before = ""

    @property
    def open(self) -> bool:
        return self.parentheses > 0 or self.atomic > 0

    def _in_routine(self) -> bool:
        head = [w for w in self._words[:4] if w not in ("OR", "REPLACE")]
        return head[:1] == ["CREATE"] and head[1:2] in (["FUNCTION"], ["PROCEDURE"])

    def see(self, token: Token) -> None:
        if token.kind == "symbol":
            if token.text == "(":
                self.parentheses += 1
            elif token.text == ")" and self.parentheses:
                self.parentheses -= 1
        elif token.kind == "word":
            self._see_word(token.text.upper())
        self._before = token.text.upper() if token.kind in ("word", "symbol") else ""

    def _see_word(self, word: str) -> None:
        if len(self._words) < 4:
            self._words.append(word)
        # After AS or a dot, END and CASE are names: `SELECT x.end, 1 AS case`.
        if self.atomic == 0:
            if word == "ATOMIC" and self._before == "BEGIN" and self._in_routine():
                self.atomic = 1
        elif self._before not in ("AS", "."):
            self.atomic += {"CASE": 1, "END": -1}.get(word, 0)


def statements(sql: str) -> Iterator[list[Token]]:
    """The statements of a script as their tokens, without the semicolon; empty statements are left out.

    Lazy on purpose: what follows a statement is not looked at before the caller asks, for after COPY … FROM STDIN comes data, not SQL.
    """
    found: list[Token] = []
    nesting = _Nesting()
    for token in tokens(sql, 1 if sql.startswith("\ufeff") else 0):
        if token.kind == "end" and not nesting.open:
            if found:
                yield found
            found, nesting = [], _Nesting()
            continue
        found.append(token)
        nesting.see(token)
    if found:
        yield found
