"""What silver.images must be before it is published: whole, not blank, every record kept, equal ones flagged."""

from __future__ import annotations

from expectations.common import UNBALANCED_FILES, rejected_ratio
from expectations.declared import declared_rules, line_rules
from expectations.rules import FactRule, Suite, row_rule
from expectations.vision.common import hashed, whole_images
from lakehouse.tables.vision import SILVER_IMAGES, SILVER_IMAGES_REJECTED
from transforms.vision.records import BLANK_IMAGE

SUITE = Suite(
    SILVER_IMAGES,
    rules=(
        *declared_rules(SILVER_IMAGES),
        *line_rules(SILVER_IMAGES, [BLANK_IMAGE]),
        whole_images("pixels"),
        hashed("image_sha256"),
        row_rule(
            "duplicate_of_an_earlier_image",
            "critical",
            "A copy names an image before it.",
            "NOT (duplicate_of < image_id)",
        ),
    ),
    fact_rules=(
        UNBALANCED_FILES,
        rejected_ratio(SILVER_IMAGES_REJECTED),
        FactRule(
            "duplicate_images",
            "warning",
            "No image of a split is in it twice.",
            query="SELECT image_id, duplicate_of, label_name FROM silver.images "
            "WHERE {days} AND duplicate_of IS NOT NULL ORDER BY image_id",
        ),
        FactRule(
            "train_test_leaks",
            "warning",
            "No image of train is in test, too.",
            query="SELECT image_sha256, count(*) AS copies, min(image_id) AS one, max(image_id) AS other "
            "FROM silver.images WHERE {days} AND is_train_test_leak GROUP BY image_sha256 ORDER BY image_sha256",
        ),
        FactRule(
            "other_labels",
            "warning",
            "Equal images have equal labels.",
            query="SELECT image_sha256, image_id, label_name FROM silver.images "
            "WHERE {days} AND has_other_label ORDER BY image_sha256, image_id",
        ),
    ),
)
