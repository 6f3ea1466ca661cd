"""Files of the landing folder become Parquet data files of a bronze table, written by Spark tasks side by side.

Bronze is a conversion of files, so no row passes through the JVM: a task reads a file with its source, writes Arrow
batches as Parquet into the table's folder and reports what it wrote; the driver commits the files in one step.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyspark import TaskContext
from pyspark.sql import SparkSession

from lakehouse.catalog import load
from lakehouse.settings import Settings
from lakehouse.store import open_filesystem
from lakehouse.tables import Table
from spark_jobs.sources.base import Claim, UnreadableFileError
from spark_jobs.sources.landing import LandedFile, read_bytes
from spark_jobs.sources.reading import read_rows
from spark_jobs.stage import DataFile

ROW_GROUP_ROWS = 1 << 20
TASKS_PER_CORE = 4
"""Enough for an even load; more cost more starts than they balance."""
DICTIONARY_COLUMNS = (
    "source",
    "instrument_id",
    "delivery_date",
    "delivery_part",
    "event_date",
    "aggressor_side",
    "price_divisor",
    "raw_side",
    "raw_exchange",
    "raw_conditions",
    "raw_suspicious",
    "raw_line",
    "_source_file",
    "_source_member",
    "_source_sha256",
    "_ingested_at",
)
"""Columns with few values; a dictionary of the others would be given up in every row group."""


@dataclass(frozen=True)
class NewFile:
    """A file to convert: where it lies, what its path claims, and the hash that its bytes had when it was planned."""

    landed: LandedFile
    claim: Claim
    sha256: str


@dataclass(frozen=True)
class DeliveryStatistics:
    """What one file says of one instrument and delivery day."""

    instrument_id: str
    delivery_date: date
    rows: int
    first_ts_event: datetime | None
    last_ts_event: datetime | None
    event_dates: tuple[date, ...]


@dataclass(frozen=True)
class Converted:
    """What became of a file: data files and what they hold, or why it could not be read."""

    file: NewFile
    data_files: tuple[DataFile, ...] = ()
    deliveries: tuple[DeliveryStatistics, ...] = ()
    unreadable: str | None = None


@dataclass
class Target:
    """Where a task writes: everything that an executor needs to know of the table."""

    settings: Settings
    location: str
    field_ids: dict[str, int]
    run_id: str
    ingested_at: datetime


@dataclass
class FileWriter:
    """Writes one landing file's batches as one Parquet file per delivery day."""

    target: Target
    stem: str
    writers: dict[date, pq.ParquetWriter] = field(default_factory=dict)
    paths: dict[date, str] = field(default_factory=dict)

    def write(self, batch: pa.RecordBatch) -> None:
        """Write a batch, split by delivery day where it holds several."""
        days = pc.unique(batch.column("delivery_date")).to_pylist()
        for day in days:
            part = batch if len(days) == 1 else batch.filter(pc.equal(batch.column("delivery_date"), day))
            self.writer(day, batch.schema).write_batch(part, row_group_size=ROW_GROUP_ROWS)

    def writer(self, day: date, schema: pa.Schema) -> pq.ParquetWriter:
        """Return the open file of a day."""
        if day not in self.writers:
            folder = f"{self.target.location}/data/delivery_date={day}"
            self.paths[day] = f"{folder}/{self.target.run_id}-{self.stem}.parquet"
            filesystem, path = open_filesystem(self.paths[day], self.target.settings)
            filesystem.create_dir(path.rpartition("/")[0], recursive=True)
            self.writers[day] = pq.ParquetWriter(
                path,
                with_field_ids(schema, self.target.field_ids),
                filesystem=filesystem,
                compression="zstd",
                compression_level=1,
                use_dictionary=[name for name in DICTIONARY_COLUMNS if name in schema.names],
                store_schema=False,
            )
        return self.writers[day]

    def close(self) -> tuple[DataFile, ...]:
        """Finish every file and return what was written."""
        for writer in self.writers.values():
            writer.close()
        return tuple(DataFile(path, f"delivery_date={day}") for day, path in self.paths.items())

    def discard(self) -> None:
        """Remove what was written so far."""
        for day, writer in self.writers.items():
            writer.close()
            filesystem, path = open_filesystem(self.paths[day], self.target.settings)
            filesystem.delete_file(path)


def with_field_ids(schema: pa.Schema, field_ids: dict[str, int]) -> pa.Schema:
    """Put Iceberg's column ids into the fields: readers find columns by id, not by name."""
    return pa.schema([f.with_metadata({"PARQUET:field_id": str(field_ids[f.name])}) for f in schema])


def convert(spark: SparkSession, target: Target, files: Sequence[NewFile]) -> list[Converted]:
    """Convert the files in Spark tasks of about equal bytes; the result is in the order of the files."""
    if not files:
        return []
    context = spark.sparkContext
    groups = balance(files, min(len(files), TASKS_PER_CORE * context.defaultParallelism))

    def convert_group(group: list[NewFile]) -> Iterator[Converted]:
        pa.set_cpu_count(1)  # a task is one core; Arrow's own threads would take the others'
        for file in group:
            yield convert_file(target, file)

    results = context.parallelize(groups, len(groups)).flatMap(convert_group).collect()
    by_path = {result.file.landed.path: result for result in results}
    return [by_path[file.landed.path] for file in files]


def balance(files: Sequence[NewFile], groups: int) -> list[list[NewFile]]:
    """Deal the files out, largest first, each to the group that has the fewest bytes."""
    dealt: list[list[NewFile]] = [[] for _ in range(groups)]
    sizes = [0] * groups
    for file in sorted(files, key=lambda f: (-f.landed.bytes, f.landed.path)):
        smallest = sizes.index(min(sizes))
        dealt[smallest].append(file)
        sizes[smallest] += file.landed.bytes + 1
    return dealt


def convert_file(target: Target, file: NewFile) -> Converted:
    """Write one landing file's rows; what can't be read leaves nothing behind but its reason."""
    context = TaskContext.get()
    attempt = context.taskAttemptId() if context else 0
    writer = FileWriter(target, f"{attempt}-{hashlib.sha256(file.landed.path.encode()).hexdigest()[:12]}")
    groups: list[pa.Table] = []
    try:
        content = read_bytes(file.landed.url, target.settings)
        if hashlib.sha256(content).hexdigest() != file.sha256:
            raise UnreadableFileError("the file changed while it was being read; deliver it again")
        for batch in read_rows(content, file.claim, file.sha256, target.ingested_at):
            writer.write(batch)
            groups.append(group_by_delivery(batch))
    except UnreadableFileError as error:
        writer.discard()
        return Converted(file, unreadable=error.reason)
    return Converted(file, writer.close(), statistics_of(groups))


def discard(converted: Sequence[Converted], settings: Settings) -> None:
    """Remove data files that are not going to be committed."""
    for result in converted:
        for file in result.data_files:
            filesystem, path = open_filesystem(file.location, settings)
            filesystem.delete_file(path)


def group_by_delivery(batch: pa.RecordBatch) -> pa.Table:
    """Count a batch's rows and find its first and last event per instrument, delivery day and event day."""
    keys = ["instrument_id", "delivery_date", "event_date"]
    counted = pa.Table.from_batches([batch]).select([*keys, "ts_event", "_source_line"]).group_by(keys)
    return counted.aggregate([("_source_line", "count"), ("ts_event", "min"), ("ts_event", "max")])


def statistics_of(groups: Sequence[pa.Table]) -> tuple[DeliveryStatistics, ...]:
    """Add up the groups of all batches."""
    if not groups:
        return ()
    days = (
        pa.concat_tables(groups)
        .group_by(["instrument_id", "delivery_date", "event_date"])
        .aggregate([("_source_line_count", "sum"), ("ts_event_min", "min"), ("ts_event_max", "max")])
    )
    deliveries: dict[tuple[str, date], list[dict[str, Any]]] = {}
    for row in days.to_pylist():
        deliveries.setdefault((row["instrument_id"], row["delivery_date"]), []).append(row)
    return tuple(
        DeliveryStatistics(
            instrument_id,
            day,
            sum(row["_source_line_count_sum"] for row in rows),
            min((row["ts_event_min_min"] for row in rows if row["ts_event_min_min"]), default=None),
            max((row["ts_event_max_max"] for row in rows if row["ts_event_max_max"]), default=None),
            tuple(sorted(row["event_date"] for row in rows)),
        )
        for (instrument_id, day), rows in sorted(deliveries.items())
    )


def target_of(settings: Settings, table: Table, run_id: str, ingested_at: datetime) -> Target:
    """Describe a table to the tasks that write its files."""
    iceberg = load(settings, table)
    field_ids = {field.name: field.field_id for field in iceberg.schema().fields}
    return Target(settings, iceberg.location().rstrip("/"), field_ids, run_id, ingested_at)
