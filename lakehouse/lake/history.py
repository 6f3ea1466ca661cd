"""What a table's snapshots say of themselves: which run wrote them, and which slices they replaced from what."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from pyiceberg.table import Table as IcebergTable
from pyiceberg.table.snapshots import Snapshot, ancestors_of

from lakehouse.lake.schema import month_field
from lakehouse.slices import UNDATED, Slice, in_order, parse_slices

RUN_KEY = "lakehouse.run-key"
RUN_ID = "lakehouse.run-id"
SLICES = "lakehouse.days"
SLICE_KEYS = "lakehouse.day-keys"
HELD_BACK = "lakehouse.held-back"
"""Keys of a snapshot's summary: which run wrote it, the slices that it replaced, a key per slice (engine/run.py), and
the parts of these slices that failed their audit, as JSON of subjects by slice. Their rows are those from before."""

TRIED = "!"
"""Begins the key of a slice of which a part was held back: it equals no key, so that the next run tries again."""


@dataclass(frozen=True)
class Replacement:
    """The last write that replaced one slice of a table's `main`."""

    run_key: str
    slice_key: str
    snapshot_id: int
    held_back: tuple[str, ...] = ()
    """Subjects of which the slice still has the rows from before."""


def summary_of(snapshot: Snapshot) -> dict[str, str]:
    """Return what a snapshot says of itself."""
    return snapshot.summary.additional_properties if snapshot.summary else {}


def main_history(iceberg: IcebergTable) -> Iterable[Snapshot]:
    """Yield the snapshots of `main`, newest first."""
    main = iceberg.metadata.refs.get("main")
    if main is None:
        return ()
    return ancestors_of(iceberg.snapshot_by_id(main.snapshot_id), iceberg.metadata)


def last_replacements(iceberg: IcebergTable) -> dict[Slice, Replacement]:
    """Return, for every slice that some snapshot still in the history replaced, its last replacement on `main`."""
    last: dict[Slice, Replacement] = {}
    for snapshot in main_history(iceberg):
        summary = summary_of(snapshot)
        if SLICES not in summary:
            continue
        keys = dict(part.split("=", 1) for part in summary.get(SLICE_KEYS, "").split(",") if part)
        held: Mapping[str, list[str]] = json.loads(summary.get(HELD_BACK, "{}"))
        for each in parse_slices(summary[SLICES]):
            found = Replacement(
                summary.get(RUN_KEY, ""), keys.get(str(each), ""), snapshot.snapshot_id, tuple(held.get(str(each), ()))
            )
            last.setdefault(each, found)
    return last


def held_back(iceberg: IcebergTable, slices: Iterable[Slice]) -> dict[Slice, tuple[str, ...]]:
    """Return, by slice, the subjects that failed their audit: `main` still has their rows from before."""
    last = last_replacements(iceberg)
    return {each: last[each].held_back for each in slices if each in last and last[each].held_back}


def held_subjects(
    iceberg: IcebergTable, slices: Collection[Slice]
) -> Iterable[tuple[datetime, dict[Slice, tuple[str, ...]]]]:
    """Yield when runs replaced some of the slices on `main`, newest first, each with the subjects that it held back.

    A run that holds parts back stages a slice twice, first with their new rows: its last snapshot of a slice counts.
    """
    seen: set[tuple[str, Slice]] = set()
    for snapshot in main_history(iceberg):
        summary = summary_of(snapshot)
        run_id = summary.get(RUN_ID, str(snapshot.snapshot_id))
        named = set(parse_slices(summary.get(SLICES, ""))) & set(slices)
        replaced = {each for each in named if (run_id, each) not in seen}
        seen |= {(run_id, each) for each in replaced}
        if replaced:
            held: Mapping[str, list[str]] = json.loads(summary.get(HELD_BACK, "{}"))
            moment = datetime.fromtimestamp(snapshot.timestamp_ms / 1000, UTC)
            yield moment, {each: tuple(held.get(str(each), ())) for each in replaced}


def slice_fingerprints(iceberg: IcebergTable, column: str, slices: Iterable[Slice]) -> dict[Slice, str]:
    """Return what identifies the content of each slice: the snapshot that replaced it last, and its key.

    Compaction and other slices' runs leave it as it is. A slice whose snapshot was expired is identified by the data
    files of its partition.
    """
    wanted = set(slices)
    last = last_replacements(iceberg)
    fingerprints = {each: f"{last[each].slice_key}@{last[each].snapshot_id}" for each in wanted if each in last}
    unknown = wanted - set(fingerprints)
    if unknown and iceberg.current_snapshot() is not None:
        names = [field.name for field in iceberg.spec().fields]
        is_by_slice = column in names
        position = names.index(column if is_by_slice else month_field(column))
        files: dict[Any, list[str]] = {}
        for task in iceberg.scan().plan_files():
            value = task.file.partition[position]
            files.setdefault(as_slice(value) if is_by_slice else value, []).append(task.file.file_path)
        for each in unknown:
            paths = files.get(each if is_by_slice else month_value(each))
            if paths:
                fingerprints[each] = "files:" + hashlib.sha256("\n".join(sorted(paths)).encode()).hexdigest()
    return fingerprints


def month_value(day: Slice) -> int | None:
    """Return the value of a partition by month that a slice lies in: months since January 1970; None without a day."""
    return (day.year - 1970) * 12 + day.month - 1 if isinstance(day, date) else None


def as_slice(value: Any) -> Slice:
    """Turn a value of a table's slice column into a slice: a day may also be its number of days since 1970."""
    if value is None:
        return UNDATED
    return value if isinstance(value, (date, str)) else date.fromordinal(date(1970, 1, 1).toordinal() + int(value))


def rows_per_slice(iceberg: IcebergTable, column: str) -> dict[Slice, int]:
    """Return the rows on `main` of each slice that has some: from the metadata if a partition is a slice."""
    counts: dict[Slice, int] = {}
    if iceberg.current_snapshot() is None:
        return counts
    names = [field.name for field in iceberg.spec().fields]
    if column not in names:
        values = iceberg.scan(selected_fields=(column,)).to_arrow().column(column)
        return {as_slice(item["values"]): item["counts"] for item in values.value_counts().to_pylist()}
    for task in iceberg.scan().plan_files():
        each = as_slice(task.file.partition[names.index(column)])
        counts[each] = counts.get(each, 0) + task.file.record_count
    return counts


def published_slices(iceberg: IcebergTable, column: str) -> tuple[Slice, ...]:
    """Return the slices that have rows on `main`, in order."""
    return in_order(rows_per_slice(iceberg, column))
