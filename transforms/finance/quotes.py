"""Lines of quotes become quotes and rejected lines; a zero price means that the line does not update that side."""

from __future__ import annotations

import polars as pl

from lakehouse.tables.finance import SILVER_QUOTES
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

PRICES = ("bid_price", "ask_price")
SIZES = ("bid_size", "ask_size")
NUMBERS = (*PRICES, *SIZES)
MID = pl.Decimal(38, 9)
"""Half a price step more than the prices have; silver keeps 20 digits of it."""


UPDATES = {side: f"coalesce({side}_price <> 0, FALSE)" for side in ("bid", "ask")}
"""A line has a price for the side: zero means that it does not update it."""

QUOTE_RULES = (
    *COMMON_RULES,
    *(
        LineRule(f"unreadable_{name}", f"raw_{name} IS NOT NULL AND {name} IS NULL", not_a_decimal(f"raw_{name}"))
        for name in NUMBERS  # a feed without sizes has none
    ),
    *(
        LineRule(
            f"negative_{side}_price",  # zero is no price: the line does not update the side
            f"{side}_price < 0",
            not_positive(side, f"raw_{side}_price"),
            f"The {side} is not below zero.",
        )
        for side in ("bid", "ask")
    ),
    *(
        LineRule(
            f"negative_{name}",
            outside(SILVER_QUOTES.column(name)),
            f"concat('{name} ', {quote_text(f'raw_{name}')}, ' is negative')",
        )
        for name in SIZES
    ),
    LineRule(
        "empty_quote",
        f"NOT {UPDATES['bid']} AND NOT {UPDATES['ask']}",
        "'the line updates neither bid nor ask'",
        "A quote has a bid, an ask or both.",
    ),
    LineRule(
        "crossed_quote",
        f"{UPDATES['bid']} AND {UPDATES['ask']} AND bid_price > ask_price",
        f"concat('bid ', {quote_text('raw_bid_price')}, ' is above ask ', {quote_text('raw_ask_price')})",
        "The bid is not above the ask.",
    ),
)
"""In the order in which they are named."""


def parse_numbers(lines: pl.DataFrame) -> pl.DataFrame:
    """Add each field's number, parsed once; null if the text is not a number of the table."""
    parsed = parse_decimals(lines, {name: f"raw_{name}" for name in NUMBERS})
    return add_event_day(parsed).with_columns(**{name: scale_price(name) for name in PRICES})


def type_fields(lines: pl.DataFrame) -> pl.DataFrame:
    """Turn the fields of lines that broke no rule into silver's columns."""
    typed = lines.with_columns(
        *(
            pl.when(pl.sql_expr(UPDATES[side])).then(f"{side}_{what}").alias(f"{side}_{what}")
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


def clean_quotes(lines: pl.DataFrame) -> Judged:
    """Split lines of one event day into quotes in order and rejected lines; without ids no line is another's copy."""
    parsed = parse_numbers(lines)
    sound = parsed.select(is_sound(QUOTE_RULES)).to_series()
    return Judged(
        rows=sort_rows(type_fields(parsed.filter(sound)), SILVER_QUOTES.row_order),
        rejected=name_broken(parsed.filter(~sound), QUOTE_RULES),
        duplicates=lines.clear(),
    )
