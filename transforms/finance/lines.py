"""What lines of trades and quotes have in common: how their numbers are read, and the rules that both keep."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from transforms.rules import LineRule, quote_text

DECIMALS = 8
NUMBER = pl.Decimal(18, DECIMALS)
WIDE_DECIMALS = 18
WIDE_NUMBER = pl.Decimal(38, WIDE_DECIMALS)
"""Shows whether a number has more than 8 decimals: Polars rounds where a text does not fit."""


def not_a_decimal(column: str) -> str:
    """Return the reason that a text is not a number of the table, as SQL."""
    return f"concat({quote_text(column)}, ' is no number with at most 10 digits and 8 decimals')"


def not_positive(what: str, column: str) -> str:
    """Return the reason that a number is zero or negative, as SQL."""
    return f"concat('{what} ', {quote_text(column)}, ' is not positive')"


def parse_decimal(column: str) -> pl.Expr:
    """Read a text as decimal(18,8); null where it is not a number, or one that would have to be rounded."""
    text = pl.col(column).str.strip_chars(" ")
    point = text.str.find(".", literal=True)
    decimals = (text.str.len_bytes() - point - 1).fill_null(0)
    wide = text.cast(WIDE_NUMBER, strict=False)
    number = wide.cast(NUMBER, strict=False)
    # An exponent can make a number so small that even the wide one is 0
    is_exact = (number == wide) & ((wide != 0) | (text.str.strip_chars("+-0.") == ""))
    return pl.when((decimals <= WIDE_DECIMALS) & is_exact).then(number)


def parse_decimals(lines: pl.DataFrame, texts: Mapping[str, str]) -> pl.DataFrame:
    """Add numbers read from texts as `parse_decimal` does; `texts` has the columns of text by the numbers' names.

    Where all texts are plain, that takes a third of the time.
    """
    plain = lines.with_columns(**{name: parse_plain(text) for name, text in texts.items()})
    is_left = pl.any_horizontal(pl.col(name).is_null() & (pl.col(text) != "") for name, text in texts.items())
    if plain.select(is_left.any()).item():
        return lines.with_columns(**{name: parse_decimal(text) for name, text in texts.items()})
    return plain


def parse_plain(column: str) -> pl.Expr:
    """Read a text that has at most 8 decimals and no exponent, and so is never rounded; null where it is no such."""
    text = pl.col(column).str.strip_chars(" ")
    decimals = (text.str.len_bytes() - text.str.find(".", literal=True) - 1).fill_null(0)
    is_plain = (decimals <= DECIMALS) & ~text.str.contains_any(["e", "E"])
    return pl.when(is_plain).then(text.cast(NUMBER, strict=False))


def scale_price(name: str) -> pl.Expr:
    """Bring a price from the file's scale to the currency's; null where it would have to be rounded."""
    number, divisor = pl.col(name), pl.col("price_divisor")
    quotient = (number / divisor).cast(NUMBER)
    return pl.when(divisor == 1).then(number).when(quotient * divisor == number).then(quotient)


def is_marked_suspicious() -> pl.Expr:
    """Say whether the vendor marks the print."""
    return pl.col("raw_suspicious").str.to_lowercase().is_in(["1", "true"]).fill_null(False)


def add_event_day(lines: pl.DataFrame) -> pl.DataFrame:
    """Add the day of the event and how many days it lies after its delivery, for COMMON_RULES."""
    event_day = pl.col("ts_event").dt.date()
    return lines.with_columns(
        _event_day=event_day, _days_after_delivery=(event_day - pl.col("delivery_date")).dt.total_days()
    )


COMMON_RULES = (
    LineRule("malformed_line", "raw_line IS NOT NULL", "'the line does not have the fields of its format'"),
    LineRule("unreadable_time", "ts_event IS NULL", f"concat('no time can be read from ', {quote_text('raw_time')})"),
    LineRule(
        "outside_delivery",
        "abs(_days_after_delivery) > 1",
        "concat('the event is of ', CAST(_event_day AS VARCHAR), ', more than a day from its delivery of ', "
        "CAST(delivery_date AS VARCHAR))",
    ),
)
"""What every kind of line keeps: it splits into fields, has a time, and lies near its delivery's day."""
