"""Gold images: what a model of one set is trained and tested on, with its statistics and class counts.

Reads   lakehouse.silver.images   the set, and what of it was rejected
Writes  lakehouse.gold.<set>_images         replaces the set
        lakehouse.gold.image_statistics     mean and std per channel of train
        lakehouse.gold.image_class_counts   images per split and class

Of equal images in a split the first stays; an image of train that is in test, too, is left out of train, so that a
model is not tested on what it has seen. A set that is declared with `duplicates: keep` has them all, flagged.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.lake.catalog import load
from lakehouse.lake.history import slice_fingerprints
from lakehouse.lake.schema import spark_schema
from lakehouse.reference.image_set import ImageSet
from lakehouse.slices import Slice
from lakehouse.tables import Table
from lakehouse.tables.vision import (
    GOLD_IMAGE_CLASS_COUNTS,
    GOLD_IMAGE_STATISTICS,
    SILVER_IMAGES,
    SILVER_IMAGES_REJECTED,
    SPLITS,
    gold_images,
)
from spark_jobs.engine import manifest
from spark_jobs.engine.job import Job, Plan, Request, Summary
from spark_jobs.engine.publish import Attempt, Published, Write
from spark_jobs.engine.stage import Branch, stage_frame
from spark_jobs.layers.silver import record_balance
from spark_jobs.vision.balance import count_records
from spark_jobs.vision.command_line import main
from spark_jobs.vision.image_manifest import accepted_entries
from spark_jobs.vision.sets import asked_sets

LEFT_OUT = "duplicate_of IS NOT NULL OR (is_train_test_leak AND split = 'train')"
"""What `duplicates: drop` drops."""
HIGHEST = 255


def plan(request: Request) -> Plan:
    """Tell the set's silver rows and its declaration."""
    sets = asked_sets(request)
    prints = slice_fingerprints(load(request.settings, SILVER_IMAGES), "dataset", sets)
    inputs = {name: [prints[name], sets[name].judging] for name in sets if name in prints}
    return Plan(inputs, tuple(f"read {SILVER_IMAGES.identifier} of {name}" for name in inputs), sets)


def choose_images(images: DataFrame, image_set: ImageSet) -> DataFrame:
    """Return the images of silver that gold has."""
    return images.where(f"NOT ({LEFT_OUT})") if image_set.duplicates == "drop" else images


def channel_statistics(images: DataFrame) -> DataFrame:
    """Return gold.image_statistics of the images of train, but for _ingested_at.

    Sums of whole numbers are exact in any order: n * (sum of squares) - (sum)^2 is a decimal, of which one root is
    taken. 60,000 images of 1,024 x 1,024 pixels fit its 38 digits.
    """
    sums = images.where("split = 'train'").select(
        "dataset",
        "split",
        (F.col("height").cast("bigint") * F.col("width")).alias("pixels"),
        F.posexplode(F.arrays_zip("channel_sums", "channel_square_sums")).alias("channel", "sums"),
    )
    added = sums.groupBy("dataset", "split", "channel").agg(
        F.sum("pixels").cast("decimal(18,0)").alias("n"),
        F.sum("sums.channel_sums").cast("decimal(18,0)").alias("total"),
        F.sum("sums.channel_square_sums").cast("decimal(19,0)").alias("squares"),
        F.count("*").alias("image_count"),
    )
    deviation = (F.col("n") * F.col("squares")).cast("decimal(38,0)") - (F.col("total") * F.col("total"))
    scale = F.col("n").cast("double") * HIGHEST
    return added.withColumns(
        {"mean": F.col("total").cast("double") / scale, "std": F.sqrt(deviation.cast("double")) / scale}
    ).drop("n", "total", "squares")


def count_classes(images: DataFrame, image_set: ImageSet) -> DataFrame:
    """Return gold.image_class_counts of a set, but for _ingested_at: every class of every split that has images."""
    spark = images.sparkSession
    classes = [(image_set.name, label, name) for label, name in enumerate(image_set.label_names)]
    named = spark.createDataFrame(classes, spark_schema(GOLD_IMAGE_CLASS_COUNTS, ("dataset", "label", "label_name")))
    counted = images.groupBy("split", "label").agg(F.count("*").alias("image_count"))
    totals = counted.groupBy("split").agg(F.sum("image_count").alias("total"))
    every = named.crossJoin(F.broadcast(totals)).join(counted, ["split", "label"], "left")
    return every.withColumn("image_count", F.coalesce("image_count", F.lit(0).cast("bigint"))).withColumn(
        "share_ratio", F.col("image_count") / F.col("total")
    )


def build(request: Request, planned: Plan, attempt: Attempt) -> Sequence[Write]:
    """Describe what is to be staged: the images of one set and the numbers of them."""
    (name,) = planned.days
    image_set: ImageSet = planned.state[name]
    table = gold_images(name)
    silver = request.spark.table(SILVER_IMAGES.full_name).where(F.col("dataset") == name)
    chosen = choose_images(silver, image_set)
    loaded = F.lit(attempt.started_at)

    def stage(branch: Branch, rows: DataFrame) -> Sequence[Slice]:
        return stage_frame(branch, rows.withColumn("_ingested_at", loaded), planned.days)

    def facts(branch: Branch, names: Sequence[Slice]) -> Mapping[str, Any]:
        staged = branch.read_days(names)
        rejected = request.spark.table(SILVER_IMAGES_REJECTED.full_name).where(F.col("dataset") == name)
        files = {entry.source_sha256: entry.source_file for entry in manifest.read_manifest(request.settings)}
        counted = {
            "lines_in": bronze_counts(request, name),
            "rows_out": count_records(staged),
            "rows_rejected": count_records(rejected),
            "rows_duplicate": count_records(silver.where(LEFT_OUT)) if image_set.duplicates == "drop" else {},
        }
        return {**record_balance(attempt, table, files, counted), **describe_images(request, staged, image_set)}

    statistics = channel_statistics(chosen).coalesce(1)
    return [
        Write(table, planned.days, lambda branch: stage(branch, chosen), facts),
        Write(GOLD_IMAGE_STATISTICS, planned.days, lambda branch: stage(branch, statistics)),
        Write(
            GOLD_IMAGE_CLASS_COUNTS,
            planned.days,
            lambda branch: stage(branch, count_classes(chosen, image_set).coalesce(1)),
        ),
    ]


def bronze_counts(request: Request, name: str) -> Mapping[tuple[Any, ...], int]:
    """Return the accepted records per file, as the manifest counts them."""
    counts: dict[tuple[Any, ...], int] = {}
    for entry in accepted_entries(manifest.read_manifest(request.settings), name):
        key = (None, entry.source_sha256)
        counts[key] = counts.get(key, 0) + entry.rows
    return counts


def describe_images(request: Request, staged: DataFrame, image_set: ImageSet) -> dict[str, Any]:
    """Count what the audit asks for besides the balance."""
    labels = staged.groupBy("split", "label", "label_name").count().collect()
    names = dict(enumerate(image_set.label_names))
    train = {row["label"]: row["count"] for row in labels if row["split"] == "train"}
    delivered = dict.fromkeys(SPLITS, 0)
    for entry in accepted_entries(manifest.read_manifest(request.settings), image_set.name):
        delivered[entry.subject.partition(".")[2]] += entry.rows
    is_dropping = image_set.duplicates == "drop"
    greatest = staged.agg(F.max("pixel_max")).collect()[0][0]
    twice = staged.groupBy("height", "width", "channels", "image_sha256").agg(F.count("*").alias("copies"))
    return {
        "labels_outside_set": sum(row["count"] for row in labels if names.get(row["label"]) != row["label_name"]),
        "equal_images": twice.where("copies > 1").count() if is_dropping else None,
        "greatest_pixel": greatest,
        "class_balance_of_tolerance": balance_of_tolerance(train, image_set),
        "published_count_difference": (
            sum(abs(delivered[split] - count) for split, count in image_set.counts.items())
            if image_set.counts
            else None
        ),
    }


def balance_of_tolerance(train: Mapping[int, int], image_set: ImageSet) -> float | None:
    """Return how far the class that is farthest from an equal share is from it, as a part of the tolerance."""
    if image_set.balance_tolerance is None or not train:
        return None
    classes = len(image_set.label_names)
    equal = sum(train.values()) / classes
    return max(abs(train.get(label, 0) / equal - 1) for label in range(classes)) / image_set.balance_tolerance


def summarize(table: Table, published: Sequence[Published]) -> Summary:
    """Tell the balance as the run's numbers."""
    for item in published:
        if item.table.identifier == table.identifier:
            names = ("lines_in", "rows_out", "rows_rejected", "rows_duplicate")
            return Summary(*(item.facts[name] for name in names))
    return Summary()


def job_of(name: str) -> Job:
    """Make the job of one set's gold."""
    table = gold_images(name)
    return Job(
        name=f"vision.{name}_images",
        table=table,
        tables=(table, GOLD_IMAGE_STATISTICS, GOLD_IMAGE_CLASS_COUNTS),
        reads=(SILVER_IMAGES, SILVER_IMAGES_REJECTED),
        code=(sys.modules[__name__],),
        plan=plan,
        build=build,
        summarize=lambda request, planned, published: summarize(table, published),
    )


if __name__ == "__main__":
    main(job_of)
