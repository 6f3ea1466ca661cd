"""What silver.power_readings must be before it is published: a grid of intervals, flagged gaps, every line kept."""

from __future__ import annotations

from expectations.common import MANIFEST_LINES, ROWS_PER_DAY, UNBALANCED_FILES, rejected_ratio
from expectations.declared import declared_rules, line_rules
from expectations.energy.common import CIVIL_DAY, DELIVERY_DAY
from expectations.rules import FactRule, Suite, row_rule
from lakehouse.tables.energy import SILVER_POWER_READINGS, SILVER_POWER_READINGS_REJECTED
from transforms.energy.readings import READING_RULES

SUITE = Suite(
    SILVER_POWER_READINGS,
    rules=(
        *declared_rules(SILVER_POWER_READINGS),
        *line_rules(SILVER_POWER_READINGS, READING_RULES),
        CIVIL_DAY,
        DELIVERY_DAY,
        row_rule(
            "power_unless_missing",
            "critical",
            "A reading has active power exactly where it is not flagged as missing.",
            "(status = 'missing') <> (active_power_kw IS NULL)",
        ),
        row_rule(
            "measured_on_a_line",
            "critical",
            "What is flagged as measured stands on a line of a file.",
            "status = 'measured' AND _source_line IS NULL",
        ),
        row_rule(
            "known_after_it_began",
            "critical",
            "Values are known after the interval began, and when is given exactly where there are values.",
            "NOT (available_at > interval_start) OR (available_at IS NULL) <> (status = 'missing')",
        ),
        row_rule(
            "power_is_finite",
            "critical",
            "Power is neither infinite nor no number.",
            # 1e9 kW is more than any grid of the world carries.
            "NOT (abs(active_power_kw) <= 1e9) OR NOT (abs(reactive_power_kvar) <= 1e9)",
        ),
        row_rule(
            "energy_adds_up",
            "critical",
            "Sub-meters and the rest are the energy of the interval.",
            "NOT (abs(active_power_kw * 1000 * interval_min / 60 - sub_metering_1_wh - sub_metering_2_wh "
            # 1e-6 Wh is far below a meter's step of 1 Wh and far above what doubles lose.
            "- sub_metering_3_wh - other_wh) <= 1e-6)",
        ),
        row_rule(
            "parts_within_the_whole",
            "warning",
            "Sub-meters do not show more than 2.5 Wh more than the whole meter.",
            # In the half-year file the least other_wh is -1.9: sub-meters are rounded to whole Wh.
            "other_wh < -2.5",
        ),
    ),
    fact_rules=(
        UNBALANCED_FILES,
        MANIFEST_LINES,
        ROWS_PER_DAY,
        rejected_ratio(SILVER_POWER_READINGS_REJECTED),
        FactRule(
            "absent_intervals",
            "critical",
            "No interval lacks its row between a day's first and last one.",
            scope="part",
            query="SELECT meter_id, event_date, min(interval_start) AS first_one, max(interval_start) AS last_one, "
            "count(*) AS intervals FROM silver.power_readings WHERE {days} GROUP BY meter_id, event_date "
            "ORDER BY intervals",
        ),
    ),
)
