"""Silver trades: one row per exchange trade, typed and deduplicated.

Reads   lakehouse.bronze.trades   the lines of the event days, and bronze.files for which of them are accepted
Writes  lakehouse.silver.trades   replaces those event days
        lakehouse.silver.trades_rejected   the lines that broke a rule, with the rule's name and the reason

A feed without trade ids repeats identical rows that are real trades: identity is file and line, never the row's values.
An id is taken to be unique within an instrument and event day, since some venues begin anew each day.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from lakehouse.tables.finance import BRONZE_TRADES, SILVER_TRADES, SILVER_TRADES_REJECTED
from spark_jobs import silver
from spark_jobs.command_line import main
from spark_jobs.finance import outliers
from spark_jobs.silver import (
    Cleaning,
    Judged,
    Rule,
    is_sound,
    line_rules,
    name_broken,
    not_a_decimal,
    not_positive,
    parse_decimal,
    quote_text,
    silver_job,
)

LOCATION = ("instrument_id", "delivery_date", "delivery_part", "source", "sequence")
"""Where a line lies; unique in bronze."""
TRADE_KEY = ("event_date", "instrument_id", "raw_trade_id")
MOST_BROADCAST = 2_000_000
"""More lines than this (about 200 MB) are joined by a shuffle."""


def parse_numbers(lines: DataFrame) -> DataFrame:
    """Add price and size, each parsed once; still in the file's scale, null where the text is no number."""
    return lines.withColumns({"price": parse_decimal("raw_price"), "size": parse_decimal("raw_size")})


def trade_rules() -> Sequence[Rule]:
    """The rules of a trade with parsed numbers, in the order in which they are named.

    Futures report zero-size prints; they trade nothing, so they are rejected like any other non-positive size.
    """
    return (
        *line_rules(),
        Rule("unreadable_price", F.col("price").isNull(), not_a_decimal("raw_price")),
        Rule("unreadable_size", F.col("size").isNull(), not_a_decimal("raw_size")),
        Rule("non_positive_price", F.col("price") <= 0, not_positive("price", "raw_price")),
        Rule("non_positive_size", F.col("size") <= 0, not_positive("size", "raw_size")),
    )


def type_fields(lines: DataFrame) -> DataFrame:
    """Turn the fields of lines that broke no rule into silver's columns."""
    divided = (F.col("price") / F.col("price_divisor")).cast("decimal(18,8)")
    return lines.withColumns(
        {
            "price": F.when(F.col("price_divisor") == 1, F.col("price")).otherwise(divided),
            "trade_id": F.col("raw_trade_id"),
            "exchange": F.col("raw_exchange"),
            "conditions": F.col("raw_conditions"),
            "is_suspicious": F.coalesce(F.lower("raw_suspicious").isin("1", "true"), F.lit(False)),
            "sequence": F.coalesce(F.expr("try_cast(raw_trade_id AS BIGINT)"), F.col("sequence")),
        }
    )


def find_suspects(lines: DataFrame) -> DataFrame:
    """Return the few lines that break a rule or whose trade id may come more than once (`may_repeat`).

    Ids are counted by a hash, which is a third of the work; two ids with one hash only make a suspect more.
    """
    key = F.when(F.col("raw_trade_id").isNotNull(), F.xxhash64(*TRADE_KEY))
    counted = lines.select(key.alias("_key")).where(F.col("_key").isNotNull()).groupBy("_key").count()
    repeated = counted.where(F.col("count") > 1).select("_key", F.lit(True).alias("may_repeat"))
    marked = lines.withColumn("_key", key).join(small(repeated), "_key", "left").drop("_key")
    may_repeat = F.coalesce("may_repeat", F.lit(False))
    return marked.where(may_repeat | ~is_sound(trade_rules())).withColumn("may_repeat", may_repeat).persist()


def judge_copies(suspects: DataFrame) -> DataFrame:
    """Return the sound lines whose trade id may come more than once, with what becomes of each in `fate`.

    Of equal lines the first is kept and the others are duplicates; where they differ, those like the last line count
    and the others are superseded.
    """
    candidates = suspects.where(F.col("may_repeat") & is_sound(trade_rules()))
    in_order = Window.partitionBy(*TRADE_KEY).orderBy("delivery_date", "delivery_part", "sequence")
    whole = in_order.rowsBetween(Window.unboundedPreceding, Window.unboundedFollowing)
    values = F.struct("ts_event", "price", "size")
    is_latest = values == F.last(values).over(whole)
    position = F.row_number().over(in_order)
    judged = candidates.withColumns({"_is_latest": is_latest, "_position": position})
    first_latest = F.min(F.when(F.col("_is_latest"), F.col("_position"))).over(whole)
    is_kept = F.col("_position") == first_latest
    fate = F.when(~F.col("_is_latest"), "superseded").when(is_kept, "kept").otherwise("duplicate")
    return judged.withColumn("fate", fate).drop("_is_latest", "_position")


def small(lines: DataFrame) -> DataFrame:
    """Have a frame joined by broadcast where it turns out to be small; it is computed once."""
    lines = lines.persist()
    return F.broadcast(lines) if lines.count() <= MOST_BROADCAST else lines


def name_superseded(copies: DataFrame) -> DataFrame:
    """Turn superseded copies into rejected lines."""
    words = F.concat(F.lit("a later line has trade id "), quote_text("raw_trade_id"), F.lit(" with other values"))
    return copies.where(F.col("fate") == "superseded").withColumns({"rule": F.lit("superseded"), "reason": words})


def judge(lines: DataFrame) -> Judged:
    """Split the lines of some event days into trades, rejected lines and equal copies.

    All lines are read twice at full width: once for the few that need a closer look, once for the trades.
    """
    parsed, rules = parse_numbers(lines), trade_rules()
    suspects = find_suspects(parsed)
    copies = judge_copies(suspects).persist()
    broken = name_broken(suspects.where(~is_sound(rules)), rules).drop("may_repeat")
    dropped = small(copies.where(F.col("fate") != "kept").select(*LOCATION))
    return Judged(
        rows=type_fields(parsed.where(is_sound(rules)).join(dropped, list(LOCATION), "left_anti")),
        rejected=broken.unionByName(name_superseded(copies).drop("fate", "may_repeat")),
        duplicates=copies.where(F.col("fate") == "duplicate"),
    )


JOB = silver_job(
    "finance.silver_trades",
    Cleaning(SILVER_TRADES, SILVER_TRADES_REJECTED, BRONZE_TRADES, judge, mark=outliers.mark_outliers),
    code=(sys.modules[__name__], silver, outliers),
)

if __name__ == "__main__":
    main(JOB)
