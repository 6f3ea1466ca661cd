"""Rules over the lines of a market feed, as Polars expressions: what is wrong with a line, and in which words.

A rule is a condition that breaks it and the reason that a person reads. Prices and sizes are decimal(18,8), parsed from
their text: what would have to be rounded to fit is no number of these tables.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import polars as pl

DECIMALS = 8
NUMBER = pl.Decimal(18, DECIMALS)
WIDE_DECIMALS = 18
WIDE_NUMBER = pl.Decimal(38, WIDE_DECIMALS)
"""Shows whether a number has more than 8 decimals: Polars rounds where a text does not fit."""


class Rule(NamedTuple):
    """Why a line may be rejected: the rule's name, the condition that breaks it, and the reason in words."""

    name: str
    is_broken: pl.Expr
    words: pl.Expr


def is_sound(rules: Sequence[Rule]) -> pl.Expr:
    """Say whether a line breaks no rule."""
    return ~pl.any_horizontal(*(rule.is_broken.fill_null(False) for rule in rules))


def name_broken(lines: pl.DataFrame, rules: Sequence[Rule]) -> pl.DataFrame:
    """Add name and words of the first rule that each line breaks as `rule` and `reason`."""
    name, reason = (pl.lit(None, pl.String) for _ in range(2))
    for rule in reversed(rules):
        is_broken = rule.is_broken.fill_null(False)
        name = pl.when(is_broken).then(pl.lit(rule.name)).otherwise(name)
        reason = pl.when(is_broken).then(rule.words).otherwise(reason)
    return lines.with_columns(name.alias("rule"), reason.alias("reason"))


def quote_text(column: str) -> pl.Expr:
    """Show a raw field in a reason; a missing one is shown as nothing."""
    return pl.format("'{}'", pl.col(column).fill_null(""))


def not_a_decimal(column: str) -> pl.Expr:
    """Say that a text is no number of the table."""
    return pl.format("{} is no number with at most 10 digits and 8 decimals", quote_text(column))


def not_positive(what: str, column: str) -> pl.Expr:
    """Say that a number is zero or negative."""
    return pl.format("{} {} is not positive", pl.lit(what), quote_text(column))


def parse_decimal(column: str) -> pl.Expr:
    """Read a text as decimal(18,8); null where it is no number, or one that would have to be rounded."""
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


def common_rules() -> Sequence[Rule]:
    """The rules that every kind of line has: it splits into fields, has a time, and lies near its delivery's day."""
    event_day = pl.col("ts_event").dt.date()
    days_away = (event_day - pl.col("delivery_date")).dt.total_days()
    return (
        Rule(
            "malformed_line",
            pl.col("raw_line").is_not_null(),
            pl.lit("the line does not have the fields of its format"),
        ),
        Rule(
            "unreadable_time",
            pl.col("ts_event").is_null(),
            pl.format("no time can be read from {}", quote_text("raw_time")),
        ),
        Rule(
            "outside_delivery",
            days_away.abs() > 1,
            pl.format("the event is of {}, more than a day from its delivery of {}", event_day, "delivery_date"),
        ),
    )
