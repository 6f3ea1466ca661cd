"""Features and targets of load forecasts, built from rows of gold.load_hourly in the order of their hours.

An example is made when its row's hour begins. Gold's columns are known then by declaration; what is built here adds
the forecast hour's calendar and the loads of that hour on earlier days. The target at horizon h is load_kw h - 1 rows
later.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from lakehouse.errors import BadInputError
from ml.energy.config import ORIGIN_FEATURES, SAME_HOUR_DAYS
from ml.examples import Examples, Floats, Times

HOUR = np.timedelta64(1, "h")
DAY_H = 24
WEEK_H = 168
PROFILE_MEMORY = 0.95
"""Weight of an earlier day of the same kind against the next: half after 13 such days."""

WARM_UP_H = 168
"""Hours at the begin that are not learned from: their lags of a week do not exist."""


@dataclass(frozen=True)
class Hours:
    """Rows of one meter on an unbroken axis of hours."""

    starts: Times
    occurrences: Floats
    load_kw: Floats
    completeness: Floats
    columns: dict[str, Floats]


def lay_out(rows: pa.Table) -> Hours:
    """Put rows on an axis of hours; days that were never published become empty hours.

    Gold has a row for every hour that a published day's clock shows, so a single missing hour is one that the clock
    skipped, and an equal one is its second showing: both are no hole.

    Raises:
        BadInputError: the rows are not in order.
    """
    starts = rows.column("hour_start").to_numpy().astype("datetime64[h]")
    steps = np.diff(starts).astype(int)
    if (steps < 0).any():
        raise BadInputError(f"hours are not in order at {starts[1:][steps < 0][0]}")
    holes = np.where(steps > 2, steps - 1, 0)
    positions = np.arange(len(starts)) + np.concatenate([[0], np.cumsum(holes)])
    length = int(positions[-1]) + 1
    filled = np.full(length, np.datetime64("NaT"), dtype="datetime64[h]")
    filled[positions] = starts
    for position in np.flatnonzero(np.isnat(filled)):
        filled[position] = filled[position - 1] + HOUR

    def spread(name: str) -> Floats:
        values = np.full(length, np.nan)
        column = rows.column(name)
        column = column.cast(pa.int8()) if pa.types.is_boolean(column.type) else column
        values[positions] = column.cast(pa.float64()).to_numpy()
        return values

    present = [name for name in ORIGIN_FEATURES if name in rows.column_names]
    columns = {name: spread(name) for name in present}
    return Hours(
        filled, np.nan_to_num(spread("occurrence"), nan=1.0), spread("load_kw"), spread("completeness_ratio"), columns
    )


def build_examples(hours: Hours, horizon: int, names: tuple[str, ...]) -> Examples:
    """Build one example per hour, the named features in their order."""
    offset = horizon - 1
    starts = hours.starts
    targets = np.full(len(starts), np.nan)
    targets[: len(starts) - offset] = hours.load_kw[offset:]
    built = {**hours.columns, **target_calendar(starts, offset), **same_hours(hours, offset)}
    features = np.column_stack([built[name] for name in names])
    return Examples(names, starts, starts + np.timedelta64(horizon, "h"), features, targets)


def target_calendar(starts: Times, offset: int) -> dict[str, Floats]:
    """Return the forecast hour's place in the day and week, by the clock."""
    target = starts + np.timedelta64(offset, "h")
    hour = (target - target.astype("datetime64[D]")).astype(float)
    weekday = (target.astype("datetime64[D]").astype(int) + 3) % 7.0  # 1970-01-01 was a Thursday
    return {
        "target_hour": hour,
        "target_weekday": weekday,
        "target_is_weekend": (weekday >= 5).astype(float),
        "target_hour_sin": np.sin(2 * np.pi * hour / DAY_H),
        "target_hour_cos": np.cos(2 * np.pi * hour / DAY_H),
    }


def shifted(load_kw: Floats, back: int) -> Floats:
    """Return the loads of some hours before; at least one, since an hour's own load is not known when it begins."""
    if back < 1:
        raise ValueError(f"a load {back} h before the hour is not known when it begins")
    values = np.full(len(load_kw), np.nan)
    values[back:] = load_kw[:-back]
    return values


def same_hours(hours: Hours, offset: int) -> dict[str, Floats]:
    """Return loads of the forecast hour's time of day on earlier days, counted from the forecast hour."""
    days = {number: shifted(hours.load_kw, DAY_H * number - offset) for number in range(1, 8)}
    weeks = [shifted(hours.load_kw, WEEK_H * number - offset) for number in range(1, 5)]
    week = np.stack([*days.values()])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # hours without any earlier day stay NaN, as they should
        return {
            **{f"same_hour_{number}d": days[number] for number in SAME_HOUR_DAYS},
            "same_hour_mean_7d": np.nanmean(week, axis=0),
            "same_hour_min_7d": np.nanmin(week, axis=0),
            "same_hour_max_7d": np.nanmax(week, axis=0),
            "same_hour_mean_4w": np.nanmean(np.stack(weeks), axis=0),
            "same_hour_profile": profile(hours, offset),
        }


def profile(hours: Hours, offset: int) -> Floats:
    """Return the fading mean of the forecast hour's time of day on days of its kind, workday or weekend."""
    own, ahead = (target_calendar(hours.starts, number) for number in (0, offset))
    kinds = [(each["target_hour"] + DAY_H * each["target_is_weekend"]).astype(int) for each in (own, ahead)]
    total, weight = np.zeros(2 * DAY_H), np.zeros(2 * DAY_H)
    values = np.full(len(hours.starts), np.nan)
    for position, (kind, wanted) in enumerate(zip(*kinds, strict=True)):
        if weight[wanted] > 0:
            values[position] = total[wanted] / weight[wanted]
        measured = hours.load_kw[position]
        if not np.isnan(measured):
            total[kind] = PROFILE_MEMORY * total[kind] + measured
            weight[kind] = PROFILE_MEMORY * weight[kind] + 1
    return values


def baselines(hours: Hours, horizon: int, train_end: int) -> dict[str, Floats]:
    """Return the naive forecasts of each example: last value, a day and a week before, mean of the hour of the week.

    The mean is of the hours before `train_end`, the others are of whatever was measured when the forecast is made.
    """
    offset = horizon - 1
    slots = [
        (each["target_weekday"] * DAY_H + each["target_hour"]).astype(int)
        for each in (target_calendar(hours.starts, 0), target_calendar(hours.starts, offset))
    ]
    known = ~np.isnan(hours.load_kw[:train_end])
    counts = np.bincount(slots[0][:train_end][known], minlength=WEEK_H)
    sums = np.bincount(slots[0][:train_end][known], weights=hours.load_kw[:train_end][known], minlength=WEEK_H)
    means = np.divide(sums, counts, out=np.full(WEEK_H, np.nan), where=counts > 0)
    return {
        "last_value": shifted(hours.load_kw, 1),
        "day_before": shifted(hours.load_kw, DAY_H - offset),
        "week_before": shifted(hours.load_kw, WEEK_H - offset),
        "hour_of_week_mean": means[slots[1]],
    }
