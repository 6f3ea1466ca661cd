"""Silver images: one row per sound image, with its label's name, equal images flagged within a split and across.

Reads   lakehouse.bronze.images   the accepted records of a set
Writes  lakehouse.silver.images   replaces the set
        lakehouse.silver.images_rejected   blank images and impossible labels, with the rule's name and the reason

Images are equal where all their pixels and their shape are. Nothing is dropped here: what gold leaves out is decided
there. Pixels are never shuffled; the few flags are joined to them.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from lakehouse.lake.catalog import load
from lakehouse.reference.image_set import ImageSet
from lakehouse.slices import Slice
from lakehouse.tables.manifest import BRONZE_FILES
from lakehouse.tables.vision import BRONZE_IMAGES, SILVER_IMAGES, SILVER_IMAGES_REJECTED
from spark_jobs.engine.job import Job, Plan, Request, Summary
from spark_jobs.engine.manifest import Entry
from spark_jobs.engine.publish import Attempt, Published, Write
from spark_jobs.engine.stage import Branch, stage_frame
from spark_jobs.layers import manifest, silver
from spark_jobs.layers.silver import Rule, is_sound, name_broken, record_balance
from spark_jobs.vision.balance import count_records
from spark_jobs.vision.command_line import main
from spark_jobs.vision.deliveries import DATASET
from spark_jobs.vision.image_manifest import set_of
from spark_jobs.vision.sets import asked_sets

SAME_IMAGE = ("dataset", "height", "width", "channels", "pixels_sha256")
IMAGE_FACTS = {
    "duplicate_images": "duplicate_of IS NOT NULL",
    "train_test_leaks": "is_train_test_leak AND split = 'train'",
    "other_labels": "has_other_label",
}


def plan(request: Request) -> Plan:
    """Find the accepted deliveries of each set; a changed declaration makes a set due, too."""
    entries = manifest.accepted(manifest.read_manifest(request.settings), DATASET)
    inputs: dict[Slice, list[str]] = {}
    for entry in entries:
        name = set_of(entry)
        inputs.setdefault(name, []).append(f"{entry.subject} {entry.delivery_part} {entry.fingerprint}")
    sets = asked_sets(request)
    due = {name: [sets[name].judging, *sorted(texts)] for name, texts in inputs.items() if name in sets}
    lines = tuple(f"read for {name}: {text}" for name, (_, *texts) in sorted(due.items()) for text in texts)
    return Plan(due, lines, (sets, entries))


def read_records(bronze: DataFrame, name: str, entries: Sequence[Entry]) -> DataFrame:
    """Read the accepted records of a set, with their id."""
    hashes = sorted({entry.source_sha256 for entry in entries if set_of(entry) == name})
    part = F.when(F.col("delivery_part") == "", None).otherwise(F.col("delivery_part"))
    record = F.format_string("%06d", F.col("_source_record"))
    accepted = F.col("_source_sha256").isin(hashes) & F.coalesce(F.col("_label_sha256").isin(hashes), F.lit(True))
    return bronze.where((F.col("dataset") == name) & accepted).withColumn(
        "image_id", F.concat_ws(".", "dataset", "split", part, record)
    )


def record_rules(classes: int) -> Sequence[Rule]:
    """The rules of a record, in the order in which they are named."""
    return (
        Rule(
            "impossible_label",
            ~F.col("raw_label").between(0, classes - 1),
            F.concat(F.lit("label "), F.col("raw_label"), F.lit(f"; the set has the classes 0 to {classes - 1}")),
        ),
        Rule(
            "blank_image",
            F.col("pixel_min") == F.col("pixel_max"),
            F.concat(F.lit("every pixel is "), F.col("pixel_min")),
        ),
    )


def flag_equal(records: DataFrame) -> DataFrame:
    """Add duplicate_of, is_train_test_leak and has_other_label; only equal images have anything to be joined."""
    same = Window.partitionBy(*SAME_IMAGE)
    in_split = Window.partitionBy(*SAME_IMAGE, "split")
    first = F.min("image_id").over(in_split)
    flags = (
        records.select(*SAME_IMAGE, "split", "image_id", "raw_label")
        .withColumns(
            {
                "_copies": F.count("*").over(same),
                "duplicate_of": F.when(first < F.col("image_id"), first),
                "is_train_test_leak": F.min("split").over(same) != F.max("split").over(same),
                "has_other_label": F.min("raw_label").over(same) != F.max("raw_label").over(same),
            }
        )
        .where("_copies > 1")
        .select("image_id", "duplicate_of", "is_train_test_leak", "has_other_label")
    )
    flagged = records.join(F.broadcast(flags), "image_id", "left")
    return flagged.withColumns({name: F.coalesce(name, F.lit(False)) for name in flags.columns[2:]})


def transform(records: DataFrame, image_set: ImageSet) -> DataFrame:
    """Build silver.images, but for _ingested_at, from the sound records of a set."""
    sound = records.where(is_sound(record_rules(len(image_set.label_names))))
    label = F.col("raw_label")
    return flag_equal(sound).withColumns(
        {
            "label": label,
            "label_name": name_of(label, image_set),
            "pixels": F.col("raw_pixels"),  # IDX has one channel, CIFAR-10 has planes: both are CHW as they are
            "image_sha256": F.col("pixels_sha256"),
        }
    )


def name_of(label: Column, image_set: ImageSet) -> Column:
    """Name a label as the set declares it."""
    return F.element_at(F.array(*map(F.lit, image_set.label_names)), label + 1)


def reject(records: DataFrame, image_set: ImageSet) -> DataFrame:
    """Build silver.images_rejected, but for _ingested_at."""
    rules = record_rules(len(image_set.label_names))
    return name_broken(records.where(~is_sound(rules)), rules)


def build(request: Request, planned: Plan, attempt: Attempt) -> Sequence[Write]:
    """Judge the records and describe what is to be staged, rejected records first."""
    sets, entries = planned.state
    bronze = request.spark.table(BRONZE_IMAGES.full_name)
    records = {name: read_records(bronze, name, entries) for name in planned.days}
    loaded = F.lit(attempt.started_at)

    def stage(branch: Branch, judge: Any) -> Sequence[Slice]:
        frames = [judge(records[name], sets[name]).withColumn("_ingested_at", loaded) for name in planned.days]
        chosen = [frame.select(*branch.table.column_names) for frame in frames]
        return stage_frame(branch, reduce(DataFrame.unionByName, chosen), planned.days)

    def facts(branch: Branch, names: Sequence[Slice]) -> Mapping[str, Any]:
        rows = branch.read_days(names)
        counted = {
            "lines_in": count_records(reduce(DataFrame.unionByName, records.values())),
            "rows_out": count_records(rows),
            "rows_rejected": count_records(read_rejected(attempt, names)),
            "rows_duplicate": {},
        }
        files = {entry.source_sha256: entry.source_file for entry in manifest.read_manifest(request.settings)}
        flagged = rows.selectExpr(*(f"count_if({condition}) AS {name}" for name, condition in IMAGE_FACTS.items()))
        return {**record_balance(attempt, SILVER_IMAGES, files, counted), **flagged.collect()[0].asDict()}

    return [
        Write(SILVER_IMAGES_REJECTED, planned.days, lambda branch: stage(branch, reject)),
        Write(SILVER_IMAGES, planned.days, lambda branch: stage(branch, transform), facts),
    ]


def read_rejected(attempt: Attempt, names: Sequence[Slice]) -> DataFrame:
    """Read the rejected records where they are: on the run's branch, or on `main` where they are published already."""
    if attempt.branch_name in load(attempt.settings, SILVER_IMAGES_REJECTED).refs():
        return attempt.branch(SILVER_IMAGES_REJECTED).read_days(names)
    return attempt.spark.table(SILVER_IMAGES_REJECTED.full_name).where(F.col("dataset").isin(list(names)))


def summarize(request: Request, planned: Plan, published: Sequence[Published]) -> Summary:
    """Tell the balance as the run's numbers, and what was found equal."""
    for item in published:
        if item.table is SILVER_IMAGES:
            facts = item.facts
            note = f"{facts['duplicate_images']} duplicates, {facts['train_test_leaks']} of train in test, too"
            return Summary(
                facts["lines_in"], facts["rows_out"], facts["rows_rejected"], facts["rows_duplicate"], note=note
            )
    return Summary()


JOB = Job(
    name="vision.silver_images",
    table=SILVER_IMAGES,
    tables=(SILVER_IMAGES_REJECTED, SILVER_IMAGES),
    reads=(BRONZE_IMAGES, BRONZE_FILES),
    code=(sys.modules[__name__], silver),
    plan=plan,
    build=build,
    summarize=summarize,
)

if __name__ == "__main__":
    main(lambda name: JOB)
