"""What gold.load_hourly claims of its columns, held against its own measured hours before a model believes them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from lakehouse.tables.energy import LAGS, ROLLING_HOURS
from ml.energy.features import Hours
from ml.examples import Floats
from ml.leakage import LeakError, check_columns

CALENDAR = ("hour", "weekday", "month", "is_holiday")
"""Known years ahead, so the future is no secret of theirs."""
MATCHING = 0.99
"""Share of hours that must be what the column's name says; the hours around a clock change may count otherwise."""
TOLERANCE = 1e-6


def check_claims(rows: pa.Table, hours: Hours) -> None:
    """Hold the times at which features were available, then each column's values.

    Raises:
        LeakError: a column is not of the hours that its name says, or follows later ones.
    """
    late = rows.column("available_at").to_numpy() > rows.column("hour_start").to_numpy()
    if late.any():
        where = rows.column("hour_start").to_numpy()[late][0]
        raise LeakError(f"the features of {where} rest on readings that were taken after it began (available_at)")
    measured = np.where(hours.completeness >= 1, hours.load_kw, np.nan)
    columns = {name: column for name, column in hours.columns.items() if name not in CALENDAR}
    if columns:
        check_columns(columns, hours.load_kw)
    for name, expected in windows(measured).items():
        if name in hours.columns:
            check_window(name, hours.columns[name], expected, hours)


def windows(measured: Floats) -> dict[str, list[Floats]]:
    """Return what columns must be where every hour of their window was measured whole; some have two spellings."""
    expected: dict[str, list[Floats]] = {}
    for lag in LAGS:
        values = np.full(len(measured), np.nan)
        values[lag:] = measured[:-lag]
        expected[f"load_kw_lag_{lag}"] = [values]
    for length in ROLLING_HOURS:
        windowed = np.lib.stride_tricks.sliding_window_view(measured, length)[:-1]
        for name, found in (
            ("mean", [windowed.mean(axis=1)]),
            ("std", [windowed.std(axis=1, ddof=1), windowed.std(axis=1)]),
        ):
            padded = [np.concatenate([np.full(length, np.nan), values]) for values in found]
            expected[f"load_kw_{name}_{length}"] = padded
    return expected


def check_window(name: str, column: Floats, expected: list[Floats], hours: Hours) -> None:
    """Hold a column against the hours that its name says."""
    usable = ~np.isnan(column) & ~np.isnan(expected[0])
    if not usable.any():
        return
    shares = [float(np.mean(np.abs(column - values)[usable] <= TOLERANCE)) for values in expected]
    if max(shares) < MATCHING:
        off = np.flatnonzero(usable & (np.abs(column - expected[0]) > TOLERANCE))[0]
        raise LeakError(
            f"column {name} is {column[off]:.4f} at {hours.starts[off]}, expected {expected[0][off]:.4f} from hours "
            f"before; {max(shares):.1%} of the hours are as expected"
        )
