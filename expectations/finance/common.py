"""Rules that several finance tables share."""

from __future__ import annotations

from expectations.rules import row_rule

UTC_DAY = "CAST(ts_event AS DATE)"

EVENT_DAY = row_rule(
    "event_date_is_utc_day",
    "critical",
    "event_date is the UTC day of ts_event.",
    f"NOT (event_date = {UTC_DAY})",
)

EVENT_DAY_OF_DELIVERY = row_rule(
    "event_date_is_utc_day_or_delivery",
    "critical",
    "event_date is the UTC day of ts_event, or the delivery's day where the time is unreadable or over a day away.",
    f"event_date <> CASE WHEN {UTC_DAY} BETWEEN delivery_date - INTERVAL '1' DAY AND delivery_date + INTERVAL '1' DAY "
    f"THEN {UTC_DAY} ELSE delivery_date END",
)
