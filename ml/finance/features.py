"""Bars of some instruments as arrays: features of each bar, unbroken runs of bars, and returns ahead.

Bars outside of a session are left out. A run is bars of one instrument that follow each other minute by minute; any
minute that has no bar ends it: the night, a holiday, the hours before an instrument's first trade, a day that was never
published. Where a session begins in the very minute in which another ends (24/7), the run goes on. A minute without a
trade inside a session has a filled bar in gold and is no gap. Nothing here looks across the end of a run.

A bar's features are known when it ends, a minute after its start.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lakehouse.errors import BadInputError
from lakehouse.tables.finance import GOLD_TICK_FEATURES
from ml.examples import Floats, Positions, Times

MINUTE = np.timedelta64(1, "m")
Matrix = NDArray[np.float32]
Flags = NDArray[np.bool_]
Columns = Callable[[str], Floats]


@dataclass(frozen=True)
class Bars:
    """Bars inside sessions, instrument after instrument, each in the order of time.

    `features` has a row per bar and is NaN until warm; `runs` numbers the unbroken runs, ascending.
    """

    instruments: tuple[str, ...]
    instrument: Positions
    starts: Times
    close: Floats
    runs: Positions
    features: Matrix

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def days(self) -> Times:
        """The UTC day of each bar."""
        return self.starts.astype("datetime64[D]")

    def ends(self, bars: int = 0) -> Times:
        """Return when the bar that many later is over, counted in minutes."""
        return self.starts + (bars + 1) * MINUTE


def lay_out(rows: pa.Table, names: Sequence[str]) -> Bars:
    """Turn rows of gold.tick_features, in any order, into bars with the named features.

    Raises:
        BadInputError: a bar is there twice, or none is inside a session.
    """
    rows = rows.filter(pc.field("minutes_since_open").is_valid())
    rows = rows.sort_by([(name, "ascending") for name in GOLD_TICK_FEATURES.primary_key]).combine_chunks()
    if not rows.num_rows:
        raise BadInputError(f"{GOLD_TICK_FEATURES.identifier} has no bar inside a session for these instruments")
    texts = rows.column("instrument_id").to_numpy(zero_copy_only=False)
    starts = rows.column("bar_start").to_numpy().astype("datetime64[m]")
    instruments, instrument = np.unique(texts, return_inverse=True)
    is_same = instrument[1:] == instrument[:-1]
    steps = np.diff(starts)
    twice = is_same & (steps < MINUTE)
    if twice.any():
        raise BadInputError(f"bar {starts[1:][twice][0]} of {texts[1:][twice][0]} is there twice")
    is_unbroken = is_same & (steps == MINUTE)
    runs = np.concatenate([[0], np.cumsum(~is_unbroken)])

    def column(name: str) -> Floats:
        return np.asarray(rows.column(name).cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)

    features = np.column_stack([feature(name, column) for name in names]).astype(np.float32)
    return Bars(tuple(map(str, instruments)), instrument, starts, column("close"), runs, np.ascontiguousarray(features))


def feature(name: str, column: Columns) -> Floats:
    """Return one feature from the columns of gold; NaN where a column is null."""
    match name:
        case "volume_zscore_30":
            # Null where the last 30 volumes are equal, as in a silent hour: the volume is its own mean then
            return np.where(np.isnan(column(name)) & ~np.isnan(column("sma_50")), 0.0, column(name))
        case "macd_ratio" | "macd_signal_ratio" | "macd_histogram_ratio":
            return column(name.removesuffix("_ratio")) / column("close")
        case "bollinger_position":
            half = column("bollinger_upper") - column("sma_20")
            return (column("close") - column("sma_20")) / np.where(half == 0, 1.0, half)
        case "bollinger_width":
            return (column("bollinger_upper") - column("bollinger_lower")) / column("sma_20")
        case _ if name.endswith("_distance"):
            return np.asarray(np.log(column("close") / column(name.removesuffix("_distance"))))
        case _:
            return column(name)


def forward_log_returns(bars: Bars, horizon: int) -> Floats:
    """Return ln(close some bars later / close); NaN where the run ends before."""
    values = np.full(len(bars), np.nan)
    if horizon < len(bars):
        is_whole = bars.runs[horizon:] == bars.runs[:-horizon]
        ahead = np.log(bars.close[horizon:] / bars.close[:-horizon])
        values[:-horizon] = np.where(is_whole, ahead, np.nan)
    return values


def bar_returns(bars: Bars) -> tuple[Floats, Floats]:
    """Return close / close before - 1 within runs, and over the gaps between an instrument's runs, too.

    Where there is no bar before, it is 0.
    """
    ratio = bars.close[1:] / bars.close[:-1] - 1
    within, across = np.zeros(len(bars)), np.zeros(len(bars))
    within[1:] = np.where(bars.runs[1:] == bars.runs[:-1], ratio, 0.0)
    across[1:] = np.where(bars.instrument[1:] == bars.instrument[:-1], ratio, 0.0)
    return within, across
