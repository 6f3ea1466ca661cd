"""What gold.image_class_counts must be before it is published: shares that add up."""

from __future__ import annotations

from expectations.declared import declared_rules
from expectations.rules import Suite, group_rule
from lakehouse.tables.vision import GOLD_IMAGE_CLASS_COUNTS

SUITE = Suite(
    GOLD_IMAGE_CLASS_COUNTS,
    rules=(
        *declared_rules(GOLD_IMAGE_CLASS_COUNTS),
        group_rule(
            "shares_add_up",
            "critical",
            "The shares of a split's classes are 1 together.",
            ("dataset", "split"),
            # 1e-9 is far above what 256 roundings of a double lose.
            "NOT (abs(sum(share_ratio) - 1) <= 1e-9)",
        ),
    ),
)
