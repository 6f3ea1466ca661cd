"""Slices as ranges and as text."""

from __future__ import annotations

from datetime import date

import pytest

from lakehouse.errors import BadInputError
from lakehouse.slices import ALL, UNDATED, day_range, describe_slices, format_slices, in_order, parse_day, parse_slices


@pytest.mark.parametrize(
    ("days", "text"),
    [
        pytest.param([], "", id="no day"),
        pytest.param([date(2024, 8, 8)], "2024-08-08", id="one day"),
        pytest.param(
            [date(2024, 8, 12), date(2024, 8, 8), date(2024, 8, 10), date(2024, 8, 9), date(2024, 8, 9)],
            "2024-08-08..2024-08-10,2024-08-12",
            id="ranges hold both ends, days come in any order and twice",
        ),
        pytest.param([date(2024, 2, 28), date(2024, 2, 29), date(2024, 3, 1)], "2024-02-28..2024-03-01", id="leap day"),
        pytest.param([date(9999, 12, 30), date(9999, 12, 31)], "9999-12-30..9999-12-31", id="the calendar's end"),
    ],
)
def test_format_slices_is_read_back_by_parse_slices(days, text):
    assert format_slices(days) == text
    assert parse_slices(text) == sorted(set(days))


@pytest.mark.parametrize(
    ("slices", "text", "description"),
    [
        pytest.param(["mnist"], "mnist", "mnist", id="one set"),
        pytest.param(["mnist", "cifar10", "mnist"], "cifar10,mnist", "cifar10,mnist", id="sets, one twice"),
        pytest.param([ALL], "*", "the whole table", id="the whole table"),
        pytest.param([UNDATED], "-", "deliveries without a day", id="rows without a day"),
        pytest.param(
            [UNDATED, date(2024, 8, 8), "mnist"],
            "2024-08-08,-,mnist",
            "2024-08-08,mnist",
            id="all kinds",
        ),
    ],
)
def test_format_slices_takes_names_which_parse_slices_reads_back(slices, text, description):
    assert format_slices(slices) == text
    assert parse_slices(text) == list(in_order(slices))
    assert describe_slices(slices) == description


def test_day_range_leaves_out_its_end():
    assert day_range(date(2024, 12, 30), date(2025, 1, 2)) == [
        date(2024, 12, 30),
        date(2024, 12, 31),
        date(2025, 1, 1),
    ]


@pytest.mark.parametrize("last", [date(2024, 8, 8), date(2024, 8, 7)])
def test_day_range_refuses_a_range_without_a_day(last):
    with pytest.raises(BadInputError) as caught:
        day_range(date(2024, 8, 8), last)
    assert str(caught.value) == f"--from 2024-08-08 --to {last} holds no day; --to is the day after the last one"


@pytest.mark.parametrize("text", ["yesterday", "2024-13-01", "2024-02-30", "08/08/2024", "2024-08-08T00:00", ""])
def test_parse_day_refuses_what_is_no_day(text):
    with pytest.raises(BadInputError) as caught:
        parse_day(text)
    assert str(caught.value) == f"expected a day like 2024-08-08, found {text!r}"


def test_parse_day_reads_an_iso_day():
    assert parse_day("2024-08-08") == date(2024, 8, 8)
