"""Lines: what is a number of the tables, how prices are scaled, which marks are suspicious."""

from __future__ import annotations

from decimal import Decimal

import polars as pl
import pytest

from transforms.finance.lines import (
    NUMBER,
    is_marked_suspicious,
    parse_decimal,
    parse_decimals,
    scale_price,
)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        pytest.param("61837.63", "61837.63", id="a price"),
        pytest.param("9999999999.12345678", "9999999999.12345678", id="all digits that fit"),
        pytest.param("0.00000001", "0.00000001", id="the smallest"),
        pytest.param("-3", "-3", id="negative is a number"),
        pytest.param(" 1.5 ", "1.5", id="blanks around"),
        pytest.param("1e-05", "0.00001", id="as Python writes small floats"),
        pytest.param("0.12345678000", "0.12345678", id="zeros past the eighth decimal are no rounding"),
        pytest.param("12345678901", None, id="eleven digits"),
        pytest.param("0.123456789", None, id="nine decimals would be rounded"),
        pytest.param("1.5E-8", None, id="nine decimals by an exponent"),
        pytest.param("1e-20", None, id="an exponent that would make it 0"),
        pytest.param("0.00000000", "0", id="zero"),
        pytest.param("1.5000000000000000000000001", None, id="more decimals than can be looked at"),
        pytest.param("1.5x", None, id="text"),
        pytest.param("NaN", None, id="not a number"),
        pytest.param("1,5", None, id="a comma"),
        pytest.param("", None, id="empty"),
        pytest.param(None, None, id="missing"),
    ],
)
def test_parse_decimal_never_rounds(text, number):
    lines = pl.DataFrame({"raw": [text]}, {"raw": pl.String})
    for parsed in (lines.select(number=parse_decimal("raw")), parse_decimals(lines, {"number": "raw"}).drop("raw")):
        assert parsed.schema == {"number": NUMBER}
        assert parsed.item() == (None if number is None else Decimal(number))


@pytest.mark.parametrize("odd", ["", "1e-05", "0.123456789", "x"])
def test_parse_decimals_reads_plain_texts_alike_whatever_is_among_them(odd):
    lines = pl.DataFrame({"a": ["1.5", " -2 ", None, odd], "b": ["3", "4.00000001", ".5", "5."]})
    parsed = parse_decimals(lines, {"number": "a", "other": "b"})
    assert parsed.equals(lines.with_columns(number=parse_decimal("a"), other=parse_decimal("b")))
    assert parsed["number"].to_list()[:3] == [Decimal("1.5"), Decimal(-2), None]


def test_parse_price_scales_only_prices_that_the_file_scaled_and_never_rounds():
    prices = pl.DataFrame(
        {
            "raw_price": ["1012500", "1012500", "1.23456", "0.00004", "x"],
            "price_divisor": pl.Series([1, 10_000, 10_000, 10_000, 10_000], dtype=pl.Int32),
        }
    ).select("price_divisor", price=parse_decimal("raw_price"))
    prices = prices.select(scale_price("price"))
    assert prices.schema == {"price": NUMBER}
    # the third and fourth would need more than eight decimals
    assert prices["price"].to_list() == [Decimal(1012500), Decimal("101.25"), None, None, None]


def test_is_marked_suspicious_reads_the_marks_of_the_feeds():
    marks = pl.DataFrame({"raw_suspicious": ["1", "true", "TRUE", "0", "", "false", None]})
    assert marks.select(is_marked_suspicious()).to_series().to_list() == [True] * 3 + [False] * 4
