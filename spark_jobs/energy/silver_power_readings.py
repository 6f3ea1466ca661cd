"""Silver power readings: one row per meter and interval, typed, with gaps flagged.

Reads   lakehouse.bronze.power_readings   the lines of the civil days, and bronze.files for which of them are accepted
Writes  lakehouse.silver.power_readings   replaces those civil days
        lakehouse.silver.power_readings_rejected   the lines that broke a rule, with the rule's name and the reason

A civil day is cleaned from its own lines alone, so a gap that crosses midnight is not interpolated, however short.
Occurrences and copies: occurrences.py; gaps: gaps.py.
"""

from __future__ import annotations

import sys

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.tables.energy import (
    BRONZE_POWER_READINGS,
    MEASURES,
    SILVER_POWER_READINGS,
    SILVER_POWER_READINGS_REJECTED,
)
from spark_jobs import silver
from spark_jobs.command_line import main
from spark_jobs.energy import gaps, occurrences
from spark_jobs.silver import Cleaning, Judged, first_broken, quote_text, silver_job
from spark_jobs.sources.power_readings import NUMBER

NEVER_NEGATIVE = ("voltage", "current", "sub_metering_1", "sub_metering_2", "sub_metering_3")


def is_no_number(column: str) -> Column:
    """Say whether a text is there and is no number."""
    return F.col(column).isNotNull() & (~F.col(column).rlike(NUMBER) | F.expr(f"try_cast({column} AS DOUBLE)").isNull())


def is_negative(column: str) -> Column:
    """Say whether a text is a number below zero."""
    return F.coalesce(F.expr(f"try_cast({column} AS DOUBLE)") < 0, F.lit(False))


def judge_values(lines: DataFrame) -> DataFrame:
    """Add rule and reason of the first rule that a line breaks on its own."""
    seconds = F.unix_seconds(F.col("interval_start").cast("timestamp"))
    rule, reason = first_broken(
        ("malformed_line", F.col("raw_line").isNotNull(), F.lit("the line does not have the fields of its dialect")),
        (
            "unreadable_time",
            F.col("interval_start").isNull(),
            F.concat(quote_text("raw_time"), F.lit(" is no time of the dialect's form")),
        ),
        (
            "skipped_time",
            F.col("is_skipped_time"),
            F.concat(quote_text("raw_time"), F.lit(" is a time that the clock of "), "zone", F.lit(" leaves out")),
        ),
        (
            "off_grid",
            seconds % (F.col("interval_min") * 60) != 0,
            F.concat(quote_text("raw_time"), F.lit(" is no multiple of the interval, min: "), "interval_min"),
        ),
        *(
            (
                f"unreadable_{name}",
                is_no_number(f"raw_{name}"),
                F.concat(quote_text(f"raw_{name}"), F.lit(" is no number")),
            )
            for name in MEASURES
        ),
        *(
            (
                f"negative_{name}",
                is_negative(f"raw_{name}"),
                F.concat(F.lit(f"{name} "), quote_text(f"raw_{name}"), F.lit(" is negative")),
            )
            for name in NEVER_NEGATIVE
        ),
    )
    return lines.withColumns({"rule": rule, "reason": reason})


def type_fields(lines: DataFrame) -> DataFrame:
    """Turn the raw texts of lines that broke no rule into silver's measures and units."""
    columns: dict[str, Column] = {}
    for name, unit in (("active_power", "kw"), ("reactive_power", "kvar")):
        columns[f"{name}_{unit}"] = F.col(f"raw_{name}").cast("double") * F.col(f"{name}_factor")
    columns["voltage_v"] = F.col("raw_voltage").cast("double")
    columns["current_a"] = F.col("raw_current").cast("double")
    for number in (1, 2, 3):
        energy = F.col(f"raw_sub_metering_{number}").cast("double")
        columns[f"sub_metering_{number}_wh"] = energy * F.col("sub_metering_factor")
    return lines.withColumns(columns)


def judge(lines: DataFrame) -> Judged:
    """Split the lines of some civil days into readings, rejected lines and equal copies."""
    judged = judge_values(lines)
    sorted_out = occurrences.sort_out(judged.where(F.col("rule").isNull()))
    broken = judged.where(F.col("rule").isNotNull())
    return Judged(
        rows=type_fields(sorted_out.rows),
        rejected=broken.unionByName(sorted_out.rejected),
        duplicates=sorted_out.duplicates,
    )


JOB = silver_job(
    "energy.silver_power_readings",
    Cleaning(
        SILVER_POWER_READINGS,
        SILVER_POWER_READINGS_REJECTED,
        BRONZE_POWER_READINGS,
        judge,
        mark=gaps.mark_gaps,
        facts=gaps.count_absent,
    ),
    code=(sys.modules[__name__], silver, occurrences, gaps),
)

if __name__ == "__main__":
    main(JOB)
