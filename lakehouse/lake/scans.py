"""A table as it is at one moment, read without a JVM and without asking the catalog again, wherever this is sent to."""

from __future__ import annotations

import os
from dataclasses import dataclass

import polars as pl
from pyiceberg.expressions import BooleanExpression
from pyiceberg.table import DataScan, StaticTable
from pyiceberg.table import Table as IcebergTable

from lakehouse.config.settings import Settings
from lakehouse.lake.catalog import load
from lakehouse.tables import Table

os.environ.setdefault("POLARS_ICEBERG_PLANNER", "pyiceberg")  # else Polars warns that it has a faster one to install


@dataclass(frozen=True)
class PinnedTable:
    """A metadata file, which never changes, and the snapshot to read: that of a branch, or None for `main`."""

    settings: Settings
    metadata_location: str
    snapshot_id: int | None = None

    def rows(self, *conditions: pl.Expr) -> pl.LazyFrame:
        """Return the rows that meet all conditions, to be read by Polars; files without such a row are not opened.

        Polars reads a column ten times as fast as PyIceberg does, and only those that are asked for. The columns have
        the names of today; one that was added after a file was written is null there.
        """
        return pl.scan_iceberg(self._table(), storage_options=self.settings.s3_properties()).filter(*conditions)

    def scan(self, condition: BooleanExpression, columns: tuple[str, ...] = ("*",)) -> DataScan:
        """Make PyIceberg's scan of the rows that meet a condition, which knows their files; by the names of today."""
        return self._table().scan(condition, columns)

    def _table(self) -> StaticTable:
        table = StaticTable.from_metadata(self.metadata_location, self.settings.s3_properties())
        if self.snapshot_id is not None:  # asked for a snapshot, Polars and PyIceberg give the columns of its own time
            table.metadata = table.metadata.model_copy(update={"current_snapshot_id": self.snapshot_id})
        return table


def pin(iceberg: IcebergTable, settings: Settings, reference: str = "main") -> PinnedTable:
    """Pin a table as it was loaded; a branch must exist, `main` need not."""
    snapshot_id = None if reference == "main" else iceberg.refs()[reference].snapshot_id
    return PinnedTable(settings, iceberg.metadata_location, snapshot_id)


def pin_current(settings: Settings, table: Table, reference: str = "main") -> PinnedTable:
    """Pin a table as the catalog has it now."""
    return pin(load(settings, table), settings, reference)
