"""What gold.load_hourly must be before it is published: every hour of the clock, all of silver, no future."""

from __future__ import annotations

from expectations.declared import declared_rules
from expectations.rules import FactRule, Suite, row_rule
from lakehouse.tables.energy import GOLD_LOAD_HOURLY, ROLLING_HOURS

DEVIATIONS = tuple(f"load_kw_std_{hours}" for hours in ROLLING_HOURS)

SUITE = Suite(
    GOLD_LOAD_HOURLY,
    rules=(
        *declared_rules(GOLD_LOAD_HOURLY),
        row_rule(
            "known_when_the_hour_began",
            "critical",
            "No feature rests on a reading that was taken after the hour began.",
            "available_at > hour_start",
        ),
        row_rule(
            "features_have_a_time",
            "critical",
            "Where a lag or a mean is there, available_at says since when.",
            "available_at IS NULL AND (load_kw_lag_1 IS NOT NULL OR load_kw_mean_168 IS NOT NULL)",
        ),
        row_rule(
            "starts_on_the_hour",
            "critical",
            "A row starts on a whole hour.",
            "NOT (hour_start = date_trunc('hour', hour_start))",
        ),
        row_rule(
            "event_date_is_civil_day",
            "critical",
            "event_date is the day of hour_start, local time.",
            "NOT (event_date = CAST(hour_start AS DATE))",
        ),
        row_rule(
            "measured_hours_have_a_load",
            "critical",
            "An hour with a measured reading has a load.",
            "completeness_ratio > 0 AND load_kw IS NULL",
        ),
        row_rule(
            "deviations_not_negative",
            "critical",
            "No standard deviation is negative or not a number.",
            " OR ".join(f"NOT ({name} >= 0)" for name in DEVIATIONS),
        ),
        row_rule(
            "load_is_finite",
            "critical",
            "No load is infinite or not a number.",
            # 1e9 kW is more than any grid of the world carries.
            "NOT (abs(load_kw) <= 1e9)",
        ),
    ),
    fact_rules=(
        FactRule(
            "hour_gaps",
            "critical",
            "Every hour that the meter's clock shows on a day with readings has its row.",
            scope="part",
            query="SELECT meter_id, event_date, count(*) AS hours FROM gold.load_hourly WHERE {days} "
            "GROUP BY meter_id, event_date ORDER BY hours",
        ),
        FactRule(
            "measured_hours_difference",
            "critical",
            "The hours hold all measured readings of silver, no more and no fewer.",
            scope="part",
            query="SELECT meter_id, event_date, sum(completeness_ratio) AS measured_hours FROM gold.load_hourly "
            "WHERE {days} GROUP BY meter_id, event_date ORDER BY meter_id, event_date",
        ),
    ),
)
