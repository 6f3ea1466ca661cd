"""Bronze images: every record of every accepted file of images, as the file said it.

Reads   the landing folder   the files that a declared image set names
Writes  lakehouse.bronze.images   adds the new deliveries, takes out those that they replace
        lakehouse.bronze.files    the manifest: what became of each file

Images and labels of a split are two files that are judged together: if their counts differ or one of them is missing,
cut or of another kind, both are quarantined and nothing of them is loaded. A pickle is never opened.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from lakehouse.errors import BadInputError
from lakehouse.lake.counts import count_by
from lakehouse.reference import image_set as declarations
from lakehouse.slices import UNDATED, Slice
from lakehouse.tables.manifest import BRONZE_FILES
from lakehouse.tables.vision import BRONZE_IMAGES
from spark_jobs.engine import manifest
from spark_jobs.engine.files import discard
from spark_jobs.engine.job import Plan, Request, Summary, TableJob
from spark_jobs.engine.kept import in_slices
from spark_jobs.engine.manifest import Entry
from spark_jobs.engine.publish import Attempt, Published, Write
from spark_jobs.engine.stage import Branch, delete_rows, stage_files
from spark_jobs.engine.tasks import map_in_tasks
from spark_jobs.layers.bronze import hash_files, refuse_if_strict, stage_manifest, summarize_files
from spark_jobs.layers.command_line import main
from spark_jobs.sources.landing import LandedFile, list_landing
from spark_jobs.vision import convert_images, deliveries
from spark_jobs.vision.convert_images import ConvertedImages, convert_delivery
from spark_jobs.vision.deliveries import DATASET, ImageDelivery, ImageFile, find_deliveries, find_place
from spark_jobs.vision.image_manifest import entries_of, image_key, is_accepted, is_settled, set_of
from spark_jobs.vision.sets import asked_sets, expected_files

logger = logging.getLogger(__name__)

KEY = ("dataset", "split", "delivery_part", "_source_sha256")
"""What tells the rows of one delivery; the first column is the table's partition."""


@dataclass(frozen=True)
class DeliveredImages:
    """What the plan knows: the manifest as it is, and the deliveries that are not judged yet."""

    entries: tuple[Entry, ...]
    deliveries: tuple[ImageDelivery, ...]


def plan(request: Request) -> Plan:
    """Find the deliveries of the sets asked for that the manifest has not judged yet.

    Raises:
        BadInputError: a set that was asked for is not declared, or has neither files nor images.
    """
    entries = tuple(manifest.read_manifest(request.settings))
    ours = [entry for entry in entries if entry.dataset == DATASET]
    sets = asked_sets(request)
    landed = list_landing(request.landing, request.settings)
    new: list[ImageDelivery] = []
    for name, image_set in sets.items():
        files = hash_claimed(request, image_set, landed)
        if request.slices is not None and not files and name not in {set_of(entry) for entry in ours}:
            raise BadInputError(f"{request.landing} holds no file of {name}; expected {expected_files(image_set)}")
        hashes = {file.sha256: file for _, file in files}
        new += [
            delivery
            for delivery in find_deliveries(image_set, files, ours)
            if not is_settled(delivery, ours, hashes, request.is_replacing)
        ]
    inputs: dict[Slice, list[str]] = {}
    for delivery in new:
        inputs.setdefault(delivery.image_set.name, []).append(f"new {delivery.read_as}")
    for entry in manifest.accepted(entries, DATASET):
        name = set_of(entry)
        if name in inputs:  # told apart from new: B in place of A is another set than A in place of B
            inputs[name].append(f"present {entry.fingerprint}")
    if inputs:
        inputs[UNDATED] = [text for texts in inputs.values() for text in texts]
    lines = [
        f"read {file.landed.path} ({file.landed.bytes} bytes, sha256 {file.sha256})"
        for delivery in new
        for file, _ in delivery.files
    ]
    return Plan(
        {each: sorted(set(texts)) for each, texts in inputs.items()}, tuple(lines), DeliveredImages(entries, tuple(new))
    )


def hash_claimed(
    request: Request, image_set: declarations.ImageSet, landed: Sequence[LandedFile]
) -> list[tuple[deliveries.Place, ImageFile]]:
    """Return the landing folder's files of a set, hashed."""
    name = request.landing.rstrip("/").rpartition("/")[2]
    claimed = [(place, file) for file in landed if (place := find_place(image_set, file.path, name)) is not None]
    hashes = hash_files([file for _, file in claimed], request.settings)
    return [(place, ImageFile(file, sha256)) for (place, file), sha256 in zip(claimed, hashes, strict=True)]


def build(request: Request, planned: Plan, attempt: Attempt) -> Sequence[Write]:
    """Convert the new deliveries and describe what is to be staged.

    Raises:
        BadInputError: a delivery came with other bytes, or one is unreadable and the run is strict, or one that was
            accepted can't be read as it is declared now.
    """
    delivered: DeliveredImages = planned.state
    target = attempt.branch(BRONZE_IMAGES).target
    largest_first = sorted(delivered.deliveries, key=lambda each: -sum(file.landed.bytes for file, _ in each.files))
    converted = map_in_tasks(request.spark.sparkContext, largest_first, partial(convert_delivery, target))
    try:
        refuse_unreadable(request, delivered, converted)
        new = [entry for result in converted for entry in entries_of(result, delivered.entries, attempt.started_at)]
        rows = manifest.merge(delivered.entries, new, request.is_replacing)
    except BadInputError:
        discard((file for result in converted for file in result.data_files), request.settings)
        raise
    undated = (UNDATED,)
    writes = [Write(BRONZE_FILES, undated, lambda branch: stage_manifest(branch, rows, undated))]
    readable = [result for result in converted if result.unreadable is None]
    if readable:
        names = tuple(sorted({result.delivery.image_set.name for result in readable}))
        writes.insert(
            0,
            Write(
                BRONZE_IMAGES,
                names,
                lambda branch: stage_deliveries(branch, rows, readable, names),
                lambda branch, slices, held: {"manifest_row_difference": row_difference(branch, rows, names)},
            ),
        )
    return writes


def refuse_unreadable(request: Request, delivered: DeliveredImages, converted: Sequence[ConvertedImages]) -> None:
    """Say what is quarantined, and refuse the run where it is strict or a declaration has made files unreadable."""
    unreadable = [result for result in converted if result.unreadable is not None]
    for result in unreadable:
        logger.warning("quarantined %s: %s", result.delivery.subject, result.unreadable)
        if is_accepted(result.delivery, delivered.entries):
            raise BadInputError(
                f"{result.delivery.subject} was accepted before and can't be read as it is declared now: "
                f"{result.unreadable}; fix the declaration"
            )
    reasons = [result.unreadable for result in unreadable if result.unreadable is not None]
    refuse_if_strict(request, reasons, len(converted), "deliveries")


def stage_deliveries(
    branch: Branch, rows: Sequence[Entry], readable: Sequence[ConvertedImages], names: Sequence[str]
) -> Sequence[Slice]:
    """Add the new deliveries to what the manifest to come expects of the old ones, and to nothing else."""
    kept = {image_key(entry) for entry in manifest.accepted(rows, DATASET) if entry.has_lines}
    kept -= {
        (result.delivery.image_set.name, load.split, load.part, result.delivery.images.sha256)
        for result in readable
        for load in result.loads
        if result.delivery.images is not None
    }
    condition = in_slices("dataset", names)
    present = set(count_by(branch.settings, BRONZE_IMAGES, KEY, (condition,), branch.name))
    delete_rows(branch, KEY, sorted(present - kept))
    return stage_files(branch, [file for result in readable for file in result.data_files], names, replaces=False)


def row_difference(branch: Branch, rows: Sequence[Entry], names: Sequence[str]) -> int:
    """Count the records that are on the branch and not in the manifest to come, or the other way round.

    Each record counts for its file of images and, where it has one, for its file of labels.
    """
    expected: dict[Any, int] = {}
    for entry in manifest.accepted(rows, DATASET):
        if set_of(entry) in names:
            key = ("labels" if not entry.has_lines else "images", entry.source_sha256)
            expected[key] = expected.get(key, 0) + entry.rows
    found: dict[Any, int] = {}
    condition = in_slices("dataset", names)
    files = ("_source_sha256", "_label_sha256")
    for (images, labels), rows_found in count_by(
        branch.settings, BRONZE_IMAGES, files, (condition,), branch.name
    ).items():
        for key in (("images", images), ("labels", labels)):
            if key[1] is not None:
                found[key] = found.get(key, 0) + rows_found
    return sum(abs(expected.get(key, 0) - found.get(key, 0)) for key in {*expected, *found})


def summarize(request: Request, planned: Plan, published: Sequence[Published]) -> Summary:
    """Count images and deliveries; quarantined ones make a success a notice."""
    read = {delivery.read_as for delivery in planned.state.deliveries}
    quarantined = {
        entry.read_as
        for entry in manifest.read_manifest(request.settings)
        if entry.verdict == "quarantined" and entry.read_as in read
    }
    return summarize_files(published, len(read), len(quarantined), "deliveries")


JOB = TableJob(
    name="vision.bronze_images",
    table=BRONZE_IMAGES,
    tables=(BRONZE_IMAGES, BRONZE_FILES),
    reads=(),
    made_by=(convert_images,),
    plan=plan,
    build=build,
    summarize=summarize,
)

if __name__ == "__main__":
    main(JOB)
