"""What bronze.images must be before it is published: complete against its manifest, whole images."""

from __future__ import annotations

from expectations.common import MANIFEST_ROWS
from expectations.declared import declared_rules
from expectations.rules import Suite, row_rule
from expectations.vision.common import hashed, whole_images
from lakehouse.tables.vision import BRONZE_IMAGES

SUITE = Suite(
    BRONZE_IMAGES,
    rules=(
        *declared_rules(BRONZE_IMAGES),
        whole_images("raw_pixels"),
        hashed("pixels_sha256"),
        row_rule(
            "labels_have_a_source",
            "critical",
            "An IDX image has its label from a named file, a CIFAR-10 image from its own record.",
            "(source = 'idx') <> (_label_sha256 IS NOT NULL)",
        ),
    ),
    fact_rules=(MANIFEST_ROWS,),
)
