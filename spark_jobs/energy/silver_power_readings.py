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

NEVER_NEGATIVE = ("voltage", "current", "sub_metering_1", "sub_metering_2", "sub_metering_3")
NO_NUMBER = "[^0-9.eE+-]"
"""What Spark's cast takes in a number and no file has in one: NaN, Infinity, 1d, blanks."""


def parse_numbers(lines: DataFrame) -> DataFrame:
    """Add the measures as numbers in the file's units, null where a text is none."""
    numbers = {name: F.expr(f"try_cast(raw_{name} AS DOUBLE)") for name in MEASURES}
    return lines.withColumns({f"_{name}": number for name, number in numbers.items()})


def is_no_number(name: str) -> Column:
    """Say whether a text is there and is no number."""
    text = F.col(f"raw_{name}")
    return text.isNotNull() & (F.col(f"_{name}").isNull() | text.rlike(NO_NUMBER))


def judge_values(lines: DataFrame) -> DataFrame:
    """Add the measures as numbers, and rule and reason of the first rule that a line breaks on its own."""
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
            (f"unreadable_{name}", is_no_number(name), F.concat(quote_text(f"raw_{name}"), F.lit(" is no number")))
            for name in MEASURES
        ),
        *(
            (
                f"negative_{name}",
                F.coalesce(F.col(f"_{name}") < 0, F.lit(False)),
                F.concat(F.lit(f"{name} "), quote_text(f"raw_{name}"), F.lit(" is negative")),
            )
            for name in NEVER_NEGATIVE
        ),
    )
    return parse_numbers(lines).withColumns({"rule": rule, "reason": reason})


def name_measures(lines: DataFrame) -> DataFrame:
    """Turn the numbers of lines that broke no rule into silver's measures and units."""
    factors = {"kw": "active_power_factor", "kvar": "reactive_power_factor", "wh": "sub_metering_factor"}
    measures = {}
    for measure in gaps.INTERPOLATED:
        name, _, unit = measure.rpartition("_")
        measures[measure] = F.col(f"_{name}") * (F.col(factors[unit]) if unit in factors else 1)
    return lines.withColumns(measures).select(*gaps.LINE_COLUMNS)


def judge(lines: DataFrame) -> Judged:
    """Split the lines of some civil days into readings, rejected lines and equal copies."""
    judged = judge_values(lines)
    sorted_out = occurrences.sort_out(lines, judged.where(F.col("rule").isNull()))
    broken = judged.where(F.col("rule").isNotNull())
    return Judged(
        rows=name_measures(sorted_out.rows),
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
