"""A table as it is at one moment, read without a JVM and without asking the catalog again, wherever this is sent to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import reduce

import pyarrow as pa
from pyiceberg.expressions import AlwaysTrue, And, BooleanExpression, In, Reference
from pyiceberg.io.pyarrow import ArrowScan
from pyiceberg.schema import Schema
from pyiceberg.table import DataScan, StaticTable
from pyiceberg.table import Table as IcebergTable

from lakehouse.catalog import load
from lakehouse.settings import Settings
from lakehouse.tables import Table


@dataclass(frozen=True)
class PinnedTable:
    """A metadata file, which never changes, and the snapshot to read: that of a branch, or None for `main`."""

    settings: Settings
    metadata_location: str
    snapshot_id: int | None = None

    def read(self, columns: Sequence[str], conditions: Sequence[BooleanExpression] = ()) -> pa.Table:
        """Read the rows that meet all conditions."""
        scan = self.scan(columns, conditions)
        return arrow_scan(scan).to_table(scan.plan_files())

    def read_files(self, columns: Sequence[str], conditions: Sequence[BooleanExpression] = ()) -> Iterator[pa.Table]:
        """Read the same rows file by file, so that memory does not grow with the number of files."""
        return read_by_file(self.scan(columns, conditions))

    def scan(self, columns: Sequence[str] = ("*",), conditions: Sequence[BooleanExpression] = ()) -> DataScan:
        """Make PyIceberg's scan of these rows."""
        table = StaticTable.from_metadata(self.metadata_location, self.settings.s3_properties())
        return table.scan(all_of(conditions), tuple(columns), snapshot_id=self.snapshot_id)


def is_one_of(column: str, values: Iterable[date | str]) -> BooleanExpression:
    """Select rows by the values of a column, as PyIceberg takes it: files without such a row are not opened."""
    return In(term=Reference(column), values=tuple(values))  # type: ignore[arg-type]


def all_of(conditions: Sequence[BooleanExpression]) -> BooleanExpression:
    """Select rows that meet all conditions."""
    return reduce(And, conditions) if conditions else AlwaysTrue()


def pin(iceberg: IcebergTable, settings: Settings, reference: str = "main") -> PinnedTable:
    """Pin a table as it was loaded; a branch must exist, `main` need not."""
    snapshot_id = None if reference == "main" else iceberg.refs()[reference].snapshot_id
    return PinnedTable(settings, iceberg.metadata_location, snapshot_id)


def pin_current(settings: Settings, table: Table, reference: str = "main") -> PinnedTable:
    """Pin a table as the catalog has it now."""
    return pin(load(settings, table), settings, reference)


def read_by_file(scan: DataScan) -> Iterator[pa.Table]:
    """Read a scan's rows file by file: the reader takes up all files of a call at once, however slowly it is read."""
    reader = arrow_scan(scan)
    for task in scan.plan_files():
        yield reader.to_table([task])


def arrow_scan(scan: DataScan) -> ArrowScan:
    """Return the reader of a scan's files."""
    return ArrowScan(scan.table_metadata, scan.io, schema_of(scan), scan.row_filter)


def schema_of(scan: DataScan) -> Schema:
    """Return the columns that a scan reads as the table has them today, as Spark does.

    PyIceberg's own projection is that of the snapshot, which lacks the columns that were added since.
    """
    schema = scan.table_metadata.schema()
    return schema if "*" in scan.selected_fields else schema.select(*scan.selected_fields)
