"""Rules that several energy tables share."""

from __future__ import annotations

from expectations.rules import row_rule

CIVIL_DAY = row_rule(
    "event_date_is_civil_day",
    "critical",
    "event_date is the day on which the interval starts, local time.",
    "NOT (event_date = CAST(interval_start AS DATE))",
)

DELIVERY_DAY = row_rule(
    "delivered_on_its_day",
    "critical",
    "A reading belongs to the delivery of its own civil day.",
    "NOT (delivery_date = event_date)",
)
