"""What silver.images_rejected must be before it is published: records as the file said them, with a reason."""

from __future__ import annotations

from expectations.common import REASON_GIVEN
from expectations.declared import declared_rules
from expectations.rules import Suite
from expectations.vision.common import hashed, whole_images
from lakehouse.tables.vision import SILVER_IMAGES_REJECTED

SUITE = Suite(
    SILVER_IMAGES_REJECTED,
    rules=(
        *declared_rules(SILVER_IMAGES_REJECTED),
        REASON_GIVEN,
        whole_images("raw_pixels"),
        hashed("pixels_sha256"),
    ),
)
