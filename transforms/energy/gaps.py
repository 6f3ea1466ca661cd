"""Gaps between the readings of a civil day: rows for intervals without a line, short gaps interpolated, all flagged.

A gap is a run of intervals without active power between two that have it; whether the file marks them as missing or
has no line makes no difference. Up to SHORT_GAP_MIN minutes it is interpolated in a straight line. Gaps that reach over
midnight or over a change of the clock stay missing, and outside a day's first and last line there are no rows.
"""

from __future__ import annotations

import polars as pl

from lakehouse.tables.energy import SILVER_POWER_READINGS
from transforms.sorting import sort_rows

SHORT_GAP_MIN = 10
"""Of the 13 gaps in the half-year file, 11 are of 1 to 3 minutes, the others of 33 and 3,723."""
INTERPOLATED = (
    "active_power_kw",
    "reactive_power_kvar",
    "voltage_v",
    "current_a",
    "sub_metering_1_wh",
    "sub_metering_2_wh",
    "sub_metering_3_wh",
)
COMPUTED = ("status", "available_at", "other_wh")
LINE_COLUMNS = tuple(name for name in SILVER_POWER_READINGS.digest_columns if name not in COMPUTED)
"""What a reading has of its line."""
CLOCK = ("meter_id", "event_date", "occurrence", "utc_offset_min")
"""Between two readings with the same values here, as much time passes as their civil times differ by."""


def mark_gaps(readings: pl.DataFrame) -> pl.DataFrame:
    """Build the rows of silver.power_readings without _ingested_at, in its order, from the readings of whole days."""
    rows = interpolate(add_absent(sort_by_elapsed_time(readings.select(LINE_COLUMNS))))
    # Not "* interval_min / 60": Polars multiplies by the reciprocal of a constant, whose last bit may be another
    watt_hours = pl.col("active_power_kw") * 1000 / (60 // pl.col("interval_min"))
    others = pl.col("sub_metering_1_wh") + pl.col("sub_metering_2_wh") + pl.col("sub_metering_3_wh")
    rows = rows.with_columns(other_wh=watt_hours - others).select(SILVER_POWER_READINGS.digest_columns)
    return sort_rows(rows, SILVER_POWER_READINGS.row_order)


def sort_by_elapsed_time(readings: pl.DataFrame) -> pl.DataFrame:
    """Sort readings as time passes: the second showing of an hour comes after all of the first."""
    hour = pl.col("interval_start").dt.truncate("1h")
    order = ("meter_id", "_hour", "occurrence", "interval_start")
    return sort_rows(readings.with_columns(_hour=hour), order).drop("_hour")


def add_absent(readings: pl.DataFrame) -> pl.DataFrame:
    """Add a row without values for every interval that has no line, between two lines of one clock.

    Readings come and go in the order of elapsed time.
    """
    same_clock = pl.all_horizontal(pl.col(name).eq_missing(pl.col(name).shift(-1)) for name in CLOCK)
    step_min = (pl.col("interval_start").shift(-1) - pl.col("interval_start")).dt.total_minutes()
    slots = pl.when(same_clock).then(step_min // pl.col("interval_min") - 1)
    before = readings.with_columns(_slots=slots).filter(pl.col("_slots") > 0)
    if before.is_empty():
        return readings
    absent = before.with_columns(_slot=pl.int_ranges(1, pl.col("_slots") + 1)).explode("_slot")
    absent = absent.with_columns(
        pl.col("interval_start") + pl.duration(minutes=pl.col("_slot") * pl.col("interval_min")),
        *(pl.lit(None, readings.schema[name]).alias(name) for name in ("_source_line", *INTERPOLATED)),
    )
    return sort_by_elapsed_time(pl.concat([readings, absent.select(readings.columns)]))


def interpolate(readings: pl.DataFrame) -> pl.DataFrame:
    """Add status and available_at, and fill the short gaps; readings come in the order of elapsed time."""
    interval = pl.duration(minutes=pl.col("interval_min"))
    is_measured = pl.col("active_power_kw").is_not_null()
    measured = readings.filter(is_measured).with_columns(
        status=pl.lit("measured"), available_at=pl.col("interval_start") + interval
    )
    if measured.height == readings.height:
        return measured
    begin, end = pl.col("interval_start_before"), pl.col("interval_start_after")
    is_of_one_clock = pl.all_horizontal(
        pl.col(f"{name}_{side}").eq_missing(pl.col(name)) for name in CLOCK for side in ("before", "after")
    )
    is_short = is_of_one_clock & (end - begin - interval <= pl.duration(minutes=SHORT_GAP_MIN))
    share = (pl.col("interval_start") - begin).dt.total_seconds() / (end - begin).dt.total_seconds()
    before_and_share = {name: pl.col(f"{name}_before") for name in INTERPOLATED}
    filled = {
        name: pl.coalesce(name, pl.when(is_short).then(before + (pl.col(f"{name}_after") - before) * share))
        for name, before in before_and_share.items()
    }
    missing = add_neighbours(readings).with_columns(
        **filled,
        status=pl.when(is_short).then(pl.lit("interpolated")).otherwise(pl.lit("missing")),
        available_at=pl.when(is_short).then(end + interval),
    )
    return pl.concat([measured, missing.select(measured.columns)])


def add_neighbours(readings: pl.DataFrame) -> pl.DataFrame:
    """Return the readings without active power, with the nearest ones before and after that have it."""
    is_measured = pl.col("active_power_kw").is_not_null()
    place = pl.when(is_measured).then(pl.int_range(pl.len()))
    places = readings.select(before=place.forward_fill(), after=place.backward_fill()).filter(
        readings.select(~is_measured).to_series()
    )
    known = readings.select(*CLOCK, "interval_start", *INTERPOLATED)
    neighbours = (known.select(pl.all().gather(places[side]).name.suffix(f"_{side}")) for side in ("before", "after"))
    return pl.concat([readings.filter(~is_measured), *neighbours], how="horizontal")
