"""Load per meter and hour, with features that were known when the hour began.

Every hour that a meter's clock shows on a day with readings has a row. The load of an hour is what was known when it
ended: a minute interpolated towards a reading of a later hour is left out. Features rest on hours before the row's own,
counted as they pass (a change of the clock moves no lag), and look back four weeks at most. Trend and seasonal part are
a classical decomposition of these four weeks: the mean, and what the same hour of the week was above it.

A row has the same bits however many other days and meters it is computed with, if the LOOK_BACK_DAYS before its day are
among them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import date
from functools import reduce

import numpy as np
import polars as pl

from lakehouse.tables.energy import GOLD_LOAD_HOURLY, LAGS, ROLLING_HOURS
from transforms.energy.hours import HolidaysOf, holiday_frame, hours_frame
from transforms.energy.windows import Floats, LoadsBefore, place_hours, put_on_axis
from transforms.sorting import sort_rows

WEEK_HOURS = 168
WEEKS = 4
LOOK_BACK_HOURS = WEEKS * WEEK_HOURS
LOOK_BACK_DAYS = WEEKS * 7 + 1
"""One more than the weeks have: after a spring with its day of 23 hours, 672 hours reach into it."""
DAY = ("meter_id", "event_date")
HOUR = (*DAY, "hour_start", "occurrence")
READING_COLUMNS = (
    *DAY,
    "interval_start",
    "occurrence",
    "status",
    "available_at",
    "active_power_kw",
    "interval_min",
    "zone",
    "country",
)
"""What is read of silver.power_readings."""
POWER = pl.Decimal(38, 9)
"""Power is added up as decimals: then the order of the readings does not matter."""


def hourly_loads(readings: pl.DataFrame, days: Collection[date], holidays_of: HolidaysOf) -> pl.DataFrame:
    """Build gold.load_hourly without _ingested_at for some civil days.

    `readings` are the READING_COLUMNS of these days and of the LOOK_BACK_DAYS before each of them, in any order.
    """
    return add_features(complete_hours(aggregate_hours(readings), holidays_of), days)


def aggregate_hours(readings: pl.DataFrame) -> pl.DataFrame:
    """Aggregate readings to hours.

    Columns HOUR, load_kw, completeness_ratio, last_known (the end of the last reading that load_kw rests on), and the
    meter's zone and country.
    """
    hour_start = pl.col("interval_start").dt.truncate("1h")
    is_known = pl.col("available_at") <= hour_start + pl.duration(hours=1)
    prepared = readings.select(
        *DAY,
        hour_start.alias("hour_start"),
        "occurrence",
        "interval_min",
        "zone",
        "country",
        power=pl.when(is_known).then(pl.col("active_power_kw").cast(POWER)),
        known_at=pl.when(is_known).then("available_at"),
        is_measured=pl.col("status") == "measured",
    )
    power, known = pl.col("power").sum().cast(pl.Float64), pl.col("power").count()
    hours = prepared.group_by(HOUR, maintain_order=True).agg(
        load_kw=pl.when(known > 0).then(power / known),
        completeness_ratio=pl.col("is_measured").sum() / (60 // pl.col("interval_min").first()),
        last_known=pl.col("known_at").max(),
        zone=pl.col("zone").first(),
        country=pl.col("country").first(),
    )
    return sort_rows(hours, GOLD_LOAD_HOURLY.row_order)


def complete_hours(hours: pl.DataFrame, holidays_of: HolidaysOf) -> pl.DataFrame:
    """Add the hours without a reading, and to all of them when they passed and whether they are of a holiday.

    A clock without a zone shows 24 hours a day, and again those that the readings have twice.
    """
    meter_days = hours.group_by(DAY, maintain_order=True).agg(pl.col("zone", "country").first())
    days = meter_days["event_date"].unique()
    grid = hours_frame(meter_days["zone"].unique(), days)
    shown = meter_days.join(grid, ["zone", "event_date"], nulls_equal=True)
    first = shown.filter(pl.col("zone").is_null()).drop("occurrence")
    again = hours.filter(pl.col("occurrence") == 2).select(HOUR).join(first, HOUR[:-1])
    holidays = holiday_frame(meter_days["country"].unique(), days.dt.year().unique().to_list(), holidays_of)
    return (
        pl.concat([shown, again.select(shown.columns)])
        .join(hours.drop("zone", "country"), HOUR, "left")
        .join(holidays.with_columns(is_holiday=pl.lit(True)), ["country", "event_date"], "left")
        .with_columns(pl.col("is_holiday").fill_null(False), pl.col("completeness_ratio").fill_null(0.0))
    )


def add_features(hours: pl.DataFrame, days: Collection[date]) -> pl.DataFrame:
    """Return the declared columns of the hours of some days; features rest on the hours before each of them."""
    is_again = pl.col("zone").is_null() & (pl.col("occurrence") == 2)
    # Without a zone, both passes of a repeated hour have one clock_hour: each repetition moves the later hours by one.
    repeats = is_again.cast(pl.Int64).cum_sum().over("meter_id")
    ordered = hours.sort("meter_id", "clock_hour", "occurrence")
    placed = place_hours(ordered.with_columns(elapsed_hour=pl.col("clock_hour") + repeats), LOOK_BACK_HOURS)
    known = pl.col("last_known").rolling_max_by("elapsed_hour", f"{LOOK_BACK_HOURS}i", closed="left")
    placed = placed.with_columns(available_at=known.over("meter_id"))
    wanted = placed.filter(pl.col("event_date").is_in(list(days)))
    # In the second pass of an hour, the clock has been set back since the readings of the first.
    is_set_back = (pl.col("occurrence") == 2) & (pl.col("available_at") > pl.col("hour_start"))
    rows = (
        wanted.with_columns(features_of_loads(placed, wanted))
        .with_columns(
            available_at=pl.when(is_set_back).then("hour_start").otherwise("available_at"),
            hour=pl.col("hour_start").dt.hour().cast(pl.Int32),
            weekday=pl.col("event_date").dt.weekday().cast(pl.Int32) - 1,
            month=pl.col("event_date").dt.month().cast(pl.Int32),
        )
        .select(GOLD_LOAD_HOURLY.digest_columns)
    )
    return sort_rows(rows, GOLD_LOAD_HOURLY.row_order)


def features_of_loads(placed: pl.DataFrame, wanted: pl.DataFrame) -> Iterator[pl.Series]:
    """Yield the features that are computed from the loads before each wanted hour."""
    loads = LoadsBefore(put_on_axis(placed), wanted["place"].to_numpy())
    trend = loads.mean(LOOK_BACK_HOURS)
    features = {f"load_kw_lag_{lag}": loads.lag(lag) for lag in LAGS}
    for length in ROLLING_HOURS:
        features[f"load_kw_mean_{length}"] = loads.mean(length)
        features[f"load_kw_std_{length}"] = loads.deviation(length)
    features["load_kw_trend"] = trend
    features["load_kw_seasonal"] = mean_of_weeks(loads) - trend
    for name, values in features.items():
        yield pl.Series(name, values, nan_to_null=True)


def mean_of_weeks(loads: LoadsBefore) -> Floats:
    """Return the mean load of the same hour in the weeks before; NaN if fewer than half of them are known."""
    same_hours = [loads.lag(week * WEEK_HOURS) for week in range(1, WEEKS + 1)]
    known = sum(~np.isnan(load) for load in same_hours)
    total = reduce(np.add, (np.nan_to_num(load) for load in same_hours))
    return np.where(known >= WEEKS / 2, total / np.maximum(known, 1), np.nan)
