"""Silver trades: one row per exchange trade, typed and deduplicated.

Reads   lakehouse.bronze.trades   the lines of the event days, and bronze.files for which of them are accepted
Writes  lakehouse.silver.trades   replaces those event days
        lakehouse.silver.trades_rejected   the lines that broke a rule, with the rule's name and the reason

A feed without trade ids repeats identical rows that are real trades: identity is file and line, never the row's values.
An id is taken to be unique within an instrument and event day, since some venues begin anew each day.
"""

from __future__ import annotations

import sys

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from lakehouse.tables.finance import BRONZE_TRADES, SILVER_TRADES, SILVER_TRADES_REJECTED
from spark_jobs import silver
from spark_jobs.command_line import main
from spark_jobs.finance import outliers
from spark_jobs.silver import (
    Cleaning,
    Judged,
    first_broken,
    is_decimal_text,
    line_rules,
    not_a_decimal,
    not_positive,
    quote_text,
    silver_job,
)

LOCATION = ("instrument_id", "delivery_date", "delivery_part", "source", "sequence")
"""Where a line lies; unique in bronze."""
MOST_BROADCAST_COPIES = 2_000_000
"""More copies than this (about 200 MB) are joined by a shuffle."""


def judge_values(lines: DataFrame) -> DataFrame:
    """Add rule and reason of the first rule that a line breaks on its own.

    Futures report zero-size prints; they trade nothing, so they are rejected like any other non-positive size.
    """
    rule, reason = first_broken(
        *line_rules(),
        ("unreadable_price", ~is_decimal_text("raw_price"), not_a_decimal("raw_price")),
        ("unreadable_size", ~is_decimal_text("raw_size"), not_a_decimal("raw_size")),
        ("non_positive_price", F.col("raw_price").cast("decimal(18,8)") <= 0, not_positive("price", "raw_price")),
        ("non_positive_size", F.col("raw_size").cast("decimal(18,8)") <= 0, not_positive("size", "raw_size")),
    )
    return lines.withColumns({"rule": rule, "reason": reason})


def type_fields(lines: DataFrame) -> DataFrame:
    """Turn the raw texts of lines that broke no rule into silver's columns."""
    price = F.col("raw_price").cast("decimal(18,8)")
    divided = (price / F.col("price_divisor")).cast("decimal(18,8)")
    return lines.withColumns(
        {
            "price": F.when(F.col("price_divisor") == 1, price).otherwise(divided),
            "size": F.col("raw_size").cast("decimal(18,8)"),
            "trade_id": F.col("raw_trade_id"),
            "exchange": F.col("raw_exchange"),
            "conditions": F.col("raw_conditions"),
            "is_suspicious": F.coalesce(F.lower("raw_suspicious").isin("1", "true"), F.lit(False)),
            "sequence": F.coalesce(F.expr("try_cast(raw_trade_id AS BIGINT)"), F.col("sequence")),
        }
    )


def find_copies(lines: DataFrame) -> DataFrame:
    """Return the sound lines whose trade id comes more than once, with what becomes of each in `fate`.

    Of equal lines the first is kept and the others are duplicates; where they differ, those like the last line count
    and the others are superseded. Ids are counted before lines are judged: that reads three columns instead of all.
    """
    key = ["event_date", "instrument_id", "raw_trade_id"]
    with_id = lines.where(F.col("raw_trade_id").isNotNull())
    repeated = with_id.groupBy(*key).agg(F.count("*").alias("copies")).where(F.col("copies") > 1).select(*key)
    candidates = judge_values(with_id.join(repeated, key, "left_semi")).where(F.col("rule").isNull())
    in_order = Window.partitionBy(*key).orderBy("delivery_date", "delivery_part", "sequence")
    whole = in_order.rowsBetween(Window.unboundedPreceding, Window.unboundedFollowing)
    values = F.struct("ts_event", F.col("raw_price").cast("decimal(18,8)"), F.col("raw_size").cast("decimal(18,8)"))
    is_latest = values == F.last(values).over(whole)
    position = F.row_number().over(in_order)
    judged = candidates.withColumns({"_is_latest": is_latest, "_position": position})
    first_latest = F.min(F.when(F.col("_is_latest"), F.col("_position"))).over(whole)
    is_kept = F.col("_position") == first_latest
    fate = F.when(~F.col("_is_latest"), "superseded").when(is_kept, "kept").otherwise("duplicate")
    return judged.withColumn("fate", fate).drop("_is_latest", "_position")


def drop_lines(sound: DataFrame, copies: DataFrame) -> DataFrame:
    """Take the lines out that are not kept; a join is only made where there are such lines."""
    dropped = copies.where(F.col("fate") != "kept").select(*LOCATION).persist()
    count = dropped.count()
    if count == 0:
        return sound
    return sound.join(F.broadcast(dropped) if count <= MOST_BROADCAST_COPIES else dropped, list(LOCATION), "left_anti")


def name_superseded(copies: DataFrame) -> DataFrame:
    """Turn superseded copies into rejected lines."""
    words = F.concat(F.lit("a later line has trade id "), quote_text("raw_trade_id"), F.lit(" with other values"))
    return copies.where(F.col("fate") == "superseded").withColumns({"rule": F.lit("superseded"), "reason": words})


def judge(lines: DataFrame) -> Judged:
    """Split the lines of some event days into trades, rejected lines and equal copies."""
    judged = judge_values(lines)
    sound = judged.where(F.col("rule").isNull())
    copies = find_copies(lines).persist()
    broken = judged.where(F.col("rule").isNotNull())
    return Judged(
        rows=type_fields(drop_lines(sound, copies)),
        rejected=broken.unionByName(name_superseded(copies).drop("fate")),
        duplicates=copies.where(F.col("fate") == "duplicate"),
    )


JOB = silver_job(
    "finance.silver_trades",
    Cleaning(SILVER_TRADES, SILVER_TRADES_REJECTED, BRONZE_TRADES, judge, mark=outliers.mark_outliers),
    code=(sys.modules[__name__], silver, outliers),
)

if __name__ == "__main__":
    main(JOB)
