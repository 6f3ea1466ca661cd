"""What gold.load_forecasts must be before it is published: intervals around forecasts, whole hours, no past."""

from __future__ import annotations

from expectations.declared import declared_rules
from expectations.rules import FactRule, Suite, row_rule
from lakehouse.tables.energy import GOLD_LOAD_FORECASTS

SUITE = Suite(
    GOLD_LOAD_FORECASTS,
    rules=(
        *declared_rules(GOLD_LOAD_FORECASTS),
        row_rule(
            "interval_holds_forecast",
            "critical",
            "The forecast lies inside its interval.",
            "NOT (load_kw_lower <= load_kw AND load_kw <= load_kw_upper)",
        ),
        row_rule(
            "event_date_is_target_day",
            "critical",
            "event_date is the civil day of the forecast hour.",
            "NOT (event_date = CAST(target_start AS DATE))",
        ),
        row_rule(
            "target_not_before_origin",
            "critical",
            "No forecast is of an hour that had begun before it was made.",
            "NOT (target_start >= origin_start)",
        ),
        row_rule(
            "times_are_whole_hours",
            "critical",
            "Forecast hours and the hours of their making start on the hour.",
            "NOT (target_start = date_trunc('hour', target_start) AND origin_start = date_trunc('hour', origin_start))",
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
            query="SELECT model_name, model_version, event_date, count(*) AS hours FROM gold.load_forecasts "
            "WHERE {days} GROUP BY ALL ORDER BY ALL",
        ),
    ),
)
