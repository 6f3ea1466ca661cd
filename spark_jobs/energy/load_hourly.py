"""Load per meter and hour, with features that were known when the hour began.

Reads   lakehouse.silver.power_readings   the civil days, and LOOK_BACK_DAYS before each of them
Writes  lakehouse.gold.load_hourly        replaces those civil days

Every hour that a meter's clock shows on a day with readings has a row. The load of an hour is what was known when it
ended: a minute interpolated towards a reading of a later hour is left out. Features rest on hours before the row's own,
counted as they pass (a change of the clock moves no lag), and look back four weeks at most, so that a day that comes
late makes no more than the LOOK_BACK_DAYS after it due. Trend and seasonal part are a classical decomposition of these
four weeks: the mean, and what the same hour of the week was above it.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from lakehouse.tables.energy import GOLD_LOAD_HOURLY, LAGS, ROLLING_HOURS, SILVER_POWER_READINGS
from spark_jobs.energy import clock_hours
from spark_jobs.energy.clock_hours import holiday_frame, hours_frame, hours_of_day
from spark_jobs.engine.stage import Branch
from spark_jobs.layers import gold
from spark_jobs.layers.command_line import main
from spark_jobs.layers.gold import Derivation, Inputs, by_spark, gold_job

WEEK_HOURS = 168
WEEKS = 4
LOOK_BACK_HOURS = WEEKS * WEEK_HOURS
LOOK_BACK_DAYS = WEEKS * 7 + 1
"""One more than the weeks have: after a spring with its day of 23 hours, 672 hours reach into it."""
HOUR = ("meter_id", "event_date", "hour_start", "occurrence")
HOUR_S = 3600


def aggregate_hours(readings: DataFrame) -> DataFrame:
    """Aggregate readings to hours.

    Columns HOUR, load_kw, completeness_ratio, last_known (the end of the last reading that load_kw rests on), and the
    meter's zone and country. Power is added up as decimals, so that the order in which Spark adds does not matter.
    """
    hour_start = F.date_trunc("hour", "interval_start").cast("timestamp_ntz")
    hour_end_s = F.unix_seconds(hour_start.cast("timestamp")) + HOUR_S
    is_known = F.unix_seconds(F.col("available_at").cast("timestamp")) <= hour_end_s
    power = F.when(is_known, F.col("active_power_kw").cast("decimal(24,9)"))
    return readings.groupBy("meter_id", "event_date", hour_start.alias("hour_start"), "occurrence").agg(
        (F.sum(power).cast("double") / F.count(power)).alias("load_kw"),
        (F.count_if(F.col("status") == "measured") * F.first("interval_min") / 60).alias("completeness_ratio"),
        F.max(F.when(is_known, F.col("available_at"))).alias("last_known"),
        F.first("zone").alias("zone"),
        F.first("country").alias("country"),
    )


def complete_hours(hours: DataFrame, days: Sequence[date]) -> DataFrame:
    """Add the hours without a reading, and to all of them when they passed and whether they are of a holiday.

    A clock without a zone shows 24 hours a day, and again those that the readings have twice.
    """
    spark = hours.sparkSession
    meter_days = hours.groupBy("meter_id", "event_date").agg(
        F.first("zone").alias("zone"), F.first("country").alias("country")
    )
    clocks = [tuple(row) for row in hours.select("zone", "country").distinct().collect()]
    grid = hours_frame(spark, {zone for zone, _ in clocks}, days)
    off = holiday_frame(spark, {country for _, country in clocks}, days).withColumn("is_holiday", F.lit(True))
    same_clock = meter_days["zone"].eqNullSafe(grid["zone"]) & (meter_days["event_date"] == grid["event_date"])
    shown = meter_days.join(F.broadcast(grid), same_clock).drop(grid["event_date"], grid["zone"])
    first = shown.where(F.col("zone").isNull()).drop("occurrence")
    again = hours.where(F.col("occurrence") == 2).select(*HOUR).join(first, [*HOUR[:-1]])
    return (
        shown.unionByName(again)
        .join(hours.drop("zone", "country"), [*HOUR], "left")
        .join(F.broadcast(off), ["country", "event_date"], "left")
        .withColumn("is_holiday", F.coalesce("is_holiday", F.lit(False)))
    )


def add_features(hours: DataFrame) -> DataFrame:
    """Add what is known of the hours before each hour."""
    in_order = Window.partitionBy("meter_id").orderBy("clock_hour", "occurrence")
    # Without a zone, both passes of a repeated hour have one clock_hour: each repetition moves the later hours by one.
    repeats = F.count_if(F.col("zone").isNull() & (F.col("occurrence") == 2)).over(
        in_order.rowsBetween(Window.unboundedPreceding, Window.currentRow)
    )
    placed = hours.withColumn("elapsed_hour", F.col("clock_hour") + repeats)
    passed = Window.partitionBy("meter_id").orderBy("elapsed_hour")

    def at(hours_before: int) -> Column:
        return F.max("load_kw").over(passed.rangeBetween(-hours_before, -hours_before))

    def over(aggregate: Any, length: int) -> Column:
        window = passed.rangeBetween(-length, -1)
        return F.when(F.count("load_kw").over(window) >= length / 2, aggregate("load_kw").over(window))

    features = {f"load_kw_lag_{lag}": at(lag) for lag in LAGS}
    for length in ROLLING_HOURS:
        features[f"load_kw_mean_{length}"] = over(F.avg, length)
        features[f"load_kw_std_{length}"] = over(F.stddev_samp, length)
    features["load_kw_trend"] = over(F.avg, LOOK_BACK_HOURS)
    features["_same_hours"] = F.array_compact(F.array(*(at(week * WEEK_HOURS) for week in range(1, WEEKS + 1))))
    features["_last_known"] = F.max("last_known").over(passed.rangeBetween(-LOOK_BACK_HOURS, -1))
    return placed.withColumns(features)


def name_columns(hours: DataFrame) -> DataFrame:
    """Add the calendar, the seasonal part and available_at; give columns their declared names."""
    same_hours = F.col("_same_hours")
    total = F.aggregate(same_hours, F.lit(0.0), lambda total, load: total + load)
    seasonal = F.when(F.size(same_hours) >= WEEKS / 2, total / F.size(same_hours) - F.col("load_kw_trend"))
    # In the second pass of an hour, the clock has been set back since the readings of the first.
    available_at = F.when(F.col("occurrence") == 2, F.least("_last_known", "hour_start")).otherwise(
        F.col("_last_known")
    )
    return hours.withColumns(
        {
            "available_at": available_at,
            "completeness_ratio": F.coalesce("completeness_ratio", F.lit(0.0)),
            "hour": F.hour(F.col("hour_start").cast("timestamp")),
            "weekday": F.weekday("event_date"),
            "month": F.month("event_date"),
            "load_kw_seasonal": seasonal,
        }
    ).select(*GOLD_LOAD_HOURLY.digest_columns)


def transform(readings: DataFrame, days: Sequence[date]) -> DataFrame:
    """Build some days of gold.load_hourly, but for _ingested_at, from readings of theirs and of the days before."""
    # A checkpoint and no cache: Spark knows cached rows of an Iceberg table by its name, whatever was published since.
    hours = complete_hours(aggregate_hours(readings).localCheckpoint(), sorted(DERIVATION.days_read(days)))
    return name_columns(add_features(hours).where(F.col("event_date").isin(list(days))))


def build(readings: DataFrame, branch: Branch, days: Sequence[date]) -> DataFrame:
    """Compute the days; earlier rows of the table are not needed."""
    return transform(readings, days)


def compare_readings(inputs: Inputs, branch: Branch, days: Sequence[date]) -> Mapping[str, Any]:
    """Count hours that a clock shows and the table lacks, and hours of measurement that it has more or less of."""
    readings = branch.spark.table(SILVER_POWER_READINGS.full_name).where(F.col("event_date").isin(list(days)))
    hour_start = F.date_trunc("hour", "interval_start")
    silver = readings.groupBy("meter_id", "event_date").agg(
        F.first("zone").alias("zone"),
        F.count_distinct(F.when(F.col("occurrence") == 2, hour_start)).alias("again"),
        F.sum(F.when(F.col("status") == "measured", F.col("interval_min")).otherwise(0)).alias("measured_min"),
    )
    loads = branch.read_days(days).groupBy("meter_id", "event_date")
    gold_days = loads.agg(F.count("*").alias("hours"), F.sum("completeness_ratio").alias("measured_h"))
    gaps, difference = 0, 0.0
    for row in silver.join(gold_days, ["meter_id", "event_date"], "left").collect():
        shown = len(list(hours_of_day(row["zone"], row["event_date"])))
        gaps += abs(shown + (row["again"] if row["zone"] is None else 0) - (row["hours"] or 0))
        difference += abs(row["measured_min"] / 60 - (row["measured_h"] or 0.0))
    return {"hour_gaps": gaps, "measured_hours_difference": round(difference, 6)}


DERIVATION = Derivation(
    table=GOLD_LOAD_HOURLY,
    upstream=SILVER_POWER_READINGS,
    stage=by_spark(build),
    facts=compare_readings,
    look_back_days=LOOK_BACK_DAYS,
)
JOB = gold_job("energy.load_hourly", DERIVATION, code=(sys.modules[__name__], clock_hours, gold))

if __name__ == "__main__":
    main(JOB)
