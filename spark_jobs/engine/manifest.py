"""The manifest `bronze.files` as plain objects: what has been delivered, and what a new file means beside it.

A delivery is (source, subject, day, part); what it holds is known by the SHA-256 of its file. The rules:
the same bytes again change nothing; other bytes for an accepted delivery are refused unless they are to replace it; a
file that was replaced comes back only when the one that replaced it has left the landing folder.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from lakehouse.config.settings import Settings
from lakehouse.errors import BadInputError
from lakehouse.lake.history import as_slice
from lakehouse.lake.scans import pin_current
from lakehouse.slices import Slice, in_order
from lakehouse.tables.manifest import BRONZE_FILES

LABELS = "labels"
"""The last part of a delivery's part that names a file of labels."""
Delivery = tuple[str, str, date | None, str]
"""Source, subject, day and part. Image sets, and files whose day could not be read, have no day."""


@dataclass(frozen=True)
class Entry:
    """One row of the manifest; the names are those of bronze.files."""

    delivery_date: date | None
    dataset: str
    source: str
    subject: str
    delivery_part: str
    source_file: str
    source_sha256: str
    bytes: int
    rows: int
    first_ts_event: datetime | None
    last_ts_event: datetime | None
    first_interval_start: datetime | None
    last_interval_start: datetime | None
    event_dates: tuple[date, ...]
    verdict: str
    reason: str | None
    ingested_at: datetime
    read_as: str | None = None

    @property
    def delivery(self) -> Delivery:
        """What the row is a delivery of."""
        return (self.source, self.subject, self.delivery_date, self.delivery_part)

    @property
    def delivery_slice(self) -> Slice:
        """The slice of the manifest that the row belongs to."""
        return as_slice(self.delivery_date)

    @property
    def fingerprint(self) -> str:
        """What changes with the bytes and with how they were read."""
        return f"{self.source_sha256} as {self.read_as}" if self.read_as else self.source_sha256

    @property
    def line_subject(self) -> str:
        """What its lines are about in silver: an instrument, a meter, or the set that a split belongs to."""
        return self.subject if self.event_dates else self.subject.partition(".")[0]

    @property
    def has_lines(self) -> bool:
        """Whether its rows are lines of a bronze table; those of a file of labels belong to the images beside it."""
        return self.delivery_part.rpartition(".")[2] != LABELS

    @property
    def slices(self) -> tuple[Slice, ...]:
        """The slices that its rows belong to in silver: event days, or the image set that the subject names."""
        return self.event_dates or (self.subject.partition(".")[0],)

    def as_row(self) -> tuple[Any, ...]:
        """The values in the order of the declared columns."""
        return (
            *(self.delivery_date, self.dataset, self.source, self.subject, self.delivery_part),
            *(self.source_file, self.source_sha256, self.bytes, self.rows, self.first_ts_event, self.last_ts_event),
            *(self.first_interval_start, self.last_interval_start),
            *(list(self.event_dates), self.verdict, self.reason, self.read_as, self.ingested_at),
        )


def read_manifest(settings: Settings) -> list[Entry]:
    """Read every row of bronze.files on `main`."""
    rows = pin_current(settings, BRONZE_FILES).rows().select(BRONZE_FILES.column_names).collect()
    names = [name.lstrip("_") for name in BRONZE_FILES.column_names]
    entries = (dict(zip(names, row, strict=True)) for row in rows.iter_rows())
    return [Entry(**{**values, "event_dates": tuple(values["event_dates"])}) for values in entries]


def touched_slices(settings: Settings, delivered: Iterable[Slice], datasets: Iterable[str]) -> tuple[Slice, ...]:
    """Return the slices that every delivery of some delivery days or image sets touches, replaced ones too."""
    wanted, kinds = set(delivered), set(datasets)
    touched = [each for each in read_manifest(settings) if each.dataset in kinds]
    return in_order(
        part
        for entry in touched
        for part in entry.slices
        if (part if isinstance(part, str) else entry.delivery_slice) in wanted
    )


def files_of(
    entries: Iterable[Entry], parts: Collection[tuple[Slice, str]]
) -> dict[tuple[Slice, str], tuple[str, ...]]:
    """Return the paths of the accepted files that each part (slice, subject) came from."""
    files: dict[tuple[Slice, str], set[str]] = {part: set() for part in parts}
    for entry in entries:
        if entry.verdict == "accepted":
            subjects = (entry.subject, entry.subject.partition(".")[0])  # a set's splits are one part
            for part in {(each, subject) for each in entry.slices for subject in subjects} & set(parts):
                files[part].add(entry.source_file)
    return {part: tuple(sorted(paths)) for part, paths in files.items()}


def accepted(entries: Iterable[Entry], dataset: str) -> list[Entry]:
    """Return the deliveries whose rows are in bronze."""
    return [entry for entry in entries if entry.dataset == dataset and entry.verdict == "accepted"]


def is_settled(
    entries: Sequence[Entry],
    sha256: str,
    day: date | None,
    landed: set[str],
    is_replacing: bool,
    *,
    subject: str = "",
    read_as: str | None = None,
) -> bool:
    """Say whether a file needs no reading: its bytes were judged before and the judgement stands.

    `day` and `subject` are what the path names, None and empty where it names none: the same bytes for another day or
    subject are another delivery. `landed` are the hashes of all files of the landing folder. A judgement by
    another dialect than now declared does not stand.
    """
    same = [
        e
        for e in entries
        if e.source_sha256 == sha256
        and e.read_as == read_as
        and (day is None or e.delivery_date == day)
        and (not subject or e.subject == subject)
    ]
    if any(e.verdict in ("accepted", "quarantined") for e in same):
        return True
    if not same or not is_replacing:
        return bool(same)
    deliveries = {e.delivery for e in same}
    return any(e.verdict == "accepted" and e.delivery in deliveries and e.source_sha256 in landed for e in entries)


def merge(entries: Sequence[Entry], new: Sequence[Entry], is_replacing: bool) -> list[Entry]:
    """Return the manifest rows of every day that the new rows touch, with what they replace marked as superseded.

    Raises:
        BadInputError: a delivery comes with other bytes than the accepted ones and is not to replace them, or comes
            twice at once.
    """
    before = {e.delivery: e for e in entries if e.verdict == "accepted"}
    merged = {(*e.delivery, e.dataset, e.source_sha256): e for e in entries}
    seen: dict[Delivery, Entry] = {}
    for entry in new:
        if entry.verdict == "accepted":
            refuse_twin(entry, seen.setdefault(entry.delivery, entry))
            old = before.get(entry.delivery)
            if old is not None and old.source_sha256 != entry.source_sha256:
                if not is_replacing:
                    raise BadInputError(
                        f"{entry.source_file}: {describe(entry)} was delivered before with other bytes: accepted "
                        f"sha256 {old.source_sha256} ({old.source_file}), found sha256 {entry.source_sha256}; "
                        "run with --replace if the new file is to take its place"
                    )
                reason = f"replaced by {entry.source_file}, sha256 {entry.source_sha256}"
                merged[(*old.delivery, old.dataset, old.source_sha256)] = replace(
                    old, verdict="superseded", reason=reason
                )
        merged[(*entry.delivery, entry.dataset, entry.source_sha256)] = entry
    touched = {entry.delivery_slice for entry in new}
    return [entry for entry in merged.values() if entry.delivery_slice in touched]


def refuse_twin(entry: Entry, first: Entry) -> None:
    """Refuse two files of one landing folder that are the same delivery.

    Raises:
        BadInputError: the two differ.
    """
    if first.source_sha256 != entry.source_sha256:
        raise BadInputError(
            f"{describe(entry)} lies in the landing folder twice with different bytes: {first.source_file} (sha256 "
            f"{first.source_sha256}) and {entry.source_file} (sha256 {entry.source_sha256}); remove one of them"
        )


def describe(entry: Entry) -> str:
    """Name a delivery for a person."""
    part = f" part {entry.delivery_part}" if entry.delivery_part else ""
    day = f" of {entry.delivery_date}" if entry.delivery_date else ""
    return f"{entry.source} {entry.subject}{day}{part}"
