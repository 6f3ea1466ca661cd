"""Lines that are odd: each stays a row with its right number, and spoils nothing but itself."""

from __future__ import annotations

import pytest

from spark_jobs.sources import lines as lines_module
from spark_jobs.sources import unpack
from spark_jobs.sources.base import UnreadableFileError
from spark_jobs.sources.lines import read_lines, with_optional_header, without_header

ABC = without_header("a", "b", "c")


def read_all(content, first_line=ABC, path="x.csv", skip=frozenset()):
    """(line, a, b, c, raw_line) of each row."""
    rows = []
    for block in read_lines(content, path, first_line, skip):
        columns = [column.to_pylist() for column in block.fields.values()]
        whole = block.raw_line.to_pylist() if block.raw_line is not None else [None] * len(block.numbers)
        rows += list(zip(block.numbers.tolist(), *columns, whole, strict=True))
    return rows


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(
            b"1,2,3\n4,5,6", [(1, "1", "2", "3", None), (2, "4", "5", "6", None)], id="no line end at the end"
        ),
        pytest.param(b"1,2,3\r\n4,5,6\r\n", [(1, "1", "2", "3", None), (2, "4", "5", "6", None)], id="CRLF"),
        pytest.param(b"1,2,3\r\n4,5,6\r", [(1, "1", "2", "3", None), (2, "4", "5", "6", None)], id="CRLF cut in two"),
        pytest.param(b"1,2,3\n\n", [(1, "1", "2", "3", None)], id="blank last line is no row"),
        pytest.param(b"1,2,3\r\n\r\n", [(1, "1", "2", "3", None)], id="blank last CRLF line is no row"),
        pytest.param(
            b"\n1,2,3\n\n4,5,6\n\n\n",
            [
                (1, None, None, None, ""),
                (2, "1", "2", "3", None),
                (3, None, None, None, ""),
                (4, "4", "5", "6", None),
                (5, None, None, None, ""),
            ],
            id="blank lines elsewhere are rows",
        ),
        pytest.param(
            b"1,2\n,,\n1,2,3,4\n5,6,7\r\n\r\nx\r\n",
            [
                (1, None, None, None, "1,2"),
                (2, "", "", "", None),  # three fields, all empty: split, unlike a blank line
                (3, None, None, None, "1,2,3,4"),
                (4, "5", "6", "7", None),
                (5, None, None, None, ""),
                (6, None, None, None, "x"),
            ],
            id="other numbers of fields",
        ),
        pytest.param(
            b'"1,2,3\n4,",6\n', [(1, '"1', "2", "3", None), (2, "4", '"', "6", None)], id="quotation marks mean nothing"
        ),
        pytest.param(
            b"1,\xff\xe2\x82,3\n4,\xe2\x82\xac,6\n",
            [(1, "1", "\ufffd\ufffd", "3", None), (2, "4", "€", "6", None)],
            id="bytes that are no UTF-8",
        ),
        pytest.param(b"1,2\r,3\n4,5,6\n", [(1, "1", "2\ufffd", "3", None), (2, "4", "5", "6", None)], id="lone CR"),
        pytest.param(b"\xef\xbb\xbf1,2,3\n", [(1, "1", "2", "3", None)], id="UTF-8 mark"),
        pytest.param(b"NA,null,NaN\n", [(1, "NA", "null", "NaN", None)], id="words for nothing are text"),
        pytest.param(b" 1,007,1e5\n", [(1, " 1", "007", "1e5", None)], id="texts are left as they are"),
    ],
)
def test_read_lines_keeps_every_line_and_its_number(content, expected):
    assert read_all(content) == expected


@pytest.mark.parametrize("chunk_bytes", [1, 2, 3, 5, 7, 64])
def test_read_lines_gives_the_same_lines_whatever_the_chunks(monkeypatch, chunk_bytes):
    content = b"1,2,3\r\n\r\n4,5\r\n6,7,\xe2\x82\xac\r\n8,9,10\r\n\r\n"
    whole = read_all(content)
    monkeypatch.setattr(unpack, "CHUNK_BYTES", chunk_bytes)

    assert read_all(content) == whole
    assert [row[0] for row in whole] == [1, 2, 3, 4, 5]


def test_read_lines_counts_an_optional_header_and_gives_no_row_for_it():
    header = with_optional_header(("id", "price"), (frozenset({"id", "tradeid"}), frozenset({"price"})))

    assert read_all(b"trade_id,PRICE\n1,2\nx\n", header) == [(2, "1", "2", None), (3, None, None, "x")]
    assert read_all(b"1,2\n3,4\n", header) == [(1, "1", "2", None), (2, "3", "4", None)]
    # Half known is no header but a row that silver will reject.
    assert read_all(b"id,cost\n3,4\n", header) == [(1, "id", "cost", None), (2, "3", "4", None)]


def test_read_lines_leaves_out_skipped_fields():
    assert read_all(b"1,2,3\n4\n", skip=frozenset({"b"})) == [(1, "1", "3", None), (2, None, None, "4")]


def test_read_lines_takes_a_line_of_just_the_limit_and_no_longer_one():
    fits = b"1,2," + b"x" * (lines_module.MAX_LINE_BYTES - 4) + b"\n"
    assert [row[0] for row in read_all(b"1,2,3\n" + fits + b"4,5,6\n")] == [1, 2, 3]

    with pytest.raises(UnreadableFileError, match="line 2 is longer than 1048576 bytes"):
        read_all(b"1,2,3\n" + fits.replace(b"x", b"yy", 1) + b"4,5,6\n")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param("1,2,3\n".encode("utf-16"), "expected UTF-8 text", id="UTF-16 with mark"),
        pytest.param("1,2,3\n".encode("utf-16-le"), "expected UTF-8 text", id="UTF-16 without mark"),
        pytest.param(b"1,2,3\n" * 9 + b"\0", "expected UTF-8 text", id="NUL"),
        pytest.param(b"x" * 9_000_000, "longer than 1048576 bytes", id="no line end in a whole chunk"),
        pytest.param(b"a;b;c\n1;2;3\n", "none of its 2 lines has the 3 fields a,b,c", id="another separator"),
        pytest.param(b"\n\n\n", "none of its 2 lines has the 3 fields a,b,c", id="blank lines"),
    ],
)
def test_read_lines_refuses_what_is_no_such_text(content, reason):
    with pytest.raises(UnreadableFileError, match=reason):
        read_all(content)
