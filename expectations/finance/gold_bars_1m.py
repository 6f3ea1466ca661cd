"""What gold.bars_1m must be before it is published: prices in order, a grid without gaps, all of the trades' volume."""

from __future__ import annotations

from expectations.declared import declared_rules
from expectations.rules import FactRule, Suite, row_rule
from lakehouse.tables.finance import GOLD_BARS_1M

SUITE = Suite(
    GOLD_BARS_1M,
    rules=(
        *declared_rules(GOLD_BARS_1M),
        row_rule(
            "prices_in_order",
            "critical",
            "low <= open, close <= high.",
            "NOT (low <= open AND low <= close AND open <= high AND close <= high)",
        ),
        row_rule(
            "vwap_between_low_and_high",
            "critical",
            "vwap lies between low and high.",
            "NOT (vwap BETWEEN low AND high)",
        ),
        row_rule(
            "starts_on_the_minute",
            "critical",
            "A bar starts on a whole minute.",
            "NOT (bar_start = date_trunc('minute', bar_start))",
        ),
        row_rule(
            "event_date_is_utc_day",
            "critical",
            "event_date is the UTC day of bar_start.",
            "NOT (event_date = CAST(bar_start AS DATE))",
        ),
        row_rule(
            "filled_where_no_usable_trade",
            "critical",
            "A bar is marked as filled exactly where no trade but outliers fell into its minute.",
            "is_filled <> (trade_count = outlier_count)",
        ),
        row_rule(
            "filled_prices_are_one",
            "critical",
            "A filled bar has one price, the close carried over.",
            "is_filled AND NOT (open = close AND high = close AND low = close AND vwap = close)",
        ),
        row_rule(
            "outliers_are_trades",
            "critical",
            "There are not more outliers than trades.",
            "outlier_count > trade_count",
        ),
        row_rule(
            "volume_where_trades",
            "critical",
            "A bar has volume exactly where it has trades.",
            "(volume > 0) <> (trade_count > 0)",
        ),
    ),
    fact_rules=(
        FactRule(
            "grid_gaps",
            "critical",
            "No minute of a session lacks its bar.",
            query="SELECT instrument_id, event_date, min(bar_start) AS first_bar, max(bar_start) AS last_bar, "
            "count(*) AS bars FROM gold.bars_1m WHERE {days} GROUP BY instrument_id, event_date ORDER BY bars",
        ),
        FactRule(
            "volume_difference",
            "critical",
            "The bars hold the trades' volume, no more and no less.",
            query="SELECT instrument_id, event_date, sum(volume) AS volume, sum(trade_count) AS trades "
            "FROM gold.bars_1m WHERE {days} GROUP BY instrument_id, event_date ORDER BY instrument_id, event_date",
        ),
    ),
)
