"""What gold.instruments must be before it is published: whatever its declaration says, and no text left blank."""

from __future__ import annotations

from expectations.declared import declared_rules
from expectations.rules import Suite, row_rule
from lakehouse.tables.finance import GOLD_INSTRUMENTS

SUITE = Suite(
    GOLD_INSTRUMENTS,
    rules=(
        *declared_rules(GOLD_INSTRUMENTS),
        row_rule(
            "texts_not_blank",
            "critical",
            "Symbol, venue and calendar are not blank.",
            "trim(symbol) = '' OR trim(venue) = '' OR trim(calendar) = ''",
        ),
    ),
)
