"""Gaps between the readings of a civil day: rows for intervals without a line, short gaps interpolated, all flagged.

A gap is a run of intervals without active power between two that have it; whether the file marks them as missing or
has no line makes no difference. Up to SHORT_GAP_MIN minutes it is interpolated in a straight line. Gaps that reach over
midnight or over a change of the clock stay missing, and outside a day's first and last line there are no rows.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from lakehouse.tables.energy import SILVER_POWER_READINGS

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
"""What is needed of a line; fewer columns make the day's windows cheaper."""
METER_DAY = ("event_date", "meter_id")


def mark_gaps(readings: DataFrame) -> DataFrame:
    """Build silver.power_readings, but for _ingested_at, from the readings of whole days, laid out by day."""
    marked = interpolate(add_absent(readings))
    watt_hours = F.col("active_power_kw") * 1000 * F.col("interval_min") / 60
    others = F.col("sub_metering_1_wh") + F.col("sub_metering_2_wh") + F.col("sub_metering_3_wh")
    columns = {"other_wh": watt_hours - others, "interval_start": F.col("interval_start").cast("timestamp_ntz")}
    return marked.withColumns(columns).select(*SILVER_POWER_READINGS.digest_columns)


def elapsed_order() -> tuple[Column, Column, Column]:
    """Order readings of a day as time passes: the second showing of an hour comes after all of the first."""
    return (F.date_trunc("hour", "interval_start"), F.col("occurrence"), F.col("interval_start"))


def seconds(column: str) -> Column:
    """A civil time as a number that differences can be taken of."""
    return F.unix_seconds(F.col(column).cast("timestamp"))


def add_absent(readings: DataFrame) -> DataFrame:
    """Add a row without values for every interval that has no line, between two lines of one offset."""
    in_order = Window.partitionBy(*METER_DAY).orderBy(*elapsed_order())
    after = F.lead(F.struct("interval_start", "occurrence", "utc_offset_min")).over(in_order)
    placed = readings.withColumn("_after", after)
    same_clock = (F.col("_after.occurrence") == F.col("occurrence")) & F.col("_after.utc_offset_min").eqNullSafe(
        F.col("utc_offset_min")
    )
    interval_s = F.col("interval_min") * 60
    slots = ((seconds("_after.interval_start") - seconds("interval_start")) / interval_s).cast("int") - 1
    # Slot 0 is the line itself: a union would compute everything before it twice.
    slot = F.explode(F.sequence(F.lit(0), F.when(same_clock, slots).otherwise(0)))
    is_line = F.col("_slot") == 0
    values = {name: F.when(is_line, F.col(name)) for name in ("_source_line", *INTERPOLATED)}
    start = F.timestamp_seconds(seconds("interval_start") + F.col("_slot") * interval_s).cast("timestamp_ntz")
    return placed.withColumn("_slot", slot).withColumns({"interval_start": start, **values}).drop("_after", "_slot")


def interpolate(readings: DataFrame) -> DataFrame:
    """Add status and available_at, and fill the short gaps.

    The next measured reading is looked up in descending order: a window that grows is cheaper than one that shrinks.
    """
    meter_day = Window.partitionBy(*METER_DAY)
    forward = meter_day.orderBy(*elapsed_order())
    backward = meter_day.orderBy(*(key.desc() for key in elapsed_order()))
    measured = F.col("active_power_kw").isNotNull()
    known = F.when(measured, F.struct("interval_start", "occurrence", "utc_offset_min", *INTERPOLATED))
    neighbours = readings.withColumns(
        {
            "_before": F.last(known, ignorenulls=True).over(forward.rowsBetween(Window.unboundedPreceding, -1)),
            "_after": F.last(known, ignorenulls=True).over(backward.rowsBetween(Window.unboundedPreceding, -1)),
        }
    )
    begin, end = seconds("_before.interval_start"), seconds("_after.interval_start")
    interval_s = F.col("interval_min") * 60
    same_clock = (F.col("_before.occurrence") == F.col("_after.occurrence")) & F.col(
        "_before.utc_offset_min"
    ).eqNullSafe(F.col("_after.utc_offset_min"))
    is_short = F.coalesce(~measured & same_clock & (end - begin - interval_s <= SHORT_GAP_MIN * 60), F.lit(False))
    share = (seconds("interval_start") - begin) / (end - begin)
    filled = {}
    for name in INTERPOLATED:
        before, after = F.col(f"_before.{name}"), F.col(f"_after.{name}")
        filled[name] = F.coalesce(name, F.when(is_short, before + (after - before) * share))
    known_from = F.when(measured, seconds("interval_start")).when(is_short, end) + interval_s
    status = F.when(measured, "measured").when(is_short, "interpolated").otherwise("missing")
    return neighbours.withColumns(
        {"status": status, "available_at": F.timestamp_seconds(known_from).cast("timestamp_ntz"), **filled}
    ).drop("_before", "_after")


def count_absent(readings: DataFrame) -> dict[str, int]:
    """Count intervals that lack a row between a day's first and last one, on days on which the clock is not changed."""
    start = seconds("interval_start")
    days = readings.groupBy(*METER_DAY).agg(
        ((F.max(start) - F.min(start)) / (F.first("interval_min") * 60) + 1 - F.count("*")).alias("absent"),
        F.max("occurrence").alias("occurrences"),
        F.count_distinct("utc_offset_min").alias("offsets"),
    )
    absent = days.where((F.col("occurrences") == 1) & (F.col("offsets") <= 1)).agg(F.sum(F.abs("absent"))).first()[0]
    return {"absent_intervals": int(absent or 0)}
