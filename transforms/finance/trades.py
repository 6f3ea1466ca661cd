"""Lines of trades become trades, rejected lines and equal copies.

A feed without trade ids repeats identical rows that are real trades: identity is file and line, never the row's values.
An id is taken to be unique within an instrument and event day, since some venues begin anew each day.
"""

from __future__ import annotations

import polars as pl

from lakehouse.tables.finance import SILVER_TRADES
from transforms.finance import outliers
from transforms.finance.lines import (
    COMMON_RULES,
    add_event_day,
    is_marked_suspicious,
    not_a_decimal,
    not_positive,
    parse_decimals,
    scale_price,
)
from transforms.rules import Judged, LineRule, is_sound, name_broken, outside, quote_text
from transforms.sorting import sort_rows

TRADE = ("instrument_id", "raw_trade_id")
"""One trade of an event day."""


TRADE_RULES = (
    *COMMON_RULES,
    LineRule("unreadable_price", "price IS NULL", not_a_decimal("raw_price")),
    LineRule("unreadable_size", "size IS NULL", not_a_decimal("raw_size")),
    *(
        LineRule(f"non_positive_{name}", outside(SILVER_TRADES.column(name)), not_positive(name, f"raw_{name}"))
        for name in ("price", "size")
    ),
)
"""In the order in which they are named. Futures report zero-size prints; they trade nothing, so they are rejected."""


def parse_numbers(lines: pl.DataFrame) -> pl.DataFrame:
    """Add price and size, each parsed once; null if the text is not a number of the table."""
    parsed = parse_decimals(lines, {"price": "raw_price", "size": "raw_size"})
    return add_event_day(parsed).with_columns(price=scale_price("price"))


def find_fates(lines: pl.DataFrame) -> pl.DataFrame:
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
    words = pl.sql_expr(f"concat('a later line has trade id ', {quote_text('raw_trade_id')}, ' with other values')")
    superseded = copies.filter(pl.col("fate") == "superseded")
    return superseded.with_columns(rule=pl.lit("superseded"), reason=words)


def type_fields(lines: pl.DataFrame) -> pl.DataFrame:
    """Turn the fields of lines that broke no rule into silver's columns, except is_outlier."""
    number = pl.col("raw_trade_id").cast(pl.Int64, strict=False)
    typed = lines.with_columns(
        trade_id="raw_trade_id",
        exchange="raw_exchange",
        conditions="raw_conditions",
        is_suspicious=is_marked_suspicious(),
        sequence=pl.coalesce(number, "sequence"),
    )
    return typed.select(name for name in SILVER_TRADES.digest_columns if name != "is_outlier")


def clean_trades(lines: pl.DataFrame) -> Judged:
    """Split lines of one event day, all of each instrument's, into trades in order, rejected lines and equal copies."""
    parsed = parse_numbers(lines)
    # Ids are compared by a hash, which is quicker; two ids with one hash only make one more to look at
    key = pl.col("instrument_id").hash() ^ pl.col("raw_trade_id").hash(seed=1)
    may_repeat = pl.col("raw_trade_id").is_not_null() & key.is_duplicated()
    verdicts = parsed.select(sound=is_sound(TRADE_RULES), may_repeat=may_repeat)
    sound, repeated = verdicts["sound"], verdicts["may_repeat"]
    copies = find_fates(parsed.filter(sound & repeated))
    kept = copies.filter(pl.col("fate") == "kept")
    trades = pl.concat([type_fields(parsed).filter(sound & ~repeated), type_fields(kept)])
    return Judged(
        rows=outliers.mark_outliers(sort_rows(trades, SILVER_TRADES.row_order)),
        rejected=pl.concat([name_broken(parsed.filter(~sound), TRADE_RULES), name_superseded(copies).drop("fate")]),
        duplicates=copies.filter(pl.col("fate") == "duplicate"),
    )
