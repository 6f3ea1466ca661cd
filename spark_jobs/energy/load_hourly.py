"""Load per meter and hour, with features that were known when the hour began.

Reads   lakehouse.silver.power_readings   the civil days, and LOOK_BACK_DAYS before each of them
Writes  lakehouse.gold.load_hourly        replaces those civil days

Every hour that a meter's clock shows on a day with readings has a row. A day that comes late makes no more than the
LOOK_BACK_DAYS after it due.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

import polars as pl

from lakehouse.slices import Slice, days_of
from lakehouse.tables.energy import GOLD_LOAD_HOURLY, SILVER_POWER_READINGS
from spark_jobs.energy.calendars import describe_calendars, public_holidays
from spark_jobs.engine.kept import in_slices, not_held, staged_rows
from spark_jobs.engine.stage import Branch, HeldBack
from spark_jobs.layers.command_line import main
from spark_jobs.layers.derive import by_slices
from spark_jobs.layers.gold import Derivation, Inputs, gold_job
from transforms.energy.hours import HolidaysOf, hours_of_day
from transforms.energy.load_features import LOOK_BACK_DAYS, READING_COLUMNS, hourly_loads

PART = ("event_date", "meter_id")


def given(subjects: Sequence[str], days: Sequence[Slice], now: datetime) -> tuple[Sequence[date], HolidaysOf]:
    """Return the days to make, and what knows public holidays."""
    return days_of(days), public_holidays


def compare_readings(inputs: Inputs, branch: Branch, days: Sequence[Slice], held: HeldBack) -> Mapping[str, Any]:
    """Count, of each meter's day, the hours that its clock shows and the table lacks, and measured hours likewise."""
    readings = inputs.upstream.rows(in_slices("event_date", days), not_held(*PART, held))
    is_again = pl.col("occurrence") == 2
    silver = readings.group_by(PART).agg(
        zone=pl.col("zone").first(),
        again=pl.col("interval_start").filter(is_again).dt.truncate("1h").n_unique(),
        measured_min=pl.col("interval_min").filter(pl.col("status") == "measured").sum(),
    )
    gold = staged_rows(branch, days, held).group_by(PART)
    loads = gold.agg(hours=pl.len(), measured_h=pl.col("completeness_ratio").sum())
    gaps: dict[tuple[date, str], int] = {}
    differences: dict[tuple[date, str], float] = {}
    both = silver.join(loads, PART, "full", coalesce=True).collect(engine="streaming")
    for row in both.iter_rows(named=True):
        part = (row["event_date"], row["meter_id"])
        again = row["again"] if row["zone"] is None else 0
        shown = 0 if row["again"] is None else len(list(hours_of_day(row["zone"], row["event_date"]))) + again
        gaps[part] = abs(shown - (row["hours"] or 0))
        differences[part] = round(abs((row["measured_min"] or 0) / 60 - (row["measured_h"] or 0.0)), 6)
    return {"hour_gaps": gaps, "measured_hours_difference": differences}


JOB = gold_job(
    "energy.load_hourly",
    Derivation(
        table=GOLD_LOAD_HOURLY,
        upstream=SILVER_POWER_READINGS,
        making=by_slices(hourly_loads, READING_COLUMNS, given=given),
        facts=compare_readings,
        declared=describe_calendars,
        look_back_days=LOOK_BACK_DAYS,
    ),
)

if __name__ == "__main__":
    main(JOB)
