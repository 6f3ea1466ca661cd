"""What gold.tick_predictions must be before it is published: finite returns of whole minutes, from a known file."""

from __future__ import annotations

from expectations.declared import declared_rules
from expectations.rules import FactRule, Suite, row_rule
from lakehouse.tables.finance import GOLD_TICK_PREDICTIONS

SUITE = Suite(
    GOLD_TICK_PREDICTIONS,
    rules=(
        *declared_rules(GOLD_TICK_PREDICTIONS),
        row_rule(
            "forecast_is_a_return",
            "critical",
            "The forecast is a finite log return; the largest that a halving or doubling of the price needs is 0.7.",
            "NOT (abs(forecast_log_return) <= 1)",
        ),
        row_rule(
            "event_date_is_utc_day",
            "critical",
            "event_date is the UTC day of bar_start.",
            "NOT (event_date = CAST(bar_start AS DATE))",
        ),
        row_rule(
            "bar_start_is_whole_minute",
            "critical",
            "Bars start on the minute.",
            "NOT (bar_start = date_trunc('minute', bar_start))",
        ),
        row_rule(
            "sha256_is_hex",
            "critical",
            "Every forecast names the file that it came in.",
            "length(_source_sha256) <> 64",
        ),
    ),
    fact_rules=(
        FactRule(
            "forecast_rows_missing",
            "critical",
            "Every row of the delivered file is in the table.",
            query="SELECT model_name, model_version, event_date, count(*) AS bars FROM gold.tick_predictions "
            "WHERE {days} GROUP BY ALL ORDER BY ALL",
        ),
    ),
)
