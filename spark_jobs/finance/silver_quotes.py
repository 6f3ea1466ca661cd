"""Silver quotes: one row per quote, typed; a side that the row does not update is null.

Reads   lakehouse.bronze.quotes   the lines of the event days, and bronze.files for which of them are accepted
Writes  lakehouse.silver.quotes   replaces those event days
        lakehouse.silver.quotes_rejected   the lines that broke a rule, with the rule's name and the reason

Equity feeds send one side at a time: a price of zero there means "no update", not a price.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.tables.finance import BRONZE_QUOTES, SILVER_QUOTES, SILVER_QUOTES_REJECTED
from spark_jobs import silver
from spark_jobs.command_line import main
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

DECIMAL = "decimal(18,8)"
NUMBERS = ("bid_price", "ask_price", "bid_size", "ask_size")


def parse_numbers(lines: DataFrame) -> DataFrame:
    """Add each field's number, parsed once; still in the file's scale, null where the text is none."""
    return lines.withColumns({name: parse_decimal(f"raw_{name}") for name in NUMBERS})


def updates(side: str) -> Column:
    """Say whether a line has a price for the side."""
    return F.coalesce(F.col(f"{side}_price") != 0, F.lit(False))


def quote_rules() -> Sequence[Rule]:
    """The rules of a quote with parsed numbers, in the order in which they are named."""
    bid, ask = F.col("bid_price"), F.col("ask_price")
    crossed = F.concat(F.lit("bid "), quote_text("raw_bid_price"), F.lit(" is above ask "), quote_text("raw_ask_price"))
    return (
        *line_rules(),
        *(Rule(f"unreadable_{name}", is_unreadable(name), not_a_decimal(f"raw_{name}")) for name in NUMBERS),
        Rule("negative_bid_price", bid < 0, not_positive("bid", "raw_bid_price")),
        Rule("negative_ask_price", ask < 0, not_positive("ask", "raw_ask_price")),
        Rule("empty_quote", ~updates("bid") & ~updates("ask"), F.lit("the line updates neither bid nor ask")),
        Rule("crossed_quote", updates("bid") & updates("ask") & (bid > ask), crossed),
    )


def is_unreadable(number: str) -> Column:
    """Say whether a field is there and is no number; a feed without sizes has none."""
    return F.col(f"raw_{number}").isNotNull() & F.col(number).isNull()


def type_fields(lines: DataFrame) -> DataFrame:
    """Turn the fields of lines that broke no rule into silver's columns."""
    columns: dict[str, Column] = {}
    for side in ("bid", "ask"):
        price = (F.col(f"{side}_price") / F.col("price_divisor")).cast(DECIMAL)
        columns[f"{side}_price"] = F.when(updates(side), price)
        columns[f"{side}_size"] = F.when(updates(side), F.col(f"{side}_size"))
    typed = lines.withColumns(columns)
    mid = ((F.col("bid_price") + F.col("ask_price")) / 2).cast("decimal(20,9)")
    spread = (F.col("ask_price") - F.col("bid_price")).cast("double")
    return typed.withColumns(
        {
            "mid_price": mid,
            "spread_bps": spread / mid.cast("double") * 10_000,
            "exchange": F.col("raw_exchange"),
            "conditions": F.col("raw_conditions"),
            "is_suspicious": F.coalesce(F.lower("raw_suspicious").isin("1", "true"), F.lit(False)),
        }
    )


def judge(lines: DataFrame) -> Judged:
    """Split the lines of some event days into quotes and rejected lines; without ids no line is another's copy."""
    parsed, rules = parse_numbers(lines), quote_rules()
    return Judged(
        rows=type_fields(parsed.where(is_sound(rules))),
        rejected=name_broken(parsed.where(~is_sound(rules)), rules),
        duplicates=lines.limit(0),
    )


JOB = silver_job(
    "finance.silver_quotes",
    Cleaning(SILVER_QUOTES, SILVER_QUOTES_REJECTED, BRONZE_QUOTES, judge),
    code=(sys.modules[__name__], silver),
)

if __name__ == "__main__":
    main(JOB)
