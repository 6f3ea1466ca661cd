"""What gold has of a set's images, and the numbers of them: statistics per channel, images per class.

Of equal images in a split the first stays; an image of train that is in test, too, is left out of train, so that a
model is not tested on what it has seen. A set that is declared with `duplicates: keep` has them all, flagged.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import polars as pl

from lakehouse.tables.vision import GOLD_IMAGE_CLASS_COUNTS, GOLD_IMAGE_STATISTICS, gold_images

LEFT_OUT = "duplicate_of IS NOT NULL OR (is_train_test_leak AND split = 'train')"
"""What `duplicates: drop` drops."""
HIGHEST = 255
"""The greatest value of a pixel, which statistics are scaled by."""
STATISTICS_COLUMNS = ("dataset", "split", "height", "width", "channel_sums", "channel_square_sums")


def choose_images(images: pl.DataFrame, duplicates: str) -> pl.DataFrame:
    """Return the rows of a set's gold table, without _ingested_at, from rows of silver."""
    table = gold_images("any")
    chosen = images.filter(~pl.sql_expr(LEFT_OUT)) if duplicates == "drop" else images
    return chosen.select(table.digest_columns).sort(table.row_order)


def channel_statistics(images: pl.DataFrame) -> pl.DataFrame:
    """Build gold.image_statistics, without _ingested_at, of the images of train, from their sums per channel.

    n * (sum of squares) - (sum)^2 is a whole number, of which one root is taken, so that no order of adding can show.
    """
    train = images.filter(pl.col("split") == "train").with_columns(
        pixels=pl.col("height").cast(pl.Int64) * pl.col("width"),
        channel=pl.int_ranges(pl.col("channel_sums").list.len()).cast(pl.List(pl.Int32)),
    )
    by_channel = train.explode("channel", "channel_sums", "channel_square_sums")
    added = by_channel.group_by("dataset", "split", "channel").agg(
        n=pl.col("pixels").cast(pl.Int128).sum(),
        total=pl.col("channel_sums").cast(pl.Int128).sum(),
        squares=pl.col("channel_square_sums").cast(pl.Int128).sum(),
        image_count=pl.len().cast(pl.Int64),
    )
    numbers = [
        (int(total) / (float(n) * HIGHEST), sqrt(float(n * squares - total * total)) / (float(n) * HIGHEST))
        for n, total, squares in added.select("n", "total", "squares").rows()
    ]
    found = pl.DataFrame(numbers, {"mean": pl.Float64, "std": pl.Float64}, orient="row")
    return added.hstack(found).select(GOLD_IMAGE_STATISTICS.digest_columns)


def count_classes(images: pl.DataFrame, dataset: str, label_names: Sequence[str]) -> pl.DataFrame:
    """Build gold.image_class_counts, without _ingested_at: every class of every split that has images."""
    classes = pl.DataFrame(
        {"dataset": dataset, "label": range(len(label_names)), "label_name": label_names},
        {"dataset": pl.String, "label": pl.Int32, "label_name": pl.String},
    )
    counted = images.group_by("split", "label").agg(image_count=pl.len().cast(pl.Int64))
    totals = counted.group_by("split").agg(total=pl.col("image_count").sum())
    every = classes.join(totals, how="cross").join(counted, ["split", "label"], "left")
    every = every.with_columns(pl.col("image_count").fill_null(0))
    # Each quotient rounded once: Polars multiplies by the reciprocal of a total that all rows share
    shares = [count / total for count, total in every.select("image_count", "total").rows()]
    return every.with_columns(share_ratio=pl.Series(shares, dtype=pl.Float64)).select(
        GOLD_IMAGE_CLASS_COUNTS.digest_columns
    )
