"""What gold.load_hourly claims of its columns, checked against its own measured hours before a model believes them.

Three checks, each for the columns that it can tell: the calendar from the hour itself; lags, means and deviations from
the hours that their names say; and, for every other column whatever it is called, that it knows no more of the next day
than the past does. A column that none of them can tell is refused, so that no list has to be kept.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from lakehouse.tables.energy import GOLD_LOAD_HOURLY, LAGS, ROLLING_HOURS
from ml.energy.features import Hours
from ml.examples import Floats
from ml.leakage import FUTURE_H, MINIMUM_ROWS, PAST_H, LeakError, check_columns

CALENDAR = ("hour", "weekday", "month", "is_holiday")
"""Known years ahead: the next day says nothing new of them."""
MATCHING = 0.99
"""Share of hours that must be what the column's name says; the hours around a clock change may count otherwise."""
TOLERANCE = 1e-6


def check_claims(rows: pa.Table, hours: Hours) -> None:
    """Check the times at which features were available, then each column's values.

    Raises:
        LeakError: a column is not of the hours that its name says, or follows later ones, or can't be checked.
    """
    late = rows.column("available_at").to_numpy() > rows.column("hour_start").to_numpy()
    if late.any():
        where = rows.column("hour_start").to_numpy()[late][0]
        raise LeakError(f"the features of {where} rest on readings that were taken after it began (available_at)")
    check_calendar(hours)
    columns = {
        name: column
        for name, column in hours.columns.items()
        if name not in CALENDAR and not np.isnan(column).all()  # a column without a value tells nothing
    }
    if not columns:
        return
    checked = check_columns(columns, hours.load_kw)
    measured = np.where(hours.completeness >= 1, hours.load_kw, np.nan)
    checked |= {
        name
        for name, expected in windows(measured).items()
        if name in columns and check_window(name, columns[name], expected, hours)
    }
    unchecked = [name for name in columns if name not in checked]
    if unchecked:
        raise LeakError(
            f"column {', '.join(unchecked)} of {GOLD_LOAD_HOURLY.identifier} can't be checked against the future: "
            f"fewer than {MINIMUM_ROWS} hours have all columns, a load in each of the {PAST_H} hours before and in "
            f"each of the {FUTURE_H} hours after; train on more days, or leave it out of the features"
        )


def check_calendar(hours: Hours) -> None:
    """Check the columns of the calendar against the hour that they are of; a day is a holiday or is none.

    Raises:
        LeakError: a column is of another hour.
    """
    days = hours.starts.astype("datetime64[D]")
    of_hour: dict[str, Floats] = {
        "hour": np.asarray((hours.starts - days).astype(np.float64)),
        "weekday": (days.astype(int) + 3) % 7.0,  # 1970-01-01 was a Thursday
        "month": days.astype("datetime64[M]").astype(int) % 12 + 1.0,
    }
    if "is_holiday" in hours.columns:
        holidays = np.unique(days[hours.columns["is_holiday"] == 1])
        of_hour["is_holiday"] = np.isin(days, holidays).astype(float)
    for name, expected in of_hour.items():
        column = hours.columns.get(name, expected)
        wrong = ~np.isnan(column) & (column != expected)
        if wrong.any():
            at = int(np.flatnonzero(wrong)[0])
            raise LeakError(f"column {name} is {column[at]:g} at {hours.starts[at]}, expected {expected[at]:g}")


def windows(measured: Floats) -> dict[str, list[Floats]]:
    """Return what columns must be where every hour of their window was measured whole; some have two spellings."""
    expected: dict[str, list[Floats]] = {}
    for lag in LAGS:
        values = np.full(len(measured), np.nan)
        values[lag:] = measured[:-lag]
        expected[f"load_kw_lag_{lag}"] = [values]
    for length in ROLLING_HOURS:
        if len(measured) < length:
            continue
        windowed = np.lib.stride_tricks.sliding_window_view(measured, length)[:-1]
        for name, found in (
            ("mean", [windowed.mean(axis=1)]),
            ("std", [windowed.std(axis=1, ddof=1), windowed.std(axis=1)]),
        ):
            padded = [np.concatenate([np.full(length, np.nan), values]) for values in found]
            expected[f"load_kw_{name}_{length}"] = padded
    return expected


def check_window(name: str, column: Floats, expected: list[Floats], hours: Hours) -> bool:
    """Check a column against the hours that its name says; return whether there were enough of them to tell."""
    usable = ~np.isnan(column) & ~np.isnan(expected[0])
    if not usable.any():
        return False
    shares = [float(np.mean(np.abs(column - values)[usable] <= TOLERANCE)) for values in expected]
    if max(shares) < MATCHING:
        off = np.flatnonzero(usable & (np.abs(column - expected[0]) > TOLERANCE))[0]
        raise LeakError(
            f"column {name} is {column[off]:.4f} at {hours.starts[off]}, expected {expected[0][off]:.4f} from hours "
            f"before; {max(shares):.1%} of the hours are as expected"
        )
    return bool(usable.sum() >= MINIMUM_ROWS)
