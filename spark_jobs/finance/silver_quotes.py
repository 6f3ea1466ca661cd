"""Silver quotes: one row per quote, typed; a side that the row does not update is null.

Reads   lakehouse.bronze.quotes   the lines of the event days, and bronze.files for which of them are accepted
Writes  lakehouse.silver.quotes   replaces those event days
        lakehouse.silver.quotes_rejected   the lines that broke a rule, with the rule's name and the reason

Equity feeds send one side at a time: a price of zero there means "no update", not a price.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import polars as pl

from lakehouse.tables.finance import BRONZE_QUOTES, SILVER_QUOTES, SILVER_QUOTES_REJECTED
from spark_jobs.engine import day_files
from spark_jobs.layers import silver, silver_files
from spark_jobs.layers.command_line import main
from spark_jobs.layers.silver_files import Cleaning, Judged, silver_files_job
from transforms.finance import line_rules
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

PRICES = ("bid_price", "ask_price")
SIZES = ("bid_size", "ask_size")
NUMBERS = (*PRICES, *SIZES)
MID = pl.Decimal(38, 9)
"""Half a price step more than the prices have; silver keeps 20 digits of it."""


def parse_numbers(lines: pl.DataFrame) -> pl.DataFrame:
    """Add each field's number, parsed once; null where the text is no number of the table."""
    parsed = parse_decimals(lines, {name: f"raw_{name}" for name in NUMBERS})
    return parsed.with_columns(**{name: scale_price(name) for name in PRICES})


def updates(side: str) -> pl.Expr:
    """Say whether a line has a price for the side."""
    return (pl.col(f"{side}_price") != 0).fill_null(False)


def quote_rules() -> Sequence[Rule]:
    """The rules of a quote with parsed numbers, in the order in which they are named."""
    bid, ask = pl.col("bid_price"), pl.col("ask_price")
    crossed = pl.format("bid {} is above ask {}", quote_text("raw_bid_price"), quote_text("raw_ask_price"))
    return (
        *common_rules(),
        *(Rule(f"unreadable_{name}", is_unreadable(name), not_a_decimal(f"raw_{name}")) for name in NUMBERS),
        Rule("negative_bid_price", bid < 0, not_positive("bid", "raw_bid_price")),
        Rule("negative_ask_price", ask < 0, not_positive("ask", "raw_ask_price")),
        Rule("empty_quote", ~updates("bid") & ~updates("ask"), pl.lit("the line updates neither bid nor ask")),
        Rule("crossed_quote", updates("bid") & updates("ask") & (bid > ask), crossed),
    )


def is_unreadable(number: str) -> pl.Expr:
    """Say whether a field is there and is no number; a feed without sizes has none."""
    return pl.col(f"raw_{number}").is_not_null() & pl.col(number).is_null()


def type_fields(lines: pl.DataFrame) -> pl.DataFrame:
    """Turn the fields of lines that broke no rule into silver's columns."""
    typed = lines.with_columns(
        *(
            pl.when(updates(side)).then(f"{side}_{what}").alias(f"{side}_{what}")
            for side in ("bid", "ask")
            for what in ("price", "size")
        ),
        exchange="raw_exchange",
        conditions="raw_conditions",
        is_suspicious=is_marked_suspicious(),
    )
    bid, ask = pl.col("bid_price"), pl.col("ask_price")
    spread = (ask - bid).cast(pl.Float64)
    typed = typed.with_columns(mid_price=(bid.cast(MID) + ask.cast(MID)) / 2)
    typed = typed.with_columns(spread_bps=spread / pl.col("mid_price").cast(pl.Float64) * 10_000)
    return typed.select(SILVER_QUOTES.digest_columns)


def judge(lines: pl.DataFrame) -> Judged:
    """Split lines of one event day into quotes in order and rejected lines; without ids no line is another's copy."""
    parsed, rules = parse_numbers(lines), quote_rules()
    sound = parsed.select(is_sound(rules)).to_series()
    return Judged(
        rows=sort_rows(type_fields(parsed.filter(sound)), SILVER_QUOTES.row_order),
        rejected=name_broken(parsed.filter(~sound), rules),
        duplicates=lines.clear(),
    )


JOB = silver_files_job(
    "finance.silver_quotes",
    Cleaning(SILVER_QUOTES, SILVER_QUOTES_REJECTED, BRONZE_QUOTES, judge),
    code=(sys.modules[__name__], silver, silver_files, day_files, line_rules),
)

if __name__ == "__main__":
    main(JOB)
