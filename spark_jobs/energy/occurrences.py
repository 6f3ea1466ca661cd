"""Lines with the same time: an hour that the clock shows twice, copies, and corrections.

Where a zone is declared, its clock tells which times come twice: two lines of such a time are two readings, in the
order of the file. Without one, an hour is taken as shown twice where the file steps back by it, as a clock that is set
back does, and the two passes are not all equal. Any other line of a time that was there is a copy if it is equal, and
else takes the earlier one's place.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from lakehouse.tables.energy import MEASURES
from spark_jobs.layers.silver import Judged, quote_text

METER_DAY = ("event_date", "meter_id")


def sort_out(lines: DataFrame, sound: DataFrame) -> Judged:
    """Number the occurrences of sound lines; drop equal copies and reject lines that a later one corrects.

    Times are counted before lines are judged: that reads three columns instead of all.
    """
    times = lines.where(F.col("interval_start").isNotNull()).groupBy(*METER_DAY, "interval_start").count()
    crowded_days = times.where("count > 1").select(*METER_DAY).distinct().localCheckpoint()
    first = sound.withColumn("occurrence", F.lit(1))
    if crowded_days.isEmpty():
        return Judged(first, sound.withColumns(reason_of_superseded()).limit(0), lines.limit(0))
    crowded = sound.join(F.broadcast(crowded_days), [*METER_DAY], "left_semi")
    judged = find_fates(number_occurrences(crowded)).localCheckpoint()
    calm = first.join(F.broadcast(crowded_days), [*METER_DAY], "left_anti")
    superseded = judged.where(F.col("fate") == "superseded").drop("fate", "occurrence")
    return Judged(
        rows=calm.unionByName(judged.where(F.col("fate") == "kept").drop("fate")),
        rejected=superseded.withColumns(reason_of_superseded()),
        duplicates=judged.where(F.col("fate") == "duplicate"),
    )


def reason_of_superseded() -> dict[str, Column]:
    """Name the rule that a corrected line breaks."""
    words = F.concat(F.lit("a later line has the time "), quote_text("raw_time"), F.lit(" with other values"))
    return {"rule": F.lit("superseded"), "reason": words}


def number_occurrences(lines: DataFrame) -> DataFrame:
    """Add `occurrence`: 2 for the second pass of an hour that the clock shows twice."""
    hour = F.date_trunc("hour", "interval_start")
    in_order = Window.partitionBy(*METER_DAY).orderBy("sequence")
    same_time = Window.partitionBy(*METER_DAY, "interval_start").orderBy("sequence")
    same_hour = Window.partitionBy(*METER_DAY, hour)
    minutes = F.unix_seconds(F.col("interval_start").cast("timestamp")) / 60
    step = minutes - F.lag(minutes).over(in_order)
    is_other = ~values().eqNullSafe(F.lag(values()).over(same_time))
    marked = lines.withColumns(
        {
            "_pass": F.row_number().over(same_time),
            "_steps_back": F.coalesce(step == F.col("interval_min") - 60, F.lit(False)),
            "_is_other": is_other,
        }
    )
    is_set_back = F.max("_steps_back").over(same_hour) & F.max(F.col("_is_other") & (F.col("_pass") == 2)).over(
        same_hour
    )
    is_repeated = F.when(F.col("zone").isNull(), is_set_back).otherwise(F.col("second_utc_offset_min").isNotNull())
    numbered = marked.withColumn("_is_repeated", is_repeated)
    occurrence = F.when(F.col("_is_repeated") & (F.col("_pass") > 1), 2).otherwise(1)
    offset = F.when(occurrence == 2, F.col("second_utc_offset_min")).otherwise(F.col("utc_offset_min"))
    return numbered.withColumns({"occurrence": occurrence, "utc_offset_min": offset}).drop(
        "_pass", "_steps_back", "_is_other", "_is_repeated"
    )


def find_fates(lines: DataFrame) -> DataFrame:
    """Add `fate`: of lines with one time, those like the last count; the first of them is kept."""
    in_order = Window.partitionBy(*METER_DAY, "interval_start", "occurrence").orderBy("sequence")
    whole = in_order.rowsBetween(Window.unboundedPreceding, Window.unboundedFollowing)
    judged = lines.withColumns(
        {"_is_latest": values().eqNullSafe(F.last(values()).over(whole)), "_position": F.row_number().over(in_order)}
    )
    first_latest = F.min(F.when(F.col("_is_latest"), F.col("_position"))).over(whole)
    is_kept = F.col("_position") == first_latest
    fate = F.when(~F.col("_is_latest"), "superseded").when(is_kept, "kept").otherwise("duplicate")
    return judged.withColumn("fate", fate).drop("_is_latest", "_position")


def values() -> Column:
    """What two lines of one time are compared by."""
    return F.struct(*(F.col(f"raw_{name}") for name in MEASURES))
