"""What silver.quotes must be before it is published: no crossed quote, a middle and a spread where both sides are."""

from __future__ import annotations

from expectations.common import MANIFEST_LINES, ROWS_PER_DAY, UNBALANCED_FILES, rejected_ratio
from expectations.declared import declared_rules, line_rules
from expectations.finance.common import EVENT_DAY
from expectations.rules import Suite, row_rule
from lakehouse.tables.finance import SILVER_QUOTES, SILVER_QUOTES_REJECTED
from transforms.finance.quotes import QUOTE_RULES

SUITE = Suite(
    SILVER_QUOTES,
    rules=(
        *declared_rules(SILVER_QUOTES),
        *line_rules(SILVER_QUOTES, QUOTE_RULES),
        EVENT_DAY,
        row_rule(
            "mid_within_sides",
            "critical",
            "mid_price lies between bid and ask, and is there exactly where both are.",
            "NOT (mid_price BETWEEN bid_price AND ask_price) "
            "OR (mid_price IS NULL) <> (bid_price IS NULL OR ask_price IS NULL)",
        ),
        row_rule(
            "spread_where_mid",
            "critical",
            "spread_bps is there exactly where mid_price is.",
            "(spread_bps IS NULL) <> (mid_price IS NULL)",
        ),
    ),
    fact_rules=(UNBALANCED_FILES, MANIFEST_LINES, ROWS_PER_DAY, rejected_ratio(SILVER_QUOTES_REJECTED)),
)
