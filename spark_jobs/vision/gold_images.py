"""Gold images: what a model of one set is trained and tested on, with its statistics and class counts.

Reads   lakehouse.silver.images   each set
Writes  lakehouse.gold.<set>_images         replaces the set
        lakehouse.gold.image_statistics     mean and std per channel of train
        lakehouse.gold.image_class_counts   images per split and class

A set is a job of its own, since its table is. Which images gold has: transforms/vision/chosen.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import polars as pl

from lakehouse.lake.scans import pin_current
from lakehouse.reference.image_set import ImageSet
from lakehouse.slices import Slice
from lakehouse.tables.vision import (
    GOLD_IMAGE_CLASS_COUNTS,
    GOLD_IMAGE_STATISTICS,
    SILVER_IMAGES,
    SILVER_IMAGES_REJECTED,
    SPLITS,
    gold_images,
)
from spark_jobs.engine import manifest
from spark_jobs.engine.job import Request, TableJob
from spark_jobs.engine.kept import staged_rows
from spark_jobs.engine.pieces import Piece
from spark_jobs.engine.stage import Branch, HeldBack
from spark_jobs.layers.balance import Counts, record_balance
from spark_jobs.layers.command_line import main_of_jobs
from spark_jobs.layers.derive import by_slices
from spark_jobs.layers.gold import Also, Derivation, Inputs, gold_job
from spark_jobs.vision.image_manifest import accepted_entries
from spark_jobs.vision.record_pieces import cut_records
from spark_jobs.vision.sets import asked_sets
from transforms.vision.chosen import (
    LEFT_OUT,
    STATISTICS_COLUMNS,
    channel_statistics,
    choose_images,
    count_classes,
)

FLAGS = ("duplicate_of", "is_train_test_leak")
"""Columns that decide which images gold leaves out."""


def jobs(request: Request) -> tuple[TableJob, ...]:
    """Return the job of each set that a request is for."""
    return tuple(job_of(image_set) for image_set in asked_sets(request).values())


def job_of(image_set: ImageSet) -> TableJob:
    """Return the job of one set's gold."""
    name, duplicates = image_set.name, image_set.duplicates
    table = gold_images(name)

    def given(subjects: Sequence[str], slices: Sequence[Slice], now: object) -> tuple[str]:
        return (duplicates,)

    def cut(inputs: Inputs, pieces: Sequence[Piece]) -> list[Piece]:
        return cut_records(inputs.upstream, pieces)

    def declared(request: Request, subjects: Mapping[Slice, Sequence[str]]) -> dict[Slice, str]:
        return {name: image_set.judging}

    statistics = partial(of_chosen, duplicates, channel_statistics)
    count = partial(count_classes, dataset=name, label_names=image_set.label_names)
    columns = tuple(dict.fromkeys((*table.digest_columns, *FLAGS)))
    return gold_job(
        f"vision.{name}_images",
        Derivation(
            table=table,
            upstream=SILVER_IMAGES,
            making=by_slices(choose_images, columns, given=given, cut=cut),
            facts=partial(count_images, image_set),
            declared=declared,
            only=(name,),
            also=(
                Also(GOLD_IMAGE_STATISTICS, (*STATISTICS_COLUMNS, *FLAGS), statistics),
                Also(GOLD_IMAGE_CLASS_COUNTS, ("split", "label", *FLAGS), partial(of_chosen, duplicates, count)),
            ),
        ),
    )


def of_chosen(duplicates: str, make: Any, images: pl.DataFrame) -> pl.DataFrame:
    """Make a table from the rows of silver that gold has."""
    chosen = images.filter(~pl.sql_expr(LEFT_OUT)) if duplicates == "drop" else images
    made: pl.DataFrame = make(chosen)
    return made


def count_images(
    image_set: ImageSet, inputs: Inputs, branch: Branch, slices: Sequence[Slice], held: HeldBack
) -> Mapping[str, Any]:
    """Balance the set's images against the manifest, and count what its audit asks for besides."""
    name, settings = image_set.name, inputs.settings
    staged = staged_rows(branch, slices, held)
    silver = inputs.upstream.rows(pl.col("dataset") == name)
    rejected = pin_current(settings, SILVER_IMAGES_REJECTED).rows(pl.col("dataset") == name)
    entries = manifest.read_manifest(settings)
    delivered = accepted_entries(entries, name)
    counted = {
        "lines_in": manifest_counts(delivered),
        "rows_out": count_files(staged),
        "rows_rejected": count_files(rejected),
        "rows_duplicate": count_files(silver.filter(pl.sql_expr(LEFT_OUT))) if image_set.duplicates == "drop" else {},
    }
    files = {entry.source_sha256: entry.source_file for entry in entries}
    balance = record_balance(branch, branch.table, files, counted)
    return {**balance, **describe_images(image_set, staged, delivered)}


def count_files(images: pl.LazyFrame) -> Counts:
    """Count images by file; a set has no event day, which is the first part of the balance's key."""
    counted = images.group_by("_source_sha256").len().collect(engine="streaming")
    return {(None, sha256): rows for sha256, rows in counted.rows()}


def manifest_counts(delivered: Sequence[manifest.Entry]) -> Counts:
    """Return the accepted records by file, as the manifest counts them."""
    counts: dict[tuple[Any, ...], int] = {}
    for entry in delivered:
        key = (None, entry.source_sha256)
        counts[key] = counts.get(key, 0) + entry.rows
    return counts


def describe_images(image_set: ImageSet, staged: pl.LazyFrame, delivered: Sequence[manifest.Entry]) -> dict[str, Any]:
    """Count what the audit asks for besides the balance."""
    names = dict(enumerate(image_set.label_names))
    labels = staged.group_by("split", "label", "label_name").len().collect().rows()
    train = {label: rows for split, label, _, rows in labels if split == "train"}
    by_split = dict.fromkeys(SPLITS, 0)
    for entry in delivered:
        by_split[entry.subject.partition(".")[2]] += entry.rows
    equal = staged.group_by("height", "width", "channels", "image_sha256").len().filter(pl.col("len") > 1)
    return {
        "labels_outside_set": sum(rows for _, label, found, rows in labels if names.get(label) != found),
        "equal_images": equal.select(pl.len()).collect().item() if image_set.duplicates == "drop" else None,
        "greatest_pixel": staged.select(pl.col("pixel_max").max()).collect().item(),
        "class_balance_of_tolerance": balance_of_tolerance(train, image_set),
        "published_count_difference": (
            sum(abs(by_split[split] - count) for split, count in image_set.counts.items()) if image_set.counts else None
        ),
    }


def balance_of_tolerance(train: Mapping[int, int], image_set: ImageSet) -> float | None:
    """Return how far the class that is farthest from an equal share is from it, as a part of the tolerance."""
    if image_set.balance_tolerance is None or not train:
        return None
    classes = len(image_set.label_names)
    equal = sum(train.values()) / classes
    return max(abs(train.get(label, 0) / equal - 1) for label in range(classes)) / image_set.balance_tolerance


if __name__ == "__main__":
    main_of_jobs(__doc__, jobs)
