"""What the gold table of an image set must be before it is published; one suite for all sets.

What differs between sets (classes, tolerance, published counts) stands in their declarations: the job holds the images
against it and passes what it counted.
"""

from __future__ import annotations

from expectations.common import UNBALANCED_FILES
from expectations.declared import declared_rules, line_rules
from expectations.rules import FactRule, Suite, group_rule
from expectations.vision.common import hashed, whole_images
from lakehouse.tables.vision import SHIPPED_SETS, gold_images
from transforms.vision.records import BLANK_IMAGE


def suite_of(name: str) -> Suite:
    """Return the suite of a set's gold table."""
    table = gold_images(name)
    counts = f"SELECT split, label, label_name, count(*) AS images FROM {table.identifier} "  # noqa: S608  # shown
    counts += "GROUP BY split, label, label_name ORDER BY split, label"
    return Suite(
        table,
        rules=(
            *declared_rules(table),
            *line_rules(table, [BLANK_IMAGE]),
            whole_images("pixels"),
            hashed("image_sha256"),
            group_rule(
                "one_shape",
                "critical",
                "All images of the set have one height, one width and as many channels.",
                ("dataset",),
                "min(height) <> max(height) OR min(width) <> max(width) OR min(channels) <> max(channels)",
            ),
        ),
        fact_rules=(
            UNBALANCED_FILES,
            FactRule("labels_outside_set", "critical", "Every label is a declared one, with its name.", query=counts),
            FactRule(
                "equal_images",
                "critical",
                "No two images are equal, within a split or across them.",
                may_be_unknown=True,
                query=f"SELECT image_sha256, count(*) AS copies FROM {table.identifier} GROUP BY image_sha256 "  # noqa: S608  # shown
                "HAVING count(*) > 1 ORDER BY copies DESC",
            ),
            FactRule(
                "greatest_pixel",
                "warning",
                "The images use the range of a byte, not 0 to 1 or 0 to 16.",
                # MNIST, CIFAR-10 and the digits as we write them all reach 255.
                minimum=128,
                maximum=255,
                query=f"SELECT image_id, pixel_max FROM {table.identifier} ORDER BY pixel_max DESC LIMIT 20",  # noqa: S608  # shown
            ),
            FactRule(
                "class_balance_of_tolerance",
                "critical",
                "No class of train is farther from an equal share than the declared tolerance.",
                maximum=1,
                may_be_unknown=True,
                query=counts,
            ),
            FactRule(
                "published_count_difference",
                "warning",
                "Every split came with as many images as its publisher states.",
                may_be_unknown=True,
                query="SELECT subject, _source_file, verdict, rows FROM bronze.files "
                "WHERE dataset = 'images' ORDER BY subject, _source_file",
            ),
        ),
    )


SUITES = tuple(suite_of(name) for name in SHIPPED_SETS)
