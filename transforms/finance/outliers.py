"""The outlier rule: a trade is an outlier where its price is far from the median of the trades before it.

Far is more than 10 robust standard deviations and more than 2 % of the median, over the up to 50 trades of the same
instrument and UTC day that come before it. The first 10 trades of a day are never outliers: there is nothing to judge
them by, so a wrong print among them stays. Outliers stay in the window of their followers: a median withstands a few of
them, and a price that moves for good is believed after half a window, 25 trades. A coin whose tick is more than 2 % of
its price has ordinary ticks flagged while more than half of the window trades at one price.

A sliding median over every trade is dear, so windows whose lowest and highest price already rule an outlier out are
left alone: that is nearly all of them.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl
from numpy.lib.stride_tricks import sliding_window_view

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


def mark_outliers(trades: pl.DataFrame) -> pl.DataFrame:
    """Add is_outlier to trades of one event day in the table's order: each instrument's lie together, as they came."""
    prices = trades.get_column("price").cast(pl.Float64).to_numpy()
    lengths = trades.get_column("instrument_id").rle().struct.field("len").to_numpy()
    groups = np.split(prices, np.cumsum(lengths)[:-1])
    flags = np.concatenate([np.empty(0, np.bool_), *map(flag_outliers, groups)])
    return trades.with_columns(pl.Series("is_outlier", flags))


def flag_outliers(price: Prices) -> Flags:
    """Say which trades are outliers; prices of one instrument and day, in order."""
    flags = np.zeros(len(price), dtype=np.bool_)
    # Filled up in front, so that each trade has a window; the fill is masked out of the medians.
    padded = np.concatenate((np.full(WINDOW, np.nan), price))
    far = may_be_far(padded, price)
    far[:MINIMUM_TRADES] = False
    candidates = np.flatnonzero(far)
    windows = sliding_window_view(padded, WINDOW)
    for begin in range(0, len(candidates), CHUNK):
        rows = candidates[begin : begin + CHUNK]
        flags[rows] = is_far(windows[rows], price[rows])
    return flags


def may_be_far(padded: Prices, price: Prices) -> Flags:
    """LineRule out cheaply what can't be an outlier: the median lies between the window's lowest and highest price."""
    low, high = trailing_extreme(np.fmin, padded), trailing_extreme(np.fmax, padded)
    near = np.maximum(price - low, high - price) <= FLOOR_RATIO * low
    return ~near


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
