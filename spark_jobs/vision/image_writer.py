"""Arrow batches of bronze.images as Parquet files in the table's folder, as Iceberg finds its columns in them."""

from __future__ import annotations

from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.types import ListType

from lakehouse.config.settings import Settings
from lakehouse.lake.catalog import load
from lakehouse.lake.store import open_filesystem
from lakehouse.tables.vision import BRONZE_IMAGES
from spark_jobs.engine.stage import DataFile
from spark_jobs.layers.convert import Target, with_field_ids

DICTIONARY_COLUMNS = (
    *("source", "dataset", "split", "delivery_part", "raw_label", "height", "width", "channels"),
    *("_label_file", "_label_sha256", "_source_file", "_source_member", "_source_sha256", "_ingested_at"),
)


@dataclass
class ImageWriter:
    """Writes one delivery's images, a Parquet file per split."""

    target: Target
    stem: str
    element_ids: dict[str, int]
    writers: dict[str, pq.ParquetWriter] = field(default_factory=dict)
    paths: dict[str, str] = field(default_factory=dict)

    def write(self, partition: str, batch: pa.RecordBatch) -> None:
        """Write a batch to the file of its partition."""
        if partition not in self.writers:
            folder = f"{self.target.location}/data/{partition}"
            self.paths[partition] = f"{folder}/{self.target.run_id}-{self.stem}.parquet"
            filesystem, path = open_filesystem(self.paths[partition], self.target.settings)
            filesystem.create_dir(path.rpartition("/")[0], recursive=True)
            schema = with_element_ids(with_field_ids(batch.schema, self.target.field_ids), self.element_ids)
            self.writers[partition] = pq.ParquetWriter(
                path,
                schema,
                filesystem=filesystem,
                compression="zstd",
                compression_level=1,
                use_dictionary=list(DICTIONARY_COLUMNS),
                write_statistics=[name for name in schema.names if name != "raw_pixels"],
                store_schema=False,
            )
        writer = self.writers[partition]
        writer.write_table(pa.Table.from_batches([batch]).cast(writer.schema), row_group_size=batch.num_rows)

    def close(self) -> tuple[DataFile, ...]:
        """Finish every file and return what was written."""
        for writer in self.writers.values():
            writer.close()
        return tuple(DataFile(path, partition) for partition, path in self.paths.items())

    def discard(self) -> None:
        """Remove what was written so far."""
        for file in self.close():
            remove(file, self.target.settings)


def with_element_ids(schema: pa.Schema, element_ids: dict[str, int]) -> pa.Schema:
    """Give the elements of lists Iceberg's field ids, without which it does not find them in the file."""
    fields = []
    for item in schema:
        if item.name in element_ids:
            metadata = {"PARQUET:field_id": str(element_ids[item.name])}
            element = pa.field("element", item.type.value_type, metadata=metadata)
            item = pa.field(item.name, pa.list_(element), metadata=item.metadata)  # noqa: PLW2901
        fields.append(item)
    return pa.schema(fields)


def element_ids_of(settings: Settings) -> dict[str, int]:
    """Return Iceberg's field ids of the elements of bronze.images' lists."""
    fields = load(settings, BRONZE_IMAGES).schema().fields
    return {item.name: item.field_type.element_id for item in fields if isinstance(item.field_type, ListType)}


def remove(file: DataFile, settings: Settings) -> None:
    """Remove a data file that no snapshot names."""
    filesystem, path = open_filesystem(file.location, settings)
    filesystem.delete_file(path)
