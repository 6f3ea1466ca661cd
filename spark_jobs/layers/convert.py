"""Files of the landing folder become Parquet data files of a bronze table, written by Spark tasks side by side.

Bronze is a conversion of files, so no row passes through the JVM: a task reads a file with its source, writes Arrow
batches as Parquet into the table's folder and reports what it wrote; the driver commits the files in one step.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import SparkSession

from lakehouse.config.settings import Settings
from lakehouse.tables import Table
from spark_jobs.engine.files import DataFile, FileWriter, Target, discard, partition_path
from spark_jobs.engine.tasks import map_in_tasks
from spark_jobs.sources.base import Claim, UnreadableFileError
from spark_jobs.sources.landing import LandedFile, read_bytes
from spark_jobs.sources.reading import read_rows

KEYS = ["subject", "delivery_date", "event_date"]


@dataclass(frozen=True)
class NewFile:
    """A file to convert: where it lies, what its path claims, and the hash that its bytes had when it was planned."""

    landed: LandedFile
    claim: Claim
    sha256: str


@dataclass(frozen=True)
class DeliveryStatistics:
    """What one file says of one instrument or meter and delivery day."""

    subject: str
    delivery_date: date
    rows: int
    first_ts_event: datetime | None
    last_ts_event: datetime | None
    first_interval_start: datetime | None
    last_interval_start: datetime | None
    event_dates: tuple[date, ...]


@dataclass(frozen=True)
class Converted:
    """What became of a file: data files and what they hold, or why it could not be read."""

    file: NewFile
    data_files: tuple[DataFile, ...] = ()
    deliveries: tuple[DeliveryStatistics, ...] = ()
    unreadable: str | None = None


def convert(spark: SparkSession, target: Target, files: Sequence[NewFile]) -> list[Converted]:
    """Convert the files in Spark tasks, the largest first; the result is in the order of the files."""
    largest_first = sorted(range(len(files)), key=lambda number: -files[number].landed.bytes)
    converted = map_in_tasks(
        spark.sparkContext, [files[number] for number in largest_first], partial(convert_file, target)
    )
    by_number = dict(zip(largest_first, converted, strict=True))
    return [by_number[number] for number in range(len(files))]


def convert_file(target: Target, file: NewFile) -> Converted:
    """Write one landing file's rows; what can't be read leaves nothing behind but its reason."""
    writer = FileWriter(target, hashlib.sha256(file.landed.path.encode()).hexdigest()[:12])
    groups: list[pa.Table] = []
    try:
        content = read_bytes(file.landed.url, target.settings)
        if hashlib.sha256(content).hexdigest() != file.sha256:
            raise UnreadableFileError("the file changed while it was being read; deliver it again")
        for batch in read_rows(content, file.claim, file.sha256, target.started_at):
            write_batch(writer, batch)
            groups.append(group_by_delivery(batch, target.table))
    except UnreadableFileError as error:
        writer.discard()
        return Converted(file, unreadable=error.reason)
    return Converted(file, writer.close(), statistics_of(groups))


def discard_converted(converted: Sequence[Converted], settings: Settings) -> None:
    """Remove data files that are not going to be committed."""
    discard((file for result in converted for file in result.data_files), settings)


def write_batch(writer: FileWriter, batch: pa.RecordBatch) -> None:
    """Write a batch, split by delivery day if the table is partitioned by it."""
    rows = pa.Table.from_batches([batch])
    if not writer.target.table.partitioned_by:
        writer.write("", rows)
        return
    days = pc.unique(batch.column("delivery_date")).to_pylist()
    for day in days:
        part = rows if len(days) == 1 else rows.filter(pc.equal(rows.column("delivery_date"), day))
        writer.write(partition_path({"delivery_date": day}), part)


def group_by_delivery(batch: pa.RecordBatch, table: Table) -> pa.Table:
    """Count a batch's rows and find its first and last event per instrument or meter, delivery day and event day."""
    names = [table.subject, "delivery_date", "event_date", table.event_time, "_source_line"]
    counted = pa.Table.from_batches([batch]).select(names).rename_columns([*KEYS, "time", "line"])
    return counted.group_by(KEYS).aggregate([("line", "count"), ("time", "min"), ("time", "max")])


def statistics_of(groups: Sequence[pa.Table]) -> tuple[DeliveryStatistics, ...]:
    """Add up the groups of all batches."""
    if not groups:
        return ()
    days = (
        pa.concat_tables(groups)
        .group_by(KEYS)
        .aggregate([("line_count", "sum"), ("time_min", "min"), ("time_max", "max")])
    )
    deliveries: dict[tuple[str, date], list[dict[str, Any]]] = {}
    for row in days.to_pylist():
        deliveries.setdefault((row["subject"], row["delivery_date"]), []).append(row)
    return tuple(delivery_of(*key, rows) for key, rows in sorted(deliveries.items()))


def delivery_of(subject: str, day: date, rows: Sequence[Mapping[str, Any]]) -> DeliveryStatistics:
    """Add up one delivery's event days. Its times are UTC, or have no zone if they are a meter's civil times."""
    first = min((row["time_min_min"] for row in rows if row["time_min_min"]), default=None)
    last = max((row["time_max_max"] for row in rows if row["time_max_max"]), default=None)
    is_civil = first is not None and first.tzinfo is None
    return DeliveryStatistics(
        subject=subject,
        delivery_date=day,
        rows=sum(row["line_count_sum"] for row in rows),
        first_ts_event=None if is_civil else first,
        last_ts_event=None if is_civil else last,
        first_interval_start=first if is_civil else None,
        last_interval_start=last if is_civil else None,
        event_dates=tuple(sorted(row["event_date"] for row in rows)),
    )
