"""A second try for text that the parser does not know: operators and type names in words it does, for its eyes only.

What is sent to Postgres is always the caller's own text. Only operators, and type names of a fixed list or after `::`, are replaced, by
our own lexer's tokens: none of them can be, or hide, a statement. Offsets stay as they are.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from .lexer import Kind, Token

# Operators that sqlglot reads in Postgres' dialect.
_KNOWN = "+ - * / % ^ < > = <= >= <> != || ~ ~* !~ !~* ~~ ~~* !~~ !~~* & | << >> -> ->> #> #>> @> <@ && :: ?"
KNOWN = frozenset(_KNOWN.split())
_LITERAL_TYPES = (
    "box point circle line lseg path polygon inet cidr macaddr tsvector tsquery bytea json jsonb xml uuid pg_lsn bit "
    "int4range int8range numrange daterange tsrange tstzrange regclass regtype regproc oid money txid_snapshot"
)
LITERAL_TYPES = frozenset(_LITERAL_TYPES.split())
# What sqlglot takes for a type, so that a parenthesis after it makes it try twice; nested, that doubles and doubles.
_TYPE_WORDS = """
    array bigdecimal bigint bignum bignumeric bigserial binary bit blob bool boolean bpchar byte bytea char
    character clob cstring date datemultirange daterange datetime dec decfloat decimal decimal128 decimal256
    decimal32 decimal64 double enum fixed float float4 float8 geography geometry hstore hugeint inet int int1 int128
    int16 int2 int256 int32 int4 int4multirange int4range int64 int8 int8multirange int8range integer interval json
    jsonb list long longblob longtext longvarchar map mediumblob mediumint mediumtext money name nchar null nullable
    number numeric nummultirange numrange nvarchar nvarchar2 object oid point range real ref regclass regcollation
    regconfig regdictionary regnamespace regoper regoperator regproc regprocedure regrole regtype serial short
    smallint smallserial str string struct text time time_ns timestamp timestamp_ltz timestamp_ntz timestampltz
    timestampntz timestamptz timetz tinyblob tinyint tinytext tsmultirange tsrange tstzmultirange tstzrange uhugeint
    uint uint128 uint256 union unknown uuid varbinary varchar varchar2 variant vector xml
"""
TYPE_WORDS = frozenset(_TYPE_WORDS.split())
# Before these an operator has nothing on its left: `SELECT @ -5`.
_OPENING = (
    "select distinct all where and or not on when then else case by having limit offset in like ilike between as is from "
    "using returning values filter any some array end union except intersect"
)
OPENING = frozenset(_OPENING.split())


def simplified(sql: str, found: Sequence[Token]) -> str:
    """`sql` with every word replaced that the parser is known not to know; the same text when there is none."""
    out: list[str] = []
    end = 0
    for start, stop, word in sorted(_changes(found)):
        if start < end:
            continue
        out += [sql[end:start], word[: stop - start].ljust(stop - start)]
        end = stop
    return "".join([*out, sql[end:]])


def _changes(found: Sequence[Token]) -> Iterator[tuple[int, int, str]]:
    """(start, end, what stands there instead), never longer than what it replaces."""
    before: Token | None = None
    for token, after in pairwise([*found, found[-1]]):
        if token.kind is Kind.OPERATOR and token.text != "*" and (token.text not in KNOWN or _is_prefix(before)):
            word = "" if _is_prefix(before) and token.text not in ("-", "+") else token.text
            if word and word not in KNOWN:
                word = "||" if len(word) > 1 else "+"
            yield token.start, token.end, word
        elif token.is_word(*LITERAL_TYPES) and after.kind is Kind.STRING and not (before and before.is_char(".")):
            yield token.start, token.end, ""
        before = token
    yield from _array_types(found)


def _is_prefix(before: Token | None) -> bool:
    if before is None or before.kind is Kind.OPERATOR:
        return True
    if before.kind is Kind.OTHER:
        return before.text not in ")]"
    return before.kind is Kind.WORD and before.text in OPENING


def _array_types(found: Sequence[Token]) -> Iterator[tuple[int, int, str]]:
    """`::schema.type[]` → `::int[]`, for any type."""
    for i in range(len(found) - 3):
        if not (found[i].is_char(":") and found[i + 1].is_char(":")):
            continue
        last = i + 2
        while last + 2 < len(found) and found[last + 1].is_char("."):
            last += 2
        named = found[last].kind in (Kind.WORD, Kind.QUOTED)
        if (
            named
            and last + 1 < len(found)
            and found[last + 1].is_char("[")
            and found[last].end - found[i + 2].start >= len("int")
        ):
            yield found[i + 2].start, found[last].end, "int"
