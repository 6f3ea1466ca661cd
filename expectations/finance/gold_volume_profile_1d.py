"""What gold.volume_profile_1d must be before it is published: one point of control a day, inside its value area."""

from __future__ import annotations

from expectations.declared import declared_rules
from expectations.rules import FactRule, Suite, group_rule, row_rule
from lakehouse.tables.finance import GOLD_VOLUME_PROFILE_1D

PROFILE = ("event_date", "instrument_id")

SUITE = Suite(
    GOLD_VOLUME_PROFILE_1D,
    rules=(
        *declared_rules(GOLD_VOLUME_PROFILE_1D),
        row_rule("edges_in_order", "critical", "A bin's lower edge is not above its upper.", "price_low > price_high"),
        row_rule(
            "volume_where_trades",
            "critical",
            "A bin has volume exactly where it has trades.",
            "(volume > 0) <> (trade_count > 0)",
        ),
        row_rule(
            "control_in_value_area",
            "critical",
            "The point of control lies in the value area.",
            "is_point_of_control AND NOT is_in_value_area",
        ),
        group_rule(
            "one_point_of_control",
            "critical",
            "Every profile has exactly one point of control.",
            PROFILE,
            "sum(CASE WHEN is_point_of_control THEN 1 ELSE 0 END) <> 1",
        ),
        group_rule(
            "control_has_most_volume",
            "critical",
            "No bin has more volume than the point of control.",
            PROFILE,
            "max(CASE WHEN is_point_of_control THEN volume END) < max(volume)",
        ),
        group_rule(
            "value_area_holds_70_percent",
            "critical",
            "The value area holds at least 70 % of the volume.",
            PROFILE,
            # 70 % is the value area's definition (market profile), as the table's declaration says.
            "sum(CASE WHEN is_in_value_area THEN volume ELSE 0 END) < 0.7 * sum(volume)",
        ),
    ),
    fact_rules=(
        FactRule(
            "volume_difference",
            "critical",
            "The bins hold the trades' volume, no more and no less.",
            query="SELECT instrument_id, event_date, sum(volume) AS volume, sum(trade_count) AS trades "
            "FROM gold.volume_profile_1d WHERE {days} GROUP BY instrument_id, event_date "
            "ORDER BY instrument_id, event_date",
        ),
    ),
)
