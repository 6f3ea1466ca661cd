"""Correlations of one-minute returns within a day."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from lakehouse.errors import BadInputError
from lakehouse.tables.finance import GOLD_RETURN_CORRELATIONS_1D
from transforms.finance.correlations import correlate

DAY = date(2024, 8, 8)
FEATURE_SCHEMA = {
    "instrument_id": pl.String,
    "event_date": pl.Date,
    "bar_start": pl.Datetime("us", "UTC"),
    "log_return": pl.Float64,
}


def returns_of(instrument: str, values: list[float | None], day: date = DAY, first_minute: int = 0) -> list[tuple]:
    start = datetime.combine(day, datetime.min.time(), UTC) + timedelta(minutes=first_minute)
    return [(instrument, day, start + timedelta(minutes=number), value) for number, value in enumerate(values)]


def pairs_of(rows: list[tuple], *groups: Sequence[str]) -> list[tuple]:
    frame = correlate(pl.DataFrame(rows, FEATURE_SCHEMA, orient="row"), *groups)
    assert frame.columns == list(GOLD_RETURN_CORRELATIONS_1D.digest_columns)
    return sorted(frame.rows())


def test_correlate_pairs_minutes_and_leaves_out_overnight_and_gaps():
    rows = [
        # the first return of the day is the overnight one, the one after the gap is over many minutes
        *returns_of("A", [0.5, 0.01, 0.02, -0.01]),
        *returns_of("A", [0.4, 0.03], first_minute=600),
        *returns_of("B", [-0.5, 0.02, 0.04, -0.02]),
        *returns_of("B", [-0.4, 0.06], first_minute=600),
        *returns_of("C", [0.1, -0.01, -0.02, 0.01]),
        # does not move
        *returns_of("D", [0.2, 0.0, 0.0, 0.0]),
        # shares one minute with the others: no correlation of a single pair
        *returns_of("E", [0.2, 0.1], first_minute=2),
        # another day, and no minute that both have
        *returns_of("A", [0.1, 0.2], DAY + timedelta(days=1)),
        *returns_of("B", [0.1, 0.2], DAY + timedelta(days=1), first_minute=5),
    ]
    assert pairs_of(rows) == [
        (DAY, "A", "B", 4, 1.0),
        (DAY, "A", "C", 3, -1.0),
        (DAY, "A", "D", 3, None),
        (DAY, "A", "E", 1, None),
        (DAY, "B", "C", 3, -1.0),
        (DAY, "B", "D", 3, None),
        (DAY, "B", "E", 1, None),
        (DAY, "C", "D", 3, None),
        (DAY, "C", "E", 1, None),
        (DAY, "D", "E", 1, None),
    ]


def test_correlate_equals_numpy_and_does_not_depend_on_the_order_of_rows():
    generator = np.random.default_rng(3)
    common = generator.normal(0, 0.0005, 1440)
    series = {name: common + generator.normal(0, 0.0005, 1440) for name in "ABCD"}
    rows = [row for name, values in series.items() for row in returns_of(name, values.tolist())]
    found = pairs_of(rows)
    for _, first, second, count, correlation in found:
        expected = np.corrcoef(series[first][1:], series[second][1:])[0, 1]
        assert (count, correlation) == (1439, pytest.approx(expected, abs=1e-10))
    assert len(found) == 6
    generator.shuffle(rows)
    assert pairs_of(rows) == found


def test_correlate_holds_the_largest_returns_that_prices_can_have():
    # from the smallest to the largest decimal(18,8) and back, every minute of a day
    largest = float(np.log(9_999_999_999.99999999 / 0.00000001))
    swings = [largest * (-1) ** number for number in range(1440)]
    rows = [*returns_of("A", swings), *returns_of("B", [-value for value in swings])]
    assert pairs_of(rows) == [(DAY, "A", "B", 1439, -1.0)]


@pytest.mark.parametrize(
    ("left", "right"),
    [
        pytest.param("AB", "CDE", id="one before the other"),
        pytest.param("BD", "ACE", id="names of both in turn"),
        pytest.param("ABCDEX", "Y", id="one without returns"),
    ],
)
def test_groups_of_instruments_together_have_the_pairs_of_all_at_once(left, right):
    generator = np.random.default_rng(5)
    rows = [row for name in "ABCDE" for row in returns_of(name, generator.normal(0, 0.001, 30).tolist())]
    rows = [*rows, *returns_of("X", [0.1]), *returns_of("Y", [0.1])]  # a day's first return is none of a minute
    whole = pairs_of(rows)
    cut = [*pairs_of(rows, left, left), *pairs_of(rows, left, right), *pairs_of(rows, right, right)]
    assert sorted(cut) == whole
    assert len(whole) == 10


def test_groups_that_share_instruments_have_each_pair_once():
    rows = [row for name in "ABC" for row in returns_of(name, [0.0, 0.1, 0.2, -0.1])]
    assert [row[1:3] for row in pairs_of(rows, "AB", "ABC")] == [("A", "B"), ("A", "C"), ("B", "C")]


def test_correlate_equals_the_formula_over_integers_of_any_size():
    generator = random.Random(7)
    scales = (1e-9, 1e-3, 42.0)
    series = {f"{n}": [generator.uniform(-1, 1) * generator.choice(scales) for _ in range(40)] for n in range(6)}
    rows = [row for name, values in series.items() for row in returns_of(name, values)]
    units = {name: [round(value * 2**46) for value in values[1:]] for name, values in series.items()}
    for _, first, second, count, correlation in pairs_of(rows):
        a, b = units[first], units[second]
        aa, bb, ab = (
            count * sum(x * y for x, y in zip(one, other, strict=True)) - sum(one) * sum(other)
            for one, other in ((a, a), (b, b), (a, b))
        )
        assert (count, correlation) == (39, float(ab) / math.sqrt(float(aa) * float(bb)))


@pytest.mark.parametrize("value", [64.0, -64.0, math.inf, math.nan])
def test_correlate_refuses_returns_that_no_prices_make(value):
    with pytest.raises(BadInputError, match=r"^B, 2024-08-08 00:01 UTC: expected a log return below 64, found "):
        pairs_of([*returns_of("A", [0.0, 0.1]), *returns_of("B", [0.0, value])])


def test_no_features_have_no_pairs():
    assert pairs_of([]) == []
