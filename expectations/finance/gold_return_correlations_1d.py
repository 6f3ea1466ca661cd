"""What gold.return_correlations_1d must be before it is published: each pair once, no instrument with itself."""

from __future__ import annotations

from expectations.declared import declared_rules
from expectations.rules import Suite, row_rule
from lakehouse.tables.finance import GOLD_RETURN_CORRELATIONS_1D

SUITE = Suite(
    GOLD_RETURN_CORRELATIONS_1D,
    rules=(
        *declared_rules(GOLD_RETURN_CORRELATIONS_1D),
        row_rule(
            "pair_in_order",
            "critical",
            "The first instrument of a pair comes before the second in text order.",
            "NOT (instrument_id_a < instrument_id_b)",
        ),
        row_rule(
            "correlation_needs_pairs",
            "critical",
            "A correlation rests on at least two minutes.",
            "correlation IS NOT NULL AND pair_count < 2",
        ),
    ),
)
