"""Lines with the same time: an hour that the clock shows twice, copies, and corrections.

If a zone is declared, its clock decides which times come twice: two lines of such a time are two readings, in the order
of the file. Without a zone, an hour counts as shown twice if the file steps back by it, as a clock that is set back
does, and the two passes are not all equal. Any other second line of a time is a copy if its values are equal, and
otherwise replaces the earlier line.
"""

from __future__ import annotations

import polars as pl

from lakehouse.tables.energy import MEASURES
from transforms.rules import Judged, LineRule, name_broken, quote_text
from transforms.sorting import sort_rows

METER_DAY = ("meter_id", "event_date")
SAME_TIME = (*METER_DAY, "interval_start")
VALUES = pl.struct(f"raw_{name}" for name in MEASURES)
"""What two lines of one time are compared by."""
SUPERSEDED = LineRule(
    "superseded",
    "fate = 'superseded'",
    f"concat('a later line has the time ', {quote_text('raw_time')}, ' with other values')",
)


def sort_out(lines: pl.DataFrame) -> Judged:
    """Number the occurrences of sound lines; take out equal copies, and lines that a later one corrects.

    `rows` are sorted by meter and time, lines of one time by occurrence.
    """
    ordered = sort_rows(lines, ("meter_id", "interval_start", "sequence")).with_columns(
        occurrence=pl.lit(1, pl.Int32), fate=pl.lit("kept")
    )
    is_repeated = pl.all_horizontal(pl.col(name) == pl.col(name).shift() for name in ("meter_id", "interval_start"))
    crowded_days = ordered.filter(is_repeated).select(METER_DAY).unique()
    if crowded_days.height:
        crowded = find_fates(number_occurrences(ordered.join(crowded_days, METER_DAY, "semi")))
        calm = ordered.join(crowded_days, METER_DAY, "anti")
        ordered = sort_rows(pl.concat([calm, crowded]), ("meter_id", "interval_start", "occurrence"))
    fate = pl.col("fate")
    return Judged(
        rows=ordered.filter(fate == "kept").drop("fate"),
        rejected=name_broken(ordered.filter(fate == "superseded"), [SUPERSEDED]),
        duplicates=ordered.filter(fate == "duplicate"),
    )


def number_occurrences(lines: pl.DataFrame) -> pl.DataFrame:
    """Set `occurrence` to 2 in the second pass of an hour that the clock shows twice, and the offset of that pass.

    Lines of one time come in the order of the file.
    """
    minutes = pl.col("interval_start").dt.epoch("s") // 60
    step = minutes - minutes.shift().over(METER_DAY, order_by="sequence")
    hour = pl.col("interval_start").dt.truncate("1h")
    marked = lines.with_columns(
        _is_second=pl.int_range(pl.len()).over(SAME_TIME) == 1,
        _is_later=pl.int_range(pl.len()).over(SAME_TIME) > 0,
        _is_step=(step == pl.col("interval_min") - 60).fill_null(False),
        _is_other=VALUES.ne_missing(VALUES.shift().over(SAME_TIME)),
        _hour=hour,
    )
    same_hour = (*METER_DAY, "_hour")
    is_set_back = pl.col("_is_step").any().over(same_hour) & (pl.col("_is_other") & pl.col("_is_second")).any().over(
        same_hour
    )
    is_shown_twice = (
        pl.when(pl.col("zone").is_null()).then(is_set_back).otherwise(pl.col("second_utc_offset_min").is_not_null())
    )
    is_second_pass = is_shown_twice & pl.col("_is_later")
    return marked.with_columns(
        occurrence=pl.when(is_second_pass).then(2).otherwise(1).cast(pl.Int32),
        utc_offset_min=pl.when(is_second_pass).then("second_utc_offset_min").otherwise("utc_offset_min"),
    ).select(lines.columns)


def find_fates(lines: pl.DataFrame) -> pl.DataFrame:
    """Set `fate`: of the lines of one time, the values of the last count; the first line that has them is kept."""
    same_reading = (*SAME_TIME, "occurrence")
    judged = lines.with_columns(_is_latest=VALUES.eq_missing(VALUES.last().over(same_reading)))
    is_first_latest = pl.col("_is_latest").cum_sum().over(same_reading) == 1
    fate = (
        pl.when(~pl.col("_is_latest"))
        .then(pl.lit("superseded"))
        .when(is_first_latest)
        .then(pl.lit("kept"))
        .otherwise(pl.lit("duplicate"))
    )
    return judged.with_columns(fate=fate).select(lines.columns)
