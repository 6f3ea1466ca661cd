"""The suites of the vision tables, one module per table; the gold tables of image sets share one."""

from __future__ import annotations

from expectations.vision import (
    bronze_images,
    gold_image_class_counts,
    gold_image_predictions,
    gold_image_statistics,
    gold_images,
    silver_images,
    silver_images_rejected,
)
from lakehouse.tables.vision import SHIPPED_SETS

SUITES = (
    bronze_images.SUITE,
    silver_images.SUITE,
    silver_images_rejected.SUITE,
    gold_image_statistics.SUITE,
    gold_image_class_counts.SUITE,
    gold_image_predictions.SUITE,
    *(gold_images.suite_of(name) for name in SHIPPED_SETS),
)
