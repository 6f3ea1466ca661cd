"""What gold.image_predictions must be before it is published: a known class with its probability, from a known file."""

from __future__ import annotations

from expectations.declared import declared_rules
from expectations.rules import FactRule, Suite, row_rule
from expectations.vision.common import hashed
from lakehouse.tables.vision import GOLD_IMAGE_PREDICTIONS

SUITE = Suite(
    GOLD_IMAGE_PREDICTIONS,
    rules=(
        *declared_rules(GOLD_IMAGE_PREDICTIONS),
        hashed("image_sha256"),
        row_rule(
            "image_is_of_the_set",
            "critical",
            "An image's id begins with its set and split.",
            "NOT (image_id LIKE dataset || '.' || split || '.%')",
        ),
        row_rule(
            "probability_is_that_of_a_winner",
            "critical",
            "The class that a model gives is the one it holds most probable: no probability is 0.",
            "NOT (probability > 0)",
        ),
    ),
    fact_rules=(
        FactRule(
            "forecast_rows_missing",
            "critical",
            "Every row of the delivered file is in the table.",
            query="SELECT model_name, model_version, dataset, count(*) AS images FROM gold.image_predictions "
            "WHERE {days} GROUP BY ALL ORDER BY ALL",
        ),
    ),
)
