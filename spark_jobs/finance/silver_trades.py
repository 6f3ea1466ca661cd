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

import polars as pl

from lakehouse.tables.finance import BRONZE_TRADES, SILVER_TRADES, SILVER_TRADES_REJECTED
from spark_jobs.engine import day_files
from spark_jobs.layers import silver, silver_files
from spark_jobs.layers.command_line import main
from spark_jobs.layers.silver_files import Cleaning, Judged, silver_files_job
from transforms.finance import line_rules, outliers
from transforms.finance.line_rules import (
    Rule,
    common_rules,
    is_marked_suspicious,
    is_sound,
    name_broken,
    not_a_decimal,
    not_positive,
    parse_decimals,
    quote_text,
    scale_price,
)
from transforms.sorting import sort_rows

TRADE = ("instrument_id", "raw_trade_id")
"""One trade of an event day."""


def parse_numbers(lines: pl.DataFrame) -> pl.DataFrame:
    """Add price and size, each parsed once; null where the text is no number of the table."""
    return parse_decimals(lines, {"price": "raw_price", "size": "raw_size"}).with_columns(price=scale_price("price"))


def trade_rules() -> Sequence[Rule]:
    """The rules of a trade with parsed numbers, in the order in which they are named.

    Futures report zero-size prints; they trade nothing, so they are rejected like any other non-positive size.
    """
    return (
        *common_rules(),
        Rule("unreadable_price", pl.col("price").is_null(), not_a_decimal("raw_price")),
        Rule("unreadable_size", pl.col("size").is_null(), not_a_decimal("raw_size")),
        Rule("non_positive_price", pl.col("price") <= 0, not_positive("price", "raw_price")),
        Rule("non_positive_size", pl.col("size") <= 0, not_positive("size", "raw_size")),
    )


def judge_copies(lines: pl.DataFrame) -> pl.DataFrame:
    """Say of lines whose trade id may come more than once in a day what becomes of each, in `fate`.

    Of equal lines the first is kept and the others are duplicates; where they differ, those like the last line count
    and the others are superseded.
    """
    in_order = lines.sort("delivery_date", "delivery_part", "sequence")
    values = ("ts_event", "price", "size")
    is_latest = pl.all_horizontal(pl.col(name) == pl.col(name).last().over(TRADE) for name in values)
    position = pl.int_range(pl.len()).over(TRADE)
    judged = in_order.with_columns(_is_latest=is_latest, _position=position)
    first_latest = pl.col("_position").filter("_is_latest").min().over(TRADE)
    is_kept = pl.col("_position") == first_latest
    is_superseded = pl.when(~pl.col("_is_latest")).then(pl.lit("superseded"))
    fate = is_superseded.when(is_kept).then(pl.lit("kept")).otherwise(pl.lit("duplicate"))
    return judged.with_columns(fate=fate).drop("_is_latest", "_position")


def name_superseded(copies: pl.DataFrame) -> pl.DataFrame:
    """Turn superseded copies into rejected lines."""
    words = pl.format("a later line has trade id {} with other values", quote_text("raw_trade_id"))
    superseded = copies.filter(pl.col("fate") == "superseded")
    return superseded.with_columns(rule=pl.lit("superseded"), reason=words)


def type_fields(lines: pl.DataFrame) -> pl.DataFrame:
    """Turn the fields of lines that broke no rule into silver's columns, but for is_outlier."""
    number = pl.col("raw_trade_id").cast(pl.Int64, strict=False)
    typed = lines.with_columns(
        trade_id="raw_trade_id",
        exchange="raw_exchange",
        conditions="raw_conditions",
        is_suspicious=is_marked_suspicious(),
        sequence=pl.coalesce(number, "sequence"),
    )
    return typed.select(name for name in SILVER_TRADES.digest_columns if name != "is_outlier")


def judge(lines: pl.DataFrame) -> Judged:
    """Split lines of one event day, all of each instrument's, into trades in order, rejected lines and equal copies."""
    parsed, rules = parse_numbers(lines), trade_rules()
    # Ids are compared by a hash, which is quicker; two ids with one hash only make one more to look at
    key = pl.col("instrument_id").hash() ^ pl.col("raw_trade_id").hash(seed=1)
    may_repeat = pl.col("raw_trade_id").is_not_null() & key.is_duplicated()
    verdicts = parsed.select(sound=is_sound(rules), may_repeat=may_repeat)
    sound, repeated = verdicts["sound"], verdicts["may_repeat"]
    copies = judge_copies(parsed.filter(sound & repeated))
    kept = copies.filter(pl.col("fate") == "kept")
    trades = pl.concat([type_fields(parsed).filter(sound & ~repeated), type_fields(kept)])
    return Judged(
        rows=outliers.mark_outliers(sort_rows(trades, SILVER_TRADES.row_order)),
        rejected=pl.concat([name_broken(parsed.filter(~sound), rules), name_superseded(copies).drop("fate")]),
        duplicates=copies.filter(pl.col("fate") == "duplicate"),
    )


JOB = silver_files_job(
    "finance.silver_trades",
    Cleaning(SILVER_TRADES, SILVER_TRADES_REJECTED, BRONZE_TRADES, judge),
    code=(sys.modules[__name__], silver, silver_files, day_files, line_rules, outliers),
)

if __name__ == "__main__":
    main(JOB)
