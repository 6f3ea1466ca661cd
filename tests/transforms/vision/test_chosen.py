"""What gold has of a set: chosen images, exact statistics, every class counted."""

from __future__ import annotations

import polars as pl
import pytest

from lakehouse.tables.vision import gold_images
from transforms.vision.chosen import channel_statistics, choose_images, count_classes

IMAGES = {
    "dataset": pl.String,
    "split": pl.String,
    "height": pl.Int32,
    "width": pl.Int32,
    "channel_sums": pl.List(pl.Int64),
    "channel_square_sums": pl.List(pl.Int64),
}


def test_channel_statistics_are_those_of_train_exact_for_large_sums():
    # As if 200,000 images of 1,000 x 1,000 were two: n * squares is 1.3e27, where doubles have lost ten digits.
    pixels = 10**6
    half = 100_000
    dark = ("a", "train", 1000, half * 1000, [0, half * pixels], [0, half * pixels])
    light = (
        "a",
        "train",
        1000,
        half * 1000,
        [255 * half * pixels, half * pixels],
        [255**2 * half * pixels, half * pixels],
    )
    test = ("a", "test", 10, 10, [7, 7], [7, 7])
    found = channel_statistics(pl.DataFrame([dark, light, test], IMAGES, orient="row"))
    columns = ("dataset", "split", "channel", "image_count", "mean", "std")
    assert found.sort("channel").select(columns).rows() == [
        ("a", "train", 0, 2, 0.5, 0.5),
        ("a", "train", 1, 2, pytest.approx(1 / 255), 0.0),
    ]


def test_count_classes_has_every_class_of_every_split_that_has_images():
    images = pl.DataFrame({"split": ["train", "train", "test"], "label": pl.Series([0, 2, 2], dtype=pl.Int32)})
    assert sorted(count_classes(images, "a", ("x", "y", "z")).rows()) == [
        ("a", "test", 0, "x", 0, 0.0),
        ("a", "test", 1, "y", 0, 0.0),
        ("a", "test", 2, "z", 1, 1.0),
        ("a", "train", 0, "x", 1, 0.5),
        ("a", "train", 1, "y", 0, 0.0),
        ("a", "train", 2, "z", 1, 0.5),
    ]


def test_choose_images_leaves_copies_out_and_what_of_train_is_in_test():
    table_columns = ("image_id", "split", "duplicate_of", "is_train_test_leak")
    rows = [
        ("a.train.000000", "train", None, False),
        ("a.train.000001", "train", "a.train.000000", False),  # a copy
        ("a.train.000002", "train", None, True),  # also in test
        ("a.test.000000", "test", None, True),  # the same image: a test keeps it
        ("a.test.000001", "test", "a.test.000000", True),
    ]
    images = pl.DataFrame(rows, table_columns, orient="row").with_columns(
        **{name: pl.lit(None) for name in gold_images("a").digest_columns if name not in table_columns}
    )
    assert choose_images(images, "drop")["image_id"].to_list() == ["a.test.000000", "a.train.000000"]
    assert choose_images(images, "keep")["image_id"].to_list() == sorted(images["image_id"])
