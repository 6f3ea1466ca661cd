"""Bars of some instruments as arrays: features of each bar, unbroken runs of bars, and returns ahead.

Bars outside of a session are left out. A run is bars of one instrument that follow each other minute by minute; any
minute that has no bar ends it: the night, a holiday, the hours before an instrument's first trade, a day that was never
published. Where a session begins in the very minute in which another ends (24/7), the run goes on. A minute without a
trade inside a session has a filled bar in gold and is no gap. Nothing here looks across the end of a run.

A bar's features are known when it ends, a minute after its start.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lakehouse.errors import BadInputError
from lakehouse.tables.finance import GOLD_TICK_FEATURES
from ml.examples import Floats, Positions, Times
from ml.finance.relative import RELATIVE, Columns

MINUTE = np.timedelta64(1, "m")
Matrix = NDArray[np.float32]
Flags = NDArray[np.bool_]


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
    if name in RELATIVE:
        return RELATIVE[name](column)
    if name == "volume_zscore_30":
        # Null where the last 30 volumes are equal, as in a silent hour: the volume is its own mean then
        return np.where(np.isnan(column(name)) & ~np.isnan(column("sma_50")), 0.0, column(name))
    return column(name)


def columns_of(name: str) -> tuple[str, ...]:
    """Return the columns of gold that a feature is made from."""
    read: dict[str, None] = {}

    def column(wanted: str) -> Floats:
        read[wanted] = None
        return np.ones(1)

    feature(name, column)
    return tuple(read)


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
