from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from lakehouse.errors import BadInputError
from lakehouse.lake.schema import arrow_schema
from lakehouse.tables.finance import GOLD_TICK_FEATURES
from ml.finance.config import FEATURES
from ml.finance.features import bar_returns, forward_log_returns, lay_out

OPEN = datetime(2013, 10, 7, 13, 30, tzinfo=UTC)
NEXT_OPEN = OPEN + timedelta(days=1)


def row(instrument, start, close=50.0, minute=0, **changed):
    base = {column.name: None for column in GOLD_TICK_FEATURES.columns}
    values = {
        "instrument_id": instrument, "event_date": start.date(), "bar_start": start, "close": close, "volume": 100.0,
        "minutes_since_open": minute, "is_filled": False, "log_return": 0.001, "sma_20": 49.0, "sma_50": 48.0,
        "ema_12": 51.0, "ema_26": 52.0, "macd": 0.5, "macd_signal": 0.25, "macd_histogram": 0.25, "rsi_14": 60.0,
        "bollinger_upper": 53.0, "bollinger_lower": 45.0, "realized_volatility_30": 0.01, "volume_zscore_30": 1.5,
    }  # fmt: skip
    return base | values | changed


def table(rows):
    return pa.Table.from_pylist(rows, arrow_schema(GOLD_TICK_FEATURES))


def minutes(instrument, begin, closes, first=0):
    return [
        row(instrument, begin + timedelta(minutes=number), close, first + number) for number, close in enumerate(closes)
    ]


def test_runs_end_at_the_night_at_a_missing_minute_and_at_the_next_instrument():
    before_open = row("A.USA", OPEN - timedelta(minutes=1), minute=None)  # outside of the session: no bar of a run
    missing = minutes("A.USA", NEXT_OPEN + timedelta(minutes=3), [1.0], first=3)  # its minutes 1 and 2 are missing
    rows = [before_open, *minutes("A.USA", OPEN, [1.0, 1.0]), *minutes("A.USA", NEXT_OPEN, [1.0]), *missing]
    rows += minutes("B.USA", NEXT_OPEN + timedelta(minutes=4), [1.0, 1.0], first=4)  # follows on A's last minute
    bars = lay_out(table(rows), ["log_return"])
    assert bars.runs.tolist() == [0, 0, 1, 2, 3, 3]
    assert bars.instrument.tolist() == [0, 0, 0, 0, 1, 1]
    assert bars.instruments == ("A.USA", "B.USA")


def test_filled_bars_are_bars_and_midnight_around_the_clock_is_no_gap():
    begin = datetime(2024, 8, 8, 23, 58, tzinfo=UTC)
    rows = [
        row("X.BINANCE", begin + timedelta(minutes=number), minute=(1438 + number) % 1440, is_filled=number == 1)
        for number in range(4)
    ]
    assert lay_out(table(rows), ["log_return"]).runs.tolist() == [0, 0, 0, 0]


def test_rows_in_any_order_are_the_same_bars():
    rows = [*minutes("A.USA", OPEN, [1.0, 2.0, 3.0]), *minutes("B.USA", OPEN, [4.0, 5.0])]
    one, other = (lay_out(table(each), ["rsi_14"]) for each in (rows, rows[::-1]))
    assert one.close.tolist() == other.close.tolist() == [1, 2, 3, 4, 5]
    assert (one.starts == other.starts).all()


def test_bar_that_is_there_twice_and_no_bar_at_all_are_refused():
    with pytest.raises(BadInputError, match=r"^bar 2013-10-07T13:30 of A\.USA is there twice$"):
        lay_out(table([row("A.USA", OPEN), row("A.USA", OPEN)]), ["rsi_14"])
    with pytest.raises(BadInputError, match=r"has no bar inside a session for these instruments$"):
        lay_out(table([row("A.USA", OPEN, minute=None)]), ["rsi_14"])


def test_forward_log_returns_stay_within_their_run():
    rows = [*minutes("A.USA", OPEN, [10.0, 11.0, 12.0]), *minutes("A.USA", NEXT_OPEN, [20.0, 30.0, 40.0])]
    found = forward_log_returns(lay_out(table(rows), ["rsi_14"]), 2)
    expected = [np.log(12 / 10), np.nan, np.nan, np.log(40 / 20), np.nan, np.nan]
    assert found == pytest.approx(expected, nan_ok=True)
    assert np.isnan(forward_log_returns(lay_out(table(rows), ["rsi_14"]), 3)).all()
    assert np.isnan(forward_log_returns(lay_out(table(rows), ["rsi_14"]), 99)).all()


def test_bar_returns_within_runs_and_over_nights():
    rows = [*minutes("A.USA", OPEN, [10.0, 11.0]), *minutes("A.USA", NEXT_OPEN, [22.0]), *minutes("B.USA", OPEN, [5.0])]
    within, across = bar_returns(lay_out(table(rows), ["rsi_14"]))
    assert within == pytest.approx([0, 0.1, 0, 0])
    assert across == pytest.approx([0, 0.1, 1.0, 0])


def test_features_are_what_they_say_whatever_the_price():
    expected = {
        "log_return": 0.001, "rsi_14": 60.0, "realized_volatility_30": 0.01, "volume_zscore_30": 1.5,
        "minutes_since_open": 7, "sma_20_distance": np.log(50 / 49), "sma_50_distance": np.log(50 / 48),
        "ema_12_distance": np.log(50 / 51), "ema_26_distance": np.log(50 / 52), "macd_ratio": 0.01,
        "macd_signal_ratio": 0.005, "macd_histogram_ratio": 0.005, "bollinger_position": 0.25,
        "bollinger_width": 8 / 49,
    }  # fmt: skip
    assert set(FEATURES) == set(expected)
    bars = lay_out(table([row("A.USA", OPEN + timedelta(minutes=7), minute=7)]), FEATURES)
    assert bars.features[0] == pytest.approx([expected[name] for name in FEATURES], rel=1e-6)
    assert bars.features.dtype == np.float32
    assert bars.features.flags.c_contiguous


def test_equal_volumes_are_their_own_mean_and_what_is_not_warm_is_missing():
    warm = row("A.USA", OPEN, volume_zscore_30=None)
    cold = row("A.USA", OPEN + timedelta(minutes=1), minute=1, volume_zscore_30=None, sma_50=None)
    flat = row("A.USA", OPEN + timedelta(minutes=2), 49.0, 2, bollinger_upper=49.0, bollinger_lower=49.0)
    found = lay_out(table([warm, cold, flat]), ["volume_zscore_30", "sma_50_distance", "bollinger_position"]).features
    assert found[:, 0].tolist() == pytest.approx([0, np.nan, 1.5], nan_ok=True)
    assert np.isnan(found[1, 1])
    assert found[2, 2] == 0
