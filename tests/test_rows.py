"""Values reach a model whole, or cut with their length said."""

import json

from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import to_json

from neon_branch_mcp.postgres.rows import BUILTIN, DEEP, RowSink, parse_array, reader, value_of


def test_numbers_keep_their_digits() -> None:
    assert value_of(23, b"42", 100) == 42
    assert value_of(20, b"9007199254740993", 100) == "9007199254740993"
    assert value_of(1700, b"1.10", 100) == "1.10"
    assert value_of(701, b"0.1", 100) == 0.1
    assert value_of(701, b"NaN", 100) == "NaN"
    assert value_of(3802, b'{"a": 12345678901234567890, "b": 0.1, "c": 0.12345678901234567890}', 100) == {
        "a": "12345678901234567890",
        "b": 0.1,
        "c": "0.12345678901234567890",
    }


def test_times_bytes_and_nulls_are_as_postgres_prints_them() -> None:
    assert value_of(1184, b"2026-01-02 03:04:05.123456+00", 100) == "2026-01-02 03:04:05.123456+00"
    assert value_of(17, b"\\x00ff", 100) == "\\x00ff"
    assert value_of(25, None, 100) is None
    assert value_of(16, b"t", 100) is True


def test_arrays_are_lists() -> None:
    text = BUILTIN[25][1]
    assert value_of(1007, b"{1,NULL,3}", 100) == [1, None, 3]
    strings = b'{"a,b","q\\"uo\\\\te",NULL,"NULL"}'
    assert value_of(1009, strings, 100) == ["a,b", 'q"uo\\te', None, "NULL"]
    assert value_of(1007, b"{{1,2},{3,4}}", 100) == [[1, 2], [3, 4]]
    assert value_of(1007, b"{}", 100) == []
    assert parse_array("[0:1]={a,b}", text) == "[0:1]={a,b}"


def test_a_long_cell_is_cut_with_its_length() -> None:
    assert value_of(25, b"x" * 5000, 10) == "x" * 10 + "… (5,000 characters)"


def test_rows_and_bytes_are_capped_and_the_note_says_so() -> None:
    sink = RowSink(max_rows=2, max_bytes=1000, max_cell=100)
    for _ in range(4):
        sink.add([reader(23)], [b"1"])
    assert (len(sink.rows), sink.left_out, sink.full_by) == (2, 2, "rows")
    assert "max_rows" in sink.note()
    sink = RowSink(max_rows=100, max_bytes=50, max_cell=100)
    for _ in range(3):
        sink.add([reader(25)], [b"x" * 30])
    assert (len(sink.rows), sink.full_by) == (1, "bytes")


def test_the_first_row_always_fits() -> None:
    sink = RowSink(max_rows=10, max_bytes=1000, max_cell=2000)
    sink.add([reader(25)] * 2, [b"x" * 1900, b"y" * 1900])
    assert len(sink.rows) == 1
    assert sink.size <= 1000
    assert "1,900 characters" in sink.rows[0][0]


def test_numbers_in_json_that_python_does_not_read_stay_text() -> None:
    digits, tiny = "9" * 5_000, "1e-9999999999999999999999"
    assert value_of(114, f'{{"a": [{digits}], "b": {tiny}}}'.encode(), 10_000) == {"a": [digits], "b": tiny}
    assert value_of(114, b"[-9007199254740991, -9007199254740992]", 100) == [-9007199254740991, "-9007199254740992"]


def test_of_rows_that_do_not_fit_no_more_are_read_than_fit() -> None:
    read: list[str] = []

    def counting(text: str) -> str:
        read.append(text)
        return text

    sink = RowSink(max_rows=500, max_bytes=1_000, max_cell=100)
    sink.add_all([counting], [[b"x" * 90] * 400], 400)
    assert (len(sink.rows), len(read), sink.full_by) == (10, 11, "bytes")


CELLS = st.none() | st.integers(0, 99999).map(lambda n: str(n).encode()) | st.binary(max_size=40).filter(bool)


@given(
    st.lists(st.lists(st.tuples(CELLS, CELLS), max_size=6), max_size=4), *[st.integers(1, 12)] * 2, st.integers(20, 400)
)
def test_rows_that_come_together_are_taken_as_if_each_came_alone(
    batches: list[list[tuple[bytes | None, bytes | None]]], max_rows: int, max_cell: int, max_bytes: int
) -> None:
    limits = {"max_rows": max_rows, "max_bytes": max_bytes, "max_cell": 3 * max_cell}
    alone, together, readers = RowSink(**limits), RowSink(**limits), [reader(25), str.upper]
    for batch in batches:
        for row in batch:
            alone.add(readers, row)
        together.add_all(readers, [[row[column] for row in batch] for column in range(2)], len(batch))
    assert vars(together) == vars(alone)


def test_json_that_cannot_be_said_again_stays_text() -> None:
    for text in (r'"\ud800"', r'{"a": ["\udc00"]}', "[" * 300 + "]" * 300, "[" * 990 + "]" * 990):
        assert value_of(114, text.encode(), 10_000) == text
    assert value_of(114, rb'"\ud83d\ude00 \\u"', 100) == "😀 \\u"
    assert value_of(3802, b"[" * 150 + b"]" * 150, 1_000) == json.loads("[" * 150 + "]" * 150)
    assert value_of(199, rb'{"\"\\ud800\""}', 100) == [r'"\ud800"']


def test_json_in_an_array_of_six_dimensions_can_be_said_as_deep_as_it_is_kept() -> None:
    for deep in range(DEEP, 256):
        value = value_of(3807, b"{" * 6 + b"[" * deep + b"]" * deep + b"}" * 6, 10_000)
        assert to_json({"result": {"structuredContent": {"rows": [[value]]}}})
