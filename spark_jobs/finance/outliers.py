"""The outlier rule: a trade is an outlier where its price is far from the median of the trades before it.

Far is more than 10 robust standard deviations and more than 2 % of the median, over the up to 50 trades of the same
instrument and UTC day that come before it. The first 10 trades of a day are never outliers: there is nothing to judge
them by, so a wrong print among them stays. Outliers stay in the window of their followers: a median withstands a few of
them, and a price that moves for good is believed after half a window, 25 trades. A coin whose tick is more than 2 % of
its price has ordinary ticks flagged while more than half of the window trades at one price.

Spark has no sliding median: a frame's median is sorted anew for every trade, and 50 lags make a method too long for the
JVM to compile (55 CPU seconds for 1.25 million trades, against 3 here). So each instrument's day passes through NumPy,
which returns the few outliers, and those are joined.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numpy.lib.stride_tricks import sliding_window_view
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

WINDOW = 50
"""Seconds of a busy instrument, hours of a quiet one: long enough that a burst of wrong prints is a minority."""
MINIMUM_TRADES = 10
"""Fewer give no median that withstands more than a few wrong prints."""
DEVIATIONS = 10.0
"""Where prices are wild the tolerance grows with them; where they are calm the floor decides."""
FLOOR_RATIO = 0.02
"""Of the median. Windows of equal prices have no deviation at all, so that every tick would be far.

Of 1,602,710 real trades (AIG, BAC, SPY, gold futures, BTCUSDT, ETHUSDT, XRPETH) 4 are flagged: prints of BAC 2.2 %
away from the trades before and after. At 1 %, 11 of 89 trades of a quiet gold contract would be: its price had moved.
"""
MAD_TO_DEVIATION = 1.4826
"""The median absolute deviation of a normal distribution times this is its standard deviation."""

CHUNK = 20_000
"""Windows judged at once: 8 MB of prices."""

Prices = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

KEY = ("event_date", "instrument_id", "delivery_date", "sequence")
KEY_SCHEMA = "event_date date, instrument_id string, delivery_date date, sequence bigint"
MOST_BROADCAST = 1_000_000
"""More outliers than this are joined by a shuffle; real days have a handful."""


def mark_outliers(trades: DataFrame) -> DataFrame:
    """Add is_outlier; expects all trades of an instrument and event day."""
    found = find_outliers(trades).persist()
    count = found.count()
    if count == 0:
        return trades.withColumn("is_outlier", F.lit(False))
    marks = found.withColumn("is_marked", F.lit(True))
    joined = trades.join(F.broadcast(marks) if count <= MOST_BROADCAST else marks, list(KEY), "left")
    return joined.withColumn("is_outlier", F.coalesce("is_marked", F.lit(False))).drop("is_marked")


def find_outliers(trades: DataFrame) -> DataFrame:
    """Return the keys of the outliers."""
    prices = trades.select(*KEY, "ts_event", F.col("price").cast("double").alias("price"))
    return prices.groupBy("event_date", "instrument_id").applyInArrow(outliers_of_day, KEY_SCHEMA)


def outliers_of_day(day: pa.Table) -> pa.Table:
    """Put one instrument's day in the order of (ts_event, sequence, delivery_date); return the keys of its outliers."""
    order = trade_order(*(day[name].to_numpy() for name in ("ts_event", "sequence", "delivery_date")))
    flags = flag_outliers(day["price"].to_numpy()[order])
    return day.take(pa.array(np.sort(order[flags]))).select(list(KEY))


def trade_order(ts_event: npt.NDArray[Any], sequence: npt.NDArray[np.int64], delivery_date: npt.NDArray[Any]) -> Any:
    """Return the positions of the trades in their order."""
    return np.lexsort((delivery_date, sequence, ts_event))


def flag_outliers(price: Prices) -> Flags:
    """Say which trades are outliers; prices of one instrument and day, in order."""
    flags = np.zeros(len(price), dtype=np.bool_)
    # Filled up in front, so that each trade has a window; the fill is masked out of the medians.
    padded = np.concatenate((np.full(WINDOW, np.nan), price))
    candidates = np.flatnonzero(may_be_far(padded, price))
    windows = sliding_window_view(padded, WINDOW)
    for begin in range(0, len(candidates), CHUNK):
        rows = candidates[begin : begin + CHUNK]
        flags[rows] = is_far(windows[rows], price[rows])
    return flags


def may_be_far(padded: Prices, price: Prices) -> Flags:
    """Rule out cheaply what can't be an outlier: the median lies between the window's lowest and highest price."""
    low, high = trailing_extreme(np.fmin, padded), trailing_extreme(np.fmax, padded)
    near = np.maximum(price - low, high - price) <= FLOOR_RATIO * low
    far = ~near
    far[:MINIMUM_TRADES] = False
    return far


def trailing_extreme(extreme: np.ufunc, padded: Prices) -> Prices:
    """Lowest or highest price of each trade's window, by windows of doubling length."""
    length = 1
    while 2 * length <= WINDOW:
        padded = extreme(padded[length:], padded[:-length])
        length *= 2
    rest = WINDOW - length
    covered: Prices = extreme(padded[rest:], padded[: len(padded) - rest])
    return covered[:-1]  # the last window is that of a trade yet to come


def is_far(windows: Prices, price: Prices) -> Flags:
    """Judge trades by the median and the median absolute deviation of their windows, one per row."""
    median = row_median(windows)
    spread = row_median(np.abs(windows - median[:, np.newaxis]))
    tolerance = np.maximum(DEVIATIONS * MAD_TO_DEVIATION * spread, FLOOR_RATIO * median)
    far: Flags = np.abs(price - median) > tolerance
    return far


def row_median(values: Prices) -> Prices:
    """Median of each row without its NaNs; sorts them last, which is three times as fast as np.nanmedian."""
    ordered = np.sort(values, axis=1)
    count = np.count_nonzero(~np.isnan(ordered), axis=1)
    rows = np.arange(len(ordered))
    median: Prices = (ordered[rows, (count - 1) // 2] + ordered[rows, count // 2]) / 2
    return median
