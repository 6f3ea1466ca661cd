"""Silver power readings: one row per meter and interval, typed, with gaps flagged.

Reads   lakehouse.bronze.power_readings   the lines of the civil days, and bronze.files for which of them are accepted
Writes  lakehouse.silver.power_readings   replaces those civil days
        lakehouse.silver.power_readings_rejected   the lines that broke a rule, with the rule's name and the reason

A civil day is cleaned from its own lines alone, so a gap that crosses midnight is not interpolated, however short.
Occurrences and copies: occurrences.py; gaps: gaps.py.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.tables.energy import (
    BRONZE_POWER_READINGS,
    MEASURES,
    SILVER_POWER_READINGS,
    SILVER_POWER_READINGS_REJECTED,
)
from spark_jobs.energy import gaps, occurrences
from spark_jobs.layers import silver
from spark_jobs.layers.command_line import main
from spark_jobs.layers.silver import Cleaning, Judged, Rule, is_sound, name_broken, quote_text, silver_job

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


def reading_rules() -> Sequence[Rule]:
    """The rules of a reading with parsed numbers, in the order in which they are named."""
    seconds = F.unix_seconds(F.col("interval_start").cast("timestamp"))
    return (
        Rule(
            "malformed_line", F.col("raw_line").isNotNull(), F.lit("the line does not have the fields of its dialect")
        ),
        Rule(
            "unreadable_time",
            F.col("interval_start").isNull(),
            F.concat(quote_text("raw_time"), F.lit(" is no time of the dialect's form")),
        ),
        Rule(
            "skipped_time",
            F.col("is_skipped_time"),
            F.concat(quote_text("raw_time"), F.lit(" is a time that the clock of "), "zone", F.lit(" leaves out")),
        ),
        Rule(
            "off_grid",
            seconds % (F.col("interval_min") * 60) != 0,
            F.concat(quote_text("raw_time"), F.lit(" is no multiple of the interval, min: "), "interval_min"),
        ),
        *(
            Rule(f"unreadable_{name}", is_no_number(name), F.concat(quote_text(f"raw_{name}"), F.lit(" is no number")))
            for name in MEASURES
        ),
        *(
            Rule(
                f"negative_{name}",
                F.col(f"_{name}") < 0,
                F.concat(F.lit(f"{name} "), quote_text(f"raw_{name}"), F.lit(" is negative")),
            )
            for name in NEVER_NEGATIVE
        ),
    )


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
    parsed, rules = parse_numbers(lines), reading_rules()
    sorted_out = occurrences.sort_out(lines, parsed.where(is_sound(rules)))
    broken = name_broken(parsed.where(~is_sound(rules)), rules)
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
        is_sorted=False,
        facts=gaps.count_absent,
    ),
    code=(sys.modules[__name__], silver, occurrences, gaps),
)

if __name__ == "__main__":
    main(JOB)
