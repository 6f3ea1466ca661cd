"""Parquet data files in a table's folder, written by a Spark task or by the driver; no snapshot names them yet.

Iceberg finds columns by field id, so each file carries the ids of the table's schema. Names hold a random part: a run
that plans again must not write over a file that it has published.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.table import Table as IcebergTable

from lakehouse.config.settings import Settings
from lakehouse.lake.schema import arrow_schema, month_field
from lakehouse.lake.store import open_filesystem
from lakehouse.tables import Table

ROW_GROUP_ROWS = 1 << 20
ROW_GROUP_BYTES = 32 << 20
"""Of tables with binary columns: enough to compress well, few enough for several tasks to read one file."""
ELEMENT = "element"
"""What Iceberg calls the elements of a list; their ids are those of `column.element`."""
NULL_PARTITION = "__HIVE_DEFAULT_PARTITION__"
"""How Iceberg spells a null in a partition's path."""


@dataclass(frozen=True)
class DataFile:
    """A Parquet file in the table's folder that no snapshot names yet.

    `partition` is Iceberg's `column=value` path, empty for a table without partitions.
    """

    location: str
    partition: str


@dataclass(frozen=True)
class Target:
    """A table as a task that writes its files must know it; `started_at` is when the run began, UTC."""

    settings: Settings
    location: str
    table: Table
    field_ids: Mapping[str, int]
    run_id: str
    started_at: datetime


def target_of(settings: Settings, table: Table, iceberg: IcebergTable, run_id: str, started_at: datetime) -> Target:
    """Describe a table to the tasks that write its files."""
    schema = iceberg.schema()
    field_ids = {name: schema.find_field(name).field_id for name in schema.column_names}
    return Target(settings, iceberg.location().rstrip("/"), table, field_ids, run_id, started_at)


@dataclass
class FileWriter:
    """Writes batches as one Parquet file per partition; `stem` is a readable part of the files' names."""

    target: Target
    stem: str
    writers: dict[str, pq.ParquetWriter] = field(default_factory=dict)
    paths: dict[str, str] = field(default_factory=dict)

    def write(self, partition: str, rows: pa.Table) -> None:
        """Add rows, of the table's columns in their order, to the file of their partition."""
        self.writer(partition, rows.schema).write_table(rows, row_group_size=row_group_size(self.target.table, rows))

    def writer(self, partition: str, schema: pa.Schema) -> pq.ParquetWriter:
        """Return the open file of a partition."""
        if partition not in self.writers:
            folder = f"{self.target.location}/data/{partition}".rstrip("/")
            name = f"{self.target.run_id}-{self.stem}-{secrets.token_hex(8)}"
            self.paths[partition] = f"{folder}/{name}.parquet"
            filesystem, path = open_filesystem(self.paths[partition], self.target.settings)
            filesystem.create_dir(path.rpartition("/")[0], recursive=True)
            columns = {column.name: column for column in self.target.table.columns}
            self.writers[partition] = pq.ParquetWriter(
                path,
                with_field_ids(schema, self.target.field_ids),
                filesystem=filesystem,
                compression="zstd",
                compression_level=1,
                use_dictionary=[name for name in schema.names if columns[name].has_few_values],
                write_statistics=[name for name in schema.names if columns[name].type != "binary"],
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
        discard(self.close(), self.target.settings)


def row_group_size(table: Table, rows: pa.Table) -> int:
    """Return the rows of a row group: fewer if rows are as large as images."""
    if rows.num_rows == 0 or all(column.type != "binary" for column in table.columns):
        return ROW_GROUP_ROWS
    row_bytes = max(1, int(rows.nbytes) // int(rows.num_rows))
    return max(1, min(ROW_GROUP_ROWS, ROW_GROUP_BYTES // row_bytes))


def discard(files: Iterable[DataFile], settings: Settings) -> None:
    """Remove data files that are not going to be committed."""
    for file in files:
        filesystem, path = open_filesystem(file.location, settings)
        filesystem.delete_file(path)


def write_rows(target: Target, rows: pl.DataFrame, stem: str) -> tuple[DataFile, ...]:
    """Write rows in their order, one data file per partition of the table; `_ingested_at` is added if it is missing.

    If that fails, what was written is removed; a killed task leaves orphans, which no snapshot names.
    """
    if rows.height == 0:
        return ()
    table, schema = target.table, arrow_schema(target.table)
    if "_ingested_at" in table.column_names and "_ingested_at" not in rows.columns:
        rows = rows.with_columns(pl.lit(target.started_at).alias("_ingested_at"))
    writer = FileWriter(target, stem)
    try:
        for partition, part in split_by_partition(table, rows):
            batch = part.select(table.column_names).to_arrow(compat_level=pl.CompatLevel.oldest())
            writer.write(partition, batch.cast(schema))
        return writer.close()
    except BaseException:
        writer.discard()
        raise


def split_by_partition(table: Table, rows: pl.DataFrame) -> Iterable[tuple[str, pl.DataFrame]]:
    """Yield the rows of each partition of a table, with the partition's path."""
    if not table.partitioned_by:
        return [("", rows)]
    names = table.partitioned_by
    if table.is_by_month:
        names = (month_field(str(table.replaced_by)),)
        day = pl.col(str(table.replaced_by))
        month = ((day.dt.year() - 1970) * 12 + day.dt.month() - 1).alias(month_field(str(table.replaced_by)))
        rows = rows.with_columns(month)
    parts = rows.partition_by(*names, as_dict=True, maintain_order=True)
    return [(partition_path(dict(zip(names, values, strict=True))), part) for values, part in parts.items()]


def partition_path(values: Mapping[str, object]) -> str:
    """Spell a partition as Iceberg reads it: `column=value`, one level per column."""
    return "/".join(f"{name}={NULL_PARTITION if value is None else value}" for name, value in values.items())


def with_field_ids(schema: pa.Schema, field_ids: Mapping[str, int]) -> pa.Schema:
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
