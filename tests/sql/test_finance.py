"""Views of ticks on rows that can be summed up by hand."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from lakehouse.tables.finance import (
    GOLD_BARS_1M,
    GOLD_INSTRUMENTS,
    GOLD_TICK_FEATURES,
    GOLD_VOLUME_PROFILE_1D,
    SILVER_QUOTES,
)

DAY = date(2024, 8, 8)
BTC = "BTCUSDT.BINANCE"
OPEN = datetime(2024, 8, 8, 13, 30, tzinfo=UTC)


def bar(minute: int, price: str, volume: str, *, filled: bool = False, outliers: int = 0, day: date = DAY) -> dict:
    prices = dict.fromkeys(("open", "high", "low", "close", "vwap"), Decimal(price))
    return prices | {
        "instrument_id": BTC,
        "event_date": day,
        "bar_start": datetime(day.year, day.month, day.day, 13, 30, tzinfo=UTC) + timedelta(minutes=minute),
        "volume": Decimal(volume),
        "trade_count": 0 if filled and not outliers else 2,
        "outlier_count": outliers,
        "is_filled": filled,
    }


def test_daily_vwap_weighs_minutes_by_volume_and_filled_ones_not_at_all(desk):
    desk.fill(GOLD_INSTRUMENTS, {"instrument_id": BTC, "currency": "USDT"})
    desk.fill(
        GOLD_BARS_1M,
        bar(0, "100", "1"),
        bar(1, "104", "3"),
        bar(2, "104", "0", filled=True),  # nothing was traded: the last close again
        bar(3, "104", "5", filled=True, outliers=2),  # only outliers: traded, without a price of its own
        bar(4, "101", "1"),
    )
    desk.fill(GOLD_BARS_1M, bar(0, "7", "0", filled=True, day=date(2024, 8, 9)))  # a day without any usable trade
    rows = desk.run("finance/daily_vwap", "event_date", "currency", "vwap", "open", "high", "low", "close")
    # (100 * 1 + 104 * 3 + 101 * 1) / 5
    assert rows == [
        (DAY, "USDT", Decimal("102.6"), Decimal(100), Decimal(104), Decimal(100), Decimal(101)),
        (date(2024, 8, 9), "USDT", None, None, None, None, None),
    ]
    counted = desk.run("finance/daily_vwap", "event_date", "volume", "turnover", "trade_count", "outlier_count")
    assert counted == [(DAY, Decimal(10), Decimal(513), 8, 2), (date(2024, 8, 9), Decimal(0), None, 0, 0)]


def test_volume_profile_is_the_bins_that_hold_the_volume(desk):
    def bin_of(index: int, volume: int, *, poc: bool = False, area: bool = False) -> dict:
        return {
            "instrument_id": BTC,
            "event_date": DAY,
            "bin_index": index,
            "price_low": Decimal(100 + index),
            "price_high": Decimal(101 + index),
            "volume": Decimal(volume),
            "trade_count": volume,
            "is_point_of_control": poc,
            "is_in_value_area": area,
        }

    desk.fill(
        GOLD_VOLUME_PROFILE_1D, bin_of(0, 2), bin_of(1, 5, poc=True, area=True), bin_of(2, 2, area=True), bin_of(3, 1)
    )
    rows = desk.run(
        "finance/volume_profile",
        *("currency", "point_of_control_low", "point_of_control_high", "value_area_low", "value_area_high"),
        *("value_area_pct", "volume", "trade_count", "bin_count"),
    )
    # no reference of the instrument: no currency, and the row is there
    assert rows == [(None, Decimal(101), Decimal(102), Decimal(101), Decimal(103), 70.0, Decimal(10), 10, 4)]


def test_spread_by_hour_counts_every_quote_and_averages_those_with_both_sides(desk):
    def quote(minute: int, spread_bps: float | None) -> dict:
        moment = OPEN + timedelta(minutes=minute)
        return {"instrument_id": BTC, "event_date": DAY, "ts_event": moment, "spread_bps": spread_bps}

    desk.fill(
        SILVER_QUOTES,
        *(quote(0, 2.0), quote(1, None), quote(29, 4.0)),  # 13:30 to 13:59 UTC, one of them one-sided
        quote(30, 5.0),  # 14:00 UTC
        quote(31, None),
    )
    rows = desk.run(
        "finance/spread_by_hour",
        *("hour_utc", "quote_count", "two_sided_count", "mean_spread_bps", "std_spread_bps"),
        *("least_spread_bps", "greatest_spread_bps"),
    )
    assert rows == [
        (13, 3, 2, 3.0, pytest.approx(math.sqrt(2)), 2.0, 4.0),
        (14, 2, 1, 5.0, None, 5.0, 5.0),
    ]


def test_rolling_volatility_starts_anew_each_day_and_waits_for_sixty_returns(desk):
    def feature(minute: int, day: int, log_return: float | None) -> dict:
        start = datetime(2024, 8, day, tzinfo=UTC) + timedelta(minutes=minute)
        return {
            "instrument_id": BTC,
            "event_date": date(2024, 8, day),
            "bar_start": start,
            "log_return": log_return,
            "realized_volatility_30": 0.0002,
        }

    first = [feature(0, 8, None), *(feature(minute, 8, 0.0001) for minute in range(1, 62))]
    first[61]["log_return"] = 0.0003
    desk.fill(GOLD_TICK_FEATURES, *first, *(feature(minute, 9, 0.0001) for minute in range(59)))
    rows = desk.run("finance/rolling_volatility", "bar_start", "volatility_60_bps", "volatility_30_bps")
    known = [row for row in rows if row[1] is not None]
    midnight = datetime(2024, 8, 8, tzinfo=UTC)
    assert len(rows) == 121
    # 60 returns of 1 bp; then 59 of them and one of 3 bps; the 59 of the next day are too few
    assert known == [
        (midnight + timedelta(minutes=60), pytest.approx(math.sqrt(60)), pytest.approx(2.0)),
        (midnight + timedelta(minutes=61), pytest.approx(math.sqrt(68)), pytest.approx(2.0)),
    ]


def test_volume_profile_of_a_day_takes_that_instrument_and_day_alone(desk):
    def bin_of(instrument: str, day: int, index: int, volume: int) -> dict:
        return {
            "instrument_id": instrument,
            "event_date": date(2026, 1, day),
            "bin_index": index,
            "volume": Decimal(volume),
        }

    wanted = "GENBTCUSDT.BINANCE"
    desk.fill(
        GOLD_VOLUME_PROFILE_1D,
        *(bin_of(wanted, 6, 1, 3), bin_of(wanted, 6, 0, 1)),
        *(bin_of(wanted, 7, 0, 9), bin_of("GENETHUSDT.BINANCE", 6, 0, 9)),
    )
    assert desk.run("finance/volume_profile_of_a_day", "bin_index", "volume", "volume_pct") == [
        (0, Decimal(1), 25.0),
        (1, Decimal(3), 75.0),
    ]
