"""Volume by price: bins with exact edges, the point of control and the value area."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from random import Random
from types import SimpleNamespace

import polars as pl
import pytest

from lakehouse.tables.finance import GOLD_VOLUME_PROFILE_1D
from transforms.finance.volume_profile import BINS, make_profile

DAY = date(2024, 8, 8)
TRADE_SCHEMA = {
    "instrument_id": pl.String,
    "event_date": pl.Date,
    "price": pl.Decimal(18, 8),
    "size": pl.Decimal(18, 8),
    "is_outlier": pl.Boolean,
}


def profile_of(trades: list[tuple[str, str]], outliers: tuple[str, ...] = ()) -> list[tuple]:
    """Bins as (low, high, volume, trades, mark), the mark being P for the point of control, v for the value area."""
    rows = [("A", DAY, Decimal(price), Decimal(size), False) for price, size in trades]
    rows += [("A", DAY, Decimal(price), Decimal(1000), True) for price in outliers]
    profile = make_profile(pl.DataFrame(rows, TRADE_SCHEMA, orient="row").sample(fraction=1, shuffle=True, seed=3))
    assert profile.columns == list(GOLD_VOLUME_PROFILE_1D.digest_columns)
    bins = [SimpleNamespace(**row) for row in profile.sort("bin_index").to_dicts()]
    assert [row.bin_index for row in bins] == list(range(len(bins)))
    assert {(row.instrument_id, row.event_date) for row in bins} == {("A", DAY)}
    return [
        (
            f"{row.price_low.normalize():f}",
            f"{row.price_high.normalize():f}",
            f"{row.volume.normalize():f}",
            row.trade_count,
            "P" * row.is_point_of_control + "v" * row.is_in_value_area,
        )
        for row in bins
    ]


def test_make_profile_cuts_the_range_into_bins_with_exact_edges():
    # The range of 50 makes bins of 1; an edge belongs to the bin above it, the high to the last bin.
    trades = [("100", "1"), ("100.99999999", "2"), ("101", "4"), ("149", "8"), ("150", "16"), ("150", "1")]
    bins = profile_of(trades, outliers=("1000", "1"))
    assert len(bins) == BINS
    assert [row for row in bins if row[3]] == [
        ("100", "101", "3", 2, ""),
        ("101", "102", "4", 1, ""),
        ("149", "150", "25", 3, "Pv"),
    ]
    assert [(low, high) for low, high, *_ in bins] == [(f"{edge}", f"{edge + 1}") for edge in range(100, 150)]
    assert {row[2:] for row in bins if not row[3]} == {("0", 0, "")}


@pytest.mark.parametrize(
    ("prices", "expected"),
    [
        pytest.param(["7", "7"], [("7", "7", "2", 2, "Pv")], id="one price is one bin"),
        pytest.param(
            ["0.00000001", "0.00000003"],
            [
                ("0.00000001", "0.00000002", "1", 1, "Pv"),
                ("0.00000002", "0.00000003", "0", 0, "v"),
                ("0.00000003", "0.00000003", "1", 1, "v"),
            ],
            id="no bin is narrower than the last decimal",
        ),
    ],
)
def test_make_profile_has_fewer_bins_where_the_range_is_narrow(prices, expected):
    assert profile_of([(price, "1") for price in prices]) == expected


def test_make_profile_rounds_the_width_up_so_that_all_bins_are_equal():
    # A range of 101 units makes bins of 3 units: 34 of them, the last cut off at the high.
    bins = profile_of([("1.00000000", "1"), ("1.00000101", "5")])
    assert len(bins) == 34
    assert bins[-2:] == [("1.00000096", "1.00000099", "0", 0, ""), ("1.00000099", "1.00000101", "5", 1, "Pv")]


@pytest.mark.parametrize(
    ("sizes", "marks"),
    [
        pytest.param([1, 2, 10, 3, 1], ["", "", "Pv", "v", ""], id="the larger neighbour comes first"),
        # with the day's low and high 20 in all, of which 14 are exactly 70 %
        pytest.param([0, 3, 11, 3, 2.9998], ["", "v", "Pv", "", ""], id="of equals the lower, and 70 % is enough"),
        pytest.param(
            [5, 0, 5, 5, 0], ["Pv", "v", "v", "v", ""], id="the lowest of equal peaks; empty bins are crossed"
        ),
        pytest.param([1, 1, 1, 1, 9], ["", "", "", "v", "Pv"], id="at the upper end it grows downwards"),
    ],
)
def test_make_profile_grows_the_value_area_from_the_point_of_control(sizes, marks):
    # 50 bins of width 1 from 0.5 on; only every price of the first five has volume, and the last a little
    trades = [(f"{price}.5", str(size)) for price, size in enumerate(sizes) if size]
    low, high = ("0.5", "0.0001"), ("50.5", "0.0001")
    bins = profile_of([*trades, low, high])
    assert [row[4] for row in bins[:5]] == marks
    assert {row[4] for row in bins[5:]} == {""}


def test_make_profile_adds_up_volumes_that_64_bits_do_not_hold():
    largest = "9999999999.99999999"
    assert profile_of([("1", largest)] * 300) == [("1", "1", "2999999999999.999997", 300, "Pv")]


def test_instruments_and_days_in_any_order_have_the_profiles_of_each_alone():
    random = Random(11)
    parts = [
        pl.DataFrame(
            [
                (name, day, Decimal(random.randrange(1, 10**12)).scaleb(-8), Decimal(random.randrange(1, 9)), False)
                for _ in range(200)
            ],
            TRADE_SCHEMA,
            orient="row",
        )
        for name in "AB"
        for day in (DAY, DAY + timedelta(days=1))
    ]
    alone = pl.concat([make_profile(part) for part in parts]).sort("event_date", "instrument_id", "bin_index")
    together = pl.concat(parts)
    for trades in (together, together.sample(fraction=1, shuffle=True, seed=2)):
        profile = make_profile(trades)
        assert profile.sort("event_date", "instrument_id", "bin_index").equals(alone)
        assert profile.equals(profile.sort(GOLD_VOLUME_PROFILE_1D.row_order))
    assert alone.height == 4 * BINS


def test_a_day_of_outliers_alone_has_no_profile():
    trades = pl.DataFrame([("A", DAY, Decimal(1), Decimal(1), True)], TRADE_SCHEMA, orient="row")
    profile = make_profile(trades)
    assert (profile.height, profile.columns) == (0, list(GOLD_VOLUME_PROFILE_1D.digest_columns))
