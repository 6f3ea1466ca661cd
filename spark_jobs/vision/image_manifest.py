"""What the manifest says of deliveries of images, and what a run adds to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from spark_jobs.engine import manifest
from spark_jobs.engine.manifest import Entry
from spark_jobs.vision.convert_images import ConvertedImages
from spark_jobs.vision.deliveries import DATASET, ImageDelivery, ImageFile, subject_of


def set_of(entry: Entry) -> str:
    """Return the name of the set that a row of the manifest is about."""
    return entry.subject.partition(".")[0]


def image_key(entry: Entry) -> tuple[str, str, str, str]:
    """Return the KEY of the rows that an accepted file of images brought."""
    name, _, split = entry.subject.partition(".")
    return (name, split, entry.delivery_part, entry.source_sha256)


def accepted_entries(entries: Iterable[Entry], name: str) -> list[Entry]:
    """Return the rows of a set's accepted files of images, without those of labels."""
    return [e for e in manifest.accepted(entries, DATASET) if set_of(e) == name and e.has_lines]


def is_settled(
    delivery: ImageDelivery, entries: Sequence[Entry], landed: Mapping[str, ImageFile], is_replacing: bool
) -> bool:
    """Say whether a delivery needs no reading: its files were judged together before, and the judgement stands.

    `landed` are the files of the set by hash. A delivery that is incomplete now, but whose files are accepted, stands.
    """
    hashes = {file.sha256 for file, _ in delivery.files}
    same = [entry for entry in entries if entry.read_as == delivery.read_as and entry.source_sha256 in hashes]
    if any(entry.verdict in ("accepted", "quarantined") for entry in same):
        return True
    if delivery.refusal is not None and is_accepted(delivery, entries):
        return True
    if not same or not is_replacing:
        return bool(same)
    replaced = {entry.delivery for entry in same}
    return any(
        entry.verdict == "accepted" and entry.delivery in replaced and entry.source_sha256 in landed
        for entry in entries
    )


def is_accepted(delivery: ImageDelivery, entries: Sequence[Entry]) -> bool:
    """Say whether each file of a delivery is accepted, with whatever other file."""
    accepted = {(e.subject, e.delivery_part, e.source_sha256) for e in entries if e.verdict == "accepted"}
    if delivery.place.role == "archive":
        return delivery.images is not None and delivery.images.sha256 in {sha256 for _, _, sha256 in accepted}
    return all((delivery.subject, part, file.sha256) in accepted for file, part in delivery.files)


def entries_of(result: ConvertedImages, entries: Sequence[Entry], ingested_at: datetime) -> Iterable[Entry]:
    """Yield the manifest's rows of one delivery; a file that stays accepted with another one is not quarantined."""
    delivery = result.delivery
    accepted = {(e.subject, e.delivery_part, e.source_sha256) for e in entries if e.verdict == "accepted"}

    def entry(file: ImageFile, subject: str, part: str, rows: int) -> Entry:
        return Entry(
            delivery_date=None,
            dataset=DATASET,
            source=delivery.image_set.format,
            subject=subject,
            delivery_part=part,
            source_file=file.landed.path,
            source_sha256=file.sha256,
            bytes=file.landed.bytes,
            rows=rows,
            first_ts_event=None,
            last_ts_event=None,
            first_interval_start=None,
            last_interval_start=None,
            event_dates=(),
            verdict="accepted" if result.unreadable is None else "quarantined",
            reason=result.unreadable,
            ingested_at=ingested_at,
            read_as=delivery.read_as,
        )

    if result.unreadable is not None:
        for file, part in delivery.files:
            if (delivery.subject, part, file.sha256) not in accepted:
                yield entry(file, delivery.subject, part, 0)
        return
    for load in result.loads:
        subject = subject_of(delivery.image_set.name, load.split)
        for file, role_part in delivery.files:
            part = role_part if file is delivery.labels else load.part
            yield entry(file, subject, part, load.rows)
