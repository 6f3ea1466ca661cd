"""What gold.tick_features claims of its columns, held against its own closes, volumes and calendar before training.

Every feature is computed again from the bars up to its own, oldest first, so that a column that knows a later bar
can't come out as it stands: a shift by one bar into the future is found wherever prices or volumes move.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.lib.stride_tricks import sliding_window_view

from lakehouse.errors import BadInputError
from lakehouse.reference.instruments import describe_instrument, sessions
from lakehouse.tables.finance import GOLD_TICK_FEATURES
from ml.examples import Floats, Times
from ml.finance.features import MINUTE
from ml.leakage import LeakError

TOLERANCE = 1e-7
"""Relative to the largest number that goes into a value: sums of other orders differ in the last digits alone."""
SILENCE_DAYS = 10
"""After more days without a bar gold begins an instrument anew."""
FADED = 400
"""Bars after which a Wilder mean over 14 bars has forgotten how it began: (13 / 14)^400 is 1e-13."""

Expected = tuple[Floats, Floats]
"""What a column must be, NaN where its own past is not in the rows; and what a difference is measured by."""


def check_claims(rows: pa.Table) -> None:
    """Hold every column of the rows against what it must be.

    Raises:
        LeakError: a value is not what the bars up to its own make of it.
        BadInputError: the rows have no volume: they were published before gold had it.
    """
    if rows.column("volume").null_count:
        raise BadInputError(
            f"{GOLD_TICK_FEATURES.identifier} has bars without volume, of an older version of the code: "
            "lakehouse run finance computes them again"
        )
    rows = rows.sort_by([(name, "ascending") for name in GOLD_TICK_FEATURES.primary_key])
    for instrument_id in pc.unique(rows.column("instrument_id")).to_pylist():
        own = rows.filter(pc.field("instrument_id") == instrument_id).combine_chunks()
        check_minutes(instrument_id, own)
        for part in without_silence(own):
            check_part(instrument_id, part)


def without_silence(rows: pa.Table) -> Iterator[pa.Table]:
    """Yield the stretches of an instrument's rows between which gold forgot what was before."""
    days = rows.column("bar_start").to_numpy().astype("datetime64[D]")
    breaks = np.flatnonzero(np.diff(days).astype(int) > SILENCE_DAYS) + 1
    for begin, end in pairwise([0, *breaks.tolist(), rows.num_rows]):
        yield rows.slice(begin, end - begin)


def check_part(instrument_id: str, rows: pa.Table) -> None:
    """Hold an instrument's rows without a silence against what they must be."""

    def column(name: str) -> Floats:
        return np.asarray(rows.column(name).cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)

    for name, expect in CLAIMS.items():
        if name in rows.column_names:
            values, (expected, size) = column(name), expect(column)
            wrong = np.abs(values - expected) > TOLERANCE * size  # false where either is missing
            if wrong.any():
                at = int(np.flatnonzero(wrong)[0])
                when = rows.column("bar_start")[at].as_py()
                raise LeakError(
                    f"column {name} of {instrument_id} is {values[at]:.9g} at {when}, expected {expected[at]:.9g} from "
                    f"the bars up to it ({wrong.sum()} of {len(wrong)} bars are wrong): a feature of another bar, or "
                    "from the future"
                )


def check_minutes(instrument_id: str, rows: pa.Table) -> None:
    """Hold minutes_since_open against the session calendar.

    Raises:
        LeakError: a bar is not where its minutes say.
    """
    starts = rows.column("bar_start").to_numpy().astype("datetime64[m]")
    found = rows.column("minutes_since_open").cast(pa.float64()).to_numpy(zero_copy_only=False)
    expected = minutes_since_open(describe_instrument(instrument_id).calendar, starts)
    wrong = ~((found == expected) | (np.isnan(found) & np.isnan(expected)))
    if wrong.any():
        at = int(np.flatnonzero(wrong)[0])
        raise LeakError(
            f"minutes_since_open of {instrument_id} is {found[at]:.0f} at {starts[at]}, its calendar says "
            f"{expected[at]:.0f}"
        )


def minutes_since_open(calendar: str, starts: Times) -> Floats:
    """Return how many minutes before each moment its session began; NaN outside of sessions."""
    first: date = starts[0].astype("datetime64[D]").item()
    last: date = starts[-1].astype("datetime64[D]").item()
    opened, closed = (
        np.array([np.datetime64(each.replace(tzinfo=None), "m") for each in side])
        for side in zip(*sessions(calendar, first, last), strict=True)
    )
    session = np.searchsorted(opened, starts, side="right") - 1
    is_inside = (session >= 0) & (starts < closed[session])
    return np.asarray(np.where(is_inside, (starts - opened[session]) / MINUTE, np.nan), dtype=np.float64)


def rolled(values: Floats, length: int, fold: Callable[[Floats], Floats]) -> Floats:
    """Fold the last `length` values at each place; NaN before there are as many."""
    result = np.full(len(values), np.nan)
    if len(values) >= length:
        result[length - 1 :] = fold(sliding_window_view(values, length))
    return result


def mean(values: Floats, length: int) -> Floats:
    """Return the mean of the last values."""
    return rolled(values, length, lambda windows: np.asarray(windows.mean(axis=1)))


def deviation(values: Floats, length: int) -> Floats:
    """Return the population deviation of the last values."""
    return rolled(values, length, lambda windows: np.asarray(windows.std(axis=1)))


def log_returns(close: Floats) -> Floats:
    """Return ln(close / close before)."""
    return np.concatenate([[np.nan], np.log(close[1:] / close[:-1])])


def stepped(values: Floats, span: int, before: Floats) -> Floats:
    """Return an exponential mean one step after its own value a bar before."""
    earlier = np.concatenate([[np.nan], before[:-1]])
    return np.asarray(earlier + (values - earlier) * 2 / (span + 1))


def relative_strength(close: Floats) -> Expected:
    """Return Wilder's index over 14 bars, where it has forgotten how it began."""
    moves = np.diff(close, prepend=close[:1])
    means = []
    for side in (np.maximum(moves, 0.0), np.maximum(-moves, 0.0)):
        level, levels = 0.0, []
        for value in side.tolist():
            level += (value - level) / 14
            levels.append(level)
        means.append(np.array(levels))
    total = means[0] + means[1]
    index = 100 * means[0] / np.where(total == 0, 1.0, total)
    # A price that has hardly moved since leaves nothing but what was forgotten
    is_told = (np.arange(len(close)) >= FADED) & (total > 1e-6 * close)
    return np.where(is_told, index, np.nan), np.full(len(close), 100.0)


Read = Callable[[str], Floats]


def band(read: Read, side: int) -> Expected:
    """Return a Bollinger band."""
    return mean(read("close"), 20) + side * 2 * deviation(read("close"), 20), read("close")


def zscore(read: Read) -> Expected:
    """Return the volume against its last 30; NaN where they are equal."""
    volume = read("volume")
    spread = deviation(volume, 30)
    # Sums of another order make the spread of near-equal volumes uncertain
    spread = np.where(
        spread > 1e-6 * rolled(volume, 30, lambda windows: np.asarray(windows.max(axis=1))), spread, np.nan
    )
    return (volume - mean(volume, 30)) / spread, np.full(len(volume), 30.0)


CLAIMS: dict[str, Callable[[Read], Expected]] = {
    "log_return": lambda read: (log_returns(read("close")), np.ones_like(read("close"))),
    "sma_20": lambda read: (mean(read("close"), 20), read("close")),
    "sma_50": lambda read: (mean(read("close"), 50), read("close")),
    "ema_12": lambda read: (stepped(read("close"), 12, read("ema_12")), read("close")),
    "ema_26": lambda read: (stepped(read("close"), 26, read("ema_26")), read("close")),
    "macd": lambda read: (faded(read("ema_12") - read("ema_26")), read("close")),
    "macd_signal": lambda read: (stepped(read("macd"), 9, read("macd_signal")), read("close")),
    "macd_histogram": lambda read: (read("macd") - read("macd_signal"), read("close")),
    "bollinger_upper": lambda read: band(read, 1),
    "bollinger_lower": lambda read: band(read, -1),
    "rsi_14": lambda read: relative_strength(read("close")),
    "realized_volatility_30": lambda read: (
        np.sqrt(rolled(log_returns(read("close")) ** 2, 30, lambda windows: np.asarray(windows.sum(axis=1)))),
        np.ones_like(read("close")),
    ),
    "volume_zscore_30": zscore,
}
"""How each column comes from others of its own and earlier bars; macd as TA-Lib seeds it, once that has faded."""


def faded(values: Floats) -> Floats:
    """Return values after the bars in which a mean remembers how it began."""
    return np.where(np.arange(len(values)) >= FADED, values, np.nan)
