"""What gold.tick_features must be before it is published: one row per bar, finite numbers, state at each day's end."""

from __future__ import annotations

from expectations.declared import declared_rules
from expectations.rules import FactRule, Suite, group_rule, row_rule
from lakehouse.tables.finance import GOLD_TICK_FEATURES

LARGEST_DOUBLE = "1.7976931348623157E308"
"""Of IEEE 754; beyond it is infinity, and NaN compares as larger or not at all."""
DOUBLES = tuple(column.name for column in GOLD_TICK_FEATURES.columns if column.type == "double")

SUITE = Suite(
    GOLD_TICK_FEATURES,
    rules=(
        *declared_rules(GOLD_TICK_FEATURES),
        row_rule(
            "numbers_are_finite",
            "critical",
            "No indicator is infinite or not a number.",
            " OR ".join(f"NOT (abs({name}) <= {LARGEST_DOUBLE})" for name in DOUBLES),
        ),
        row_rule(
            "bollinger_in_order",
            "critical",
            "The lower Bollinger band is not above SMA 20, nor that above the upper band.",
            "NOT (bollinger_lower <= sma_20 AND sma_20 <= bollinger_upper)",
        ),
        row_rule(
            "bollinger_with_sma",
            "critical",
            "Bollinger bands are there exactly where SMA 20 is.",
            "(bollinger_lower IS NULL) <> (sma_20 IS NULL) OR (bollinger_upper IS NULL) <> (sma_20 IS NULL)",
        ),
        row_rule(
            "macd_adds_up",
            "critical",
            "macd_histogram is macd less macd_signal.",
            # 1e-9 relative is what the indicators agree with TA-Lib to.
            "NOT (abs(macd_histogram - (macd - macd_signal)) <= 1e-9 * (1 + abs(macd) + abs(macd_signal)))",
        ),
        row_rule(
            "event_date_is_utc_day",
            "critical",
            "event_date is the UTC day of bar_start.",
            "NOT (event_date = CAST(bar_start AS DATE))",
        ),
        group_rule(
            "carry_once_a_day",
            "critical",
            "Exactly one bar per instrument and day, the last one, carries the state for the next day.",
            ("event_date", "instrument_id"),
            "count(_carry) <> 1 OR max(bar_start) <> max(CASE WHEN _carry IS NOT NULL THEN bar_start END)",
        ),
    ),
    fact_rules=(
        FactRule(
            "bars_without_features",
            "critical",
            "Every bar has its row of features, and no row is without its bar.",
            query="SELECT instrument_id, event_date, count(*) AS feature_rows FROM gold.tick_features WHERE {days} "
            "GROUP BY instrument_id, event_date ORDER BY instrument_id, event_date",
        ),
    ),
)
