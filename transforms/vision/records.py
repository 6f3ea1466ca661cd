"""Records of image files become images or rejected records; equal images are flagged.

Images are equal if all their pixels and their shape are. Nothing is dropped here: gold decides what it leaves out.
Flags are found from facts without pixels, of a whole set at once; rows are made for any part of a set.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from lakehouse.tables.vision import SILVER_IMAGES
from transforms.rules import Judged, LineRule, is_sound, name_broken

FACT_COLUMNS = (
    *("dataset", "split", "delivery_part", "_source_record", "raw_label", "height", "width", "channels"),
    *("pixel_min", "pixel_max", "pixels_sha256"),
)
"""What is read of a set's records to find equal ones: no pixels."""
SAME_IMAGE = ("dataset", "height", "width", "channels", "pixels_sha256")
RECORD_DIGITS = 6
"""Of a record's number in an image's id; ids of larger numbers are longer."""


BLANK_IMAGE = LineRule(
    "blank_image",
    "pixel_min = pixel_max",
    "concat('every pixel is ', CAST(pixel_min AS VARCHAR))",
    "No image has one value everywhere.",
)


def record_rules(classes: int) -> Sequence[LineRule]:
    """Return the rules of a record of a set with so many classes, in the order in which they are named."""
    return (
        LineRule(
            "impossible_label",
            f"NOT (raw_label BETWEEN 0 AND {classes - 1})",
            f"concat('label ', CAST(raw_label AS VARCHAR), '; the set has the classes 0 to {classes - 1}')",
        ),
        BLANK_IMAGE,
    )


def image_id() -> pl.Expr:
    """Return the id of a record: set, split, part if there is one, and its number."""
    part = pl.when(pl.col("delivery_part") != "").then("delivery_part")
    record = pl.col("_source_record").cast(pl.String).str.zfill(RECORD_DIGITS)
    return pl.concat_str("dataset", "split", part, record, separator=".", ignore_nulls=True)


def find_equal(facts: pl.DataFrame, classes: int) -> pl.DataFrame:
    """Return image_id, duplicate_of, is_train_test_leak and has_other_label of a set's images that are not alone."""
    sound = facts.filter(is_sound(record_rules(classes))).with_columns(image_id=image_id())
    copies = sound.filter(pl.len().over(SAME_IMAGE) > 1)
    # By number, not by the text of the id: part 10 comes after 2, and records go on beyond a million
    in_file_order = (pl.col("delivery_part").str.len_chars(), "delivery_part", "_source_record")
    first = pl.col("image_id").sort_by(in_file_order).first().over(*SAME_IMAGE, "split")
    return copies.select(
        "image_id",
        duplicate_of=pl.when(first != pl.col("image_id")).then(first),
        is_train_test_leak=pl.col("split").n_unique().over(SAME_IMAGE) > 1,
        has_other_label=pl.col("raw_label").n_unique().over(SAME_IMAGE) > 1,
    )


def clean_records(records: pl.DataFrame, label_names: Sequence[str], flags: pl.DataFrame) -> Judged:
    """Split records of one set into images, in order, and rejected records; `flags` are those of `find_equal`."""
    rules = record_rules(len(label_names))
    named = records.with_columns(image_id=image_id())
    names = pl.Series("label_name", label_names)
    images = named.filter(is_sound(rules)).join(flags, "image_id", "left")
    rows = images.with_columns(
        pl.col("is_train_test_leak", "has_other_label").fill_null(False),
        label="raw_label",
        label_name=pl.lit(names).gather(pl.col("raw_label")),
        pixels="raw_pixels",  # IDX has one channel, CIFAR-10 has planes: both are CHW as they are
        image_sha256="pixels_sha256",
    )
    return Judged(
        rows=rows.select(SILVER_IMAGES.digest_columns).sort(SILVER_IMAGES.row_order),
        rejected=name_broken(named.filter(~is_sound(rules)), rules),
        duplicates=records.clear(),
    )
