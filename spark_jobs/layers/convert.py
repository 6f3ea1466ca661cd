"""Files of the landing folder become Parquet data files of a bronze table, written by Spark tasks side by side.

Bronze is a conversion of files, so no row passes through the JVM: a task reads a file with its source, writes Arrow
batches as Parquet into the table's folder and reports what it wrote; the driver commits the files in one step.
"""

from __future__ import annotations

import gc
import hashlib
import secrets
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any
from zipimport import zipimporter

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyspark import TaskContext
from pyspark.sql import SparkSession

from lakehouse.config.settings import Settings
from lakehouse.lake.catalog import load
from lakehouse.lake.store import open_filesystem
from lakehouse.tables import Table
from spark_jobs.engine.stage import DataFile
from spark_jobs.sources.base import Claim, UnreadableFileError
from spark_jobs.sources.landing import LandedFile, read_bytes
from spark_jobs.sources.reading import read_rows

ROW_GROUP_ROWS = 1 << 20
TASKS_PER_CORE = 4
"""Enough for an even load; more cost more starts than they balance."""
DICTIONARY_COLUMNS = (
    "source",
    "instrument_id",
    "meter_id",
    "dialect",
    "interval_min",
    "zone",
    "country",
    "utc_offset_min",
    "second_utc_offset_min",
    "is_skipped_time",
    "active_power_factor",
    "reactive_power_factor",
    "sub_metering_factor",
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

ELEMENT = "element"
"""What Iceberg calls the elements of a list; their ids are those of `column.element`."""
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
    table: Table
    field_ids: dict[str, int]
    run_id: str
    ingested_at: datetime


@dataclass
class FileWriter:
    """Writes one landing file's batches as one Parquet file per partition of the table."""

    target: Target
    stem: str
    writers: dict[str, pq.ParquetWriter] = field(default_factory=dict)
    paths: dict[str, str] = field(default_factory=dict)

    def write(self, batch: pa.RecordBatch) -> None:
        """Write a batch, split by delivery day where the table is partitioned by it."""
        if not self.target.table.partitioned_by:
            self.writer("", batch.schema).write_batch(batch, row_group_size=ROW_GROUP_ROWS)
            return
        days = pc.unique(batch.column("delivery_date")).to_pylist()
        for day in days:
            part = batch if len(days) == 1 else batch.filter(pc.equal(batch.column("delivery_date"), day))
            self.writer(f"delivery_date={day}", batch.schema).write_batch(part, row_group_size=ROW_GROUP_ROWS)

    def writer(self, partition: str, schema: pa.Schema) -> pq.ParquetWriter:
        """Return the open file of a partition."""
        if partition not in self.writers:
            folder = f"{self.target.location}/data/{partition}".rstrip("/")
            # A task may write a day twice over, and a run that plans again may have published what it wrote first
            name = f"{self.target.run_id}-{self.stem}-{secrets.token_hex(8)}"
            self.paths[partition] = f"{folder}/{name}.parquet"
            filesystem, path = open_filesystem(self.paths[partition], self.target.settings)
            filesystem.create_dir(path.rpartition("/")[0], recursive=True)
            self.writers[partition] = pq.ParquetWriter(
                path,
                with_field_ids(schema, self.target.field_ids),
                filesystem=filesystem,
                compression="zstd",
                compression_level=1,
                use_dictionary=[name for name in DICTIONARY_COLUMNS if name in schema.names],
                store_schema=False,
            )
        return self.writers[partition]

    def close(self) -> tuple[DataFile, ...]:
        """Finish every file and return what was written."""
        for writer in self.writers.values():
            writer.close()
        return tuple(DataFile(path, partition) for partition, path in self.paths.items())

    def discard(self) -> None:
        """Remove what was written so far."""
        for partition, writer in self.writers.items():
            writer.close()
            filesystem, path = open_filesystem(self.paths[partition], self.target.settings)
            filesystem.delete_file(path)


def with_field_ids(schema: pa.Schema, field_ids: dict[str, int]) -> pa.Schema:
    """Put Iceberg's ids into the columns and the elements of lists: readers find them by id, not by name."""
    fields = []
    for column in schema:
        kind = column.type
        if pa.types.is_list(kind):
            kind = pa.list_(with_field_id(pa.field(ELEMENT, kind.value_type), field_ids[f"{column.name}.{ELEMENT}"]))
        fields.append(with_field_id(pa.field(column.name, kind), field_ids[column.name]))
    return pa.schema(fields)


def with_field_id(column: pa.Field, field_id: int) -> pa.Field:
    """Put an id into a field, as Parquet has it."""
    return column.with_metadata({"PARQUET:field_id": str(field_id)})


def convert(spark: SparkSession, target: Target, files: Sequence[NewFile]) -> list[Converted]:
    """Convert the files in Spark tasks of about equal bytes; the result is in the order of the files."""
    if not files:
        return []
    context = spark.sparkContext
    sizes = {file.landed.path: file.landed.bytes for file in sorted(files, key=lambda file: file.landed.path)}
    of_path = {file.landed.path: file for file in files}
    dealt = deal(sizes, min(len(files), TASKS_PER_CORE * context.defaultParallelism))
    groups = [[of_path[path] for path in group] for group in dealt]

    def convert_group(group: list[NewFile]) -> Iterator[Converted]:
        settle_worker()
        for file in group:
            yield convert_file(target, file)

    results = context.parallelize(groups, len(groups)).flatMap(convert_group).collect()
    by_path = {result.file.landed.path: result for result in results}
    return [by_path[file.landed.path] for file in files]


def settle_worker() -> None:
    """Make the Python process of a task one core's, and quick to begin its next task.

    Between tasks Spark collects garbage, among all objects that libraries have made, and has Python list anew what
    can be imported: in zip archives, of which Spark's own is one, thousands of names per folder. Each was 0.1 s a
    task. Finders of archives are made again where an import needs them.
    """
    pa.set_cpu_count(1)  # Arrow's own threads would take the others' cores
    gc.freeze()
    for path, finder in list(sys.path_importer_cache.items()):
        if isinstance(finder, zipimporter):
            del sys.path_importer_cache[path]


def deal(sizes: Mapping[str, int], groups: int) -> list[list[str]]:
    """Deal things out, largest first, each to the group that has the least so far."""
    dealt: list[list[str]] = [[] for _ in range(groups)]
    totals = [0] * groups
    for item in sorted(sizes, key=lambda key: -sizes[key]):
        smallest = totals.index(min(totals))
        dealt[smallest].append(item)
        totals[smallest] += sizes[item] + 1
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
            groups.append(group_by_delivery(batch, target.table))
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
    return tuple(
        DeliveryStatistics(
            subject,
            day,
            sum(row["line_count_sum"] for row in rows),
            min((as_utc(row["time_min_min"]) for row in rows if row["time_min_min"]), default=None),
            max((as_utc(row["time_max_max"]) for row in rows if row["time_max_max"]), default=None),
            tuple(sorted(row["event_date"] for row in rows)),
        )
        for (subject, day), rows in sorted(deliveries.items())
    )


def as_utc(time: datetime) -> datetime:
    """Write a meter's civil time as the manifest has it, whose times all have a zone."""
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def target_of(settings: Settings, table: Table, run_id: str, ingested_at: datetime) -> Target:
    """Describe a table to the tasks that write its files."""
    iceberg = load(settings, table)
    schema = iceberg.schema()
    field_ids = {name: schema.find_field(name).field_id for name in schema.column_names}
    return Target(settings, iceberg.location().rstrip("/"), table, field_ids, run_id, ingested_at)
