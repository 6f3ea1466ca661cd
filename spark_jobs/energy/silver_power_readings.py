"""Silver power readings: one row per meter and interval, typed, with gaps flagged.

Reads   lakehouse.bronze.power_readings   the lines of the civil days, and bronze.files for which of them are accepted
Writes  lakehouse.silver.power_readings   replaces those civil days
        lakehouse.silver.power_readings_rejected   the lines that broke a rule, with the rule's name and the reason

A civil day is cleaned from its own lines alone, so a gap that crosses midnight is not interpolated, however short.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from lakehouse.tables.energy import BRONZE_POWER_READINGS, SILVER_POWER_READINGS, SILVER_POWER_READINGS_REJECTED
from spark_jobs.layers.command_line import main
from spark_jobs.layers.silver import Cleaning, silver_job
from transforms.energy.readings import clean_readings


def count_absent(rows: pl.LazyFrame) -> Mapping[str, Any]:
    """Count the intervals that lack a row between the first and the last one of a meter's day.

    Days on which the clock is changed are left out: their intervals do not follow each other by civil time.
    """
    start = pl.col("interval_start")
    days = rows.group_by("event_date", "meter_id").agg(
        absent=(start.max() - start.min()).dt.total_minutes() // pl.col("interval_min").first() + 1 - pl.len(),
        is_changed=(pl.col("occurrence").max() > 1) | (pl.col("utc_offset_min").drop_nulls().n_unique() > 1),
    )
    found = days.filter(pl.col("absent") != 0, ~pl.col("is_changed")).collect(engine="streaming")
    return {"absent_intervals": {(day, meter): abs(absent) for day, meter, absent, _ in found.rows()}}


JOB = silver_job(
    "energy.silver_power_readings",
    Cleaning(
        SILVER_POWER_READINGS,
        SILVER_POWER_READINGS_REJECTED,
        BRONZE_POWER_READINGS,
        clean_readings,
        facts=count_absent,
    ),
)

if __name__ == "__main__":
    main(JOB)
