"""A second try for text that the parser does not know: operators and type names in words it does, for its eyes only.

What is sent to Postgres is always the caller's own text. By our own lexer's tokens are replaced: operators, type names of a fixed list or
after `::`, what a few calls (JSON_TABLE, XMLPARSE) hold that have a grammar of their own, and clauses that consist of names alone. None of
them can be, or hide, a statement: such a call is left as it is where it holds any word that a statement or a sub-select begins with.
Offsets stay as they are.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from .lexer import Kind, Token

# Operators that sqlglot reads in Postgres' dialect.
_KNOWN = "+ - * / % ^ < > = <= >= <> != || ~ ~* !~ !~* ~~ ~~* !~~ !~~* & | << >> -> ->> #> #>> @> <@ && :: ?"
KNOWN = frozenset(_KNOWN.split())
_LITERAL_TYPES = (
    "box point circle line lseg path polygon inet cidr macaddr tsvector tsquery bytea json jsonb xml uuid pg_lsn bit "
    "int4range int8range numrange daterange tsrange tstzrange regclass regtype regproc oid money txid_snapshot pg_snapshot"
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
_ODD_TYPES = ("cube",)
# Before these an operator has nothing on its left: `SELECT @ -5`.
_OPENING = (
    "select distinct all where and or not on when then else case by having limit offset in like ilike between as is from "
    "using returning values filter any some array end union except intersect"
)
OPENING = frozenset(_OPENING.split())


# Their arguments are written in a grammar of their own (`JSON_ARRAY(1 NULL ON NULL RETURNING text)`), of which the parser knows parts.
_OWN_GRAMMAR_TEXT = (
    "json json_array json_arrayagg json_exists json_object json_objectagg json_query json_scalar json_serialize json_table json_value "
    "xmlconcat xmlelement xmlexists xmlforest xmlparse xmlpi xmlroot xmlserialize xmltable substring normalize"
)
OWN_GRAMMAR = frozenset(_OWN_GRAMMAR_TEXT.split())
# Without one of these nothing is a statement or a sub-select.
STATEMENT_WORDS = frozenset(["select", "values", "table", "insert", "update", "delete", "merge", "into", "execute"])


def simplified(sql: str, found: Sequence[Token]) -> str:
    """`sql` with every word replaced that the parser is known not to know; the same text when there is none."""
    out: list[str] = []
    end = 0
    for start, stop, word in sorted(_changes(found), key=lambda change: (change[0], -change[1])):
        if start < end:
            continue  # inside what is replaced already
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
    yield from _own_grammar(found)
    yield from _clauses(found)


def _is_prefix(before: Token | None) -> bool:
    if before is None or before.kind is Kind.OPERATOR:
        return True
    if before.kind is Kind.OTHER:
        return before.text not in ")]"
    return before.kind is Kind.WORD and before.text in OPENING


def _array_types(found: Sequence[Token]) -> Iterator[tuple[int, int, str]]:
    """`::schema.type[]` → `::int[]`, for any type, and those that the parser takes for something else."""
    for i in range(len(found) - 2):
        if not (found[i].is_char(":") and found[i + 1].is_char(":")):
            continue
        last = i + 2
        while last + 2 < len(found) and found[last + 1].is_char("."):
            last += 2
        named = found[last].kind in (Kind.WORD, Kind.QUOTED)
        odd = found[last].is_word(*_ODD_TYPES) or (last + 1 < len(found) and found[last + 1].is_char("["))
        if named and odd and found[last].end - found[i + 2].start >= len("int"):
            yield found[i + 2].start, found[last].end, "int"


def _own_grammar(found: Sequence[Token]) -> Iterator[tuple[int, int, str]]:
    """`JSON_TABLE(…)` → `f         ( )`, unless a sub-select may stand in it."""
    done = 0
    for i, (name, opening) in enumerate(pairwise(found)):
        if i < done or not (name.is_word(*OWN_GRAMMAR) and opening.is_char("(")):
            continue
        closing = _closing(found, i + 1)
        if closing is None or any(token.is_word(*STATEMENT_WORDS) for token in found[i + 2 : closing]):
            continue
        done = closing
        yield name.start, name.end, "f"
        yield opening.end, found[closing].start, ""


def _closing(found: Sequence[Token], opening: int) -> int | None:
    """Where the parenthesis that stands at `opening` is closed."""
    depth = 0
    for i in range(opening, len(found)):
        if found[i].kind is Kind.OTHER:
            depth += (found[i].text in "([") - (found[i].text in ")]")
            if depth == 0:
                return i
    return None


def _clauses(found: Sequence[Token]) -> Iterator[tuple[int, int, str]]:
    """`ORDER BY a USING <`, `JOIN … USING (a) AS x`, `AT LOCAL`, `COLLATION FOR`, SEARCH and CYCLE: left out."""
    for i, (token, after) in enumerate(pairwise(found)):
        if (token.is_word("using") and after.kind is Kind.OPERATOR) or (token.is_word("at") and after.is_word("local")):
            yield token.start, after.end, ""
        elif token.is_word("collation") and after.is_word("for"):
            yield after.start, after.end, ""
        elif token.is_word("using") and after.is_char("("):
            closing = _closing(found, i + 1)
            alias = found[closing + 1 : closing + 3] if closing is not None else ()
            if len(alias) == 2 and alias[0].is_word("as"):
                yield alias[0].start, alias[1].end, ""
        elif token.is_char(")") and after.is_word("search", "cycle"):
            end = _end_of_recursion(found, i + 1)
            if end > i + 1:
                yield after.start, found[end - 1].end, ""


_NAME, _CONSTANT = "name", "constant"
_SEARCH = (("search",), ("depth", "breadth"), ("first",), ("by",), _NAME, ("set",), _NAME)
_CYCLE = (("cycle",), _NAME, ("set",), _NAME, ("using",), _NAME)
_CYCLE_TO = (("cycle",), _NAME, ("set",), _NAME, ("to",), _CONSTANT, ("default",), _CONSTANT, ("using",), _NAME)


def _end_of_recursion(found: Sequence[Token], start: int) -> int:
    """Behind `SEARCH … SET s CYCLE … USING p`, of which either may be missing; `start` where neither is understood."""
    end = start
    for pattern in (_SEARCH, _CYCLE, _CYCLE_TO):
        end = _matched(found, end, pattern) or end
    return end


def _matched(found: Sequence[Token], start: int, pattern: Sequence[str | tuple[str, ...]]) -> int | None:
    """Where `pattern` ends that begins at `start`. A name before SET may be a list of them."""
    i = start
    for step in pattern:
        if i >= len(found):
            return None
        token = found[i]
        if isinstance(step, tuple):
            fits = token.is_word(*step)
        elif step == _CONSTANT:
            fits = token.kind in (Kind.STRING, Kind.NUMBER) or token.is_word("true", "false", "null")
        else:
            fits = token.kind in (Kind.WORD, Kind.QUOTED)
            while fits and i + 2 < len(found) and found[i + 1].is_char(",") and _another_name(found, i + 2):
                i += 2
        if not fits:
            return None
        i += 1
    return i


def _another_name(found: Sequence[Token], i: int) -> bool:
    """A name in a list that SET ends; `USING p, next AS (…` is none."""
    while i + 1 < len(found) and found[i].kind in (Kind.WORD, Kind.QUOTED):
        if found[i + 1].is_word("set"):
            return True
        if not found[i + 1].is_char(","):
            return False
        i += 2
    return False
