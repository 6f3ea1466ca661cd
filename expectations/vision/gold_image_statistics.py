"""What gold.image_statistics must be before it is published: numbers of train, a deviation that can be divided by."""

from __future__ import annotations

from expectations.declared import declared_rules
from expectations.rules import Suite, row_rule
from lakehouse.tables.vision import GOLD_IMAGE_STATISTICS

SUITE = Suite(
    GOLD_IMAGE_STATISTICS,
    rules=(
        *declared_rules(GOLD_IMAGE_STATISTICS),
        row_rule("of_train", "critical", "Statistics are of the training split alone.", "split <> 'train'"),
        row_rule("deviation_not_zero", "critical", "No channel has one value everywhere.", "NOT (std > 0)"),
    ),
)
