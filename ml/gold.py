"""Gold as training reads it: at a pinned snapshot, only the columns and rows that are needed, in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

import polars as pl
import pyarrow as pa
from pyiceberg.table import Table as IcebergTable

from lakehouse.config.settings import Settings
from lakehouse.errors import BadInputError
from lakehouse.lake.as_of import resolve_snapshot
from lakehouse.lake.catalog import load
from lakehouse.lake.scans import PinnedTable
from lakehouse.lake.schema import arrow_schema
from lakehouse.tables import Table, find_table

PIECE_BYTES = 2**30
"""Arrow's binary columns count their bytes with 31 bits: the pixels of a large image set come in several pieces."""


@dataclass(frozen=True)
class RowFilter:
    """Which rows are read: equal values, one of several, and days `[first, last_exclusive)` of the column that
    partitions the table.
    """

    equal: tuple[tuple[str, str], ...] = ()
    any_of: tuple[tuple[str, tuple[str, ...]], ...] = ()
    day_column: str = "event_date"
    first: date | None = None
    last_exclusive: date | None = None

    def until(self, last_exclusive: date) -> RowFilter:
        """Return the same rows of all days before one."""
        return replace(self, first=None, last_exclusive=last_exclusive)

    def conditions(self, table: Table) -> tuple[pl.Expr, ...]:
        """Return the filter as conditions on rows; a file that holds no such row is not opened."""

        def column(name: str) -> pl.Expr:
            return pl.col(table.current_name(name))

        return (
            *(column(name) == value for name, value in self.equal),
            *(column(name).is_in(values) for name, values in self.any_of),
            *((column(self.day_column) >= self.first,) if self.first else ()),
            *((column(self.day_column) < self.last_exclusive,) if self.last_exclusive else ()),
        )


@dataclass(frozen=True)
class Pin:
    """One table at one snapshot, under the tag that keeps the snapshot."""

    identifier: str
    tag: str
    snapshot_id: int
    schema_id: int

    @property
    def table(self) -> Table:
        """The table's declaration."""
        return find_table(self.identifier)


def choose_snapshot(settings: Settings, table: Table, as_of: str | None) -> tuple[int, int]:
    """Return snapshot and schema id of a point in time, main's newest where it is None.

    Raises:
        BadInputError: the table is empty, or knows no such point.
    """
    iceberg = load(settings, table)
    snapshot = resolve_snapshot(iceberg, as_of)
    if snapshot is None:
        raise BadInputError(f"{table.identifier} has no rows yet; fill it first: lakehouse run <domain>")
    schema_id = snapshot.schema_id if snapshot.schema_id is not None else iceberg.schema().schema_id
    return snapshot.snapshot_id, schema_id


def read_gold(settings: Settings, pin: Pin, columns: Sequence[str] | None, row_filter: RowFilter) -> pa.Table:
    """Read the columns, or all that the snapshot has, of the rows that match, ascending by primary key.

    The tag must still be where it was pinned: nothing is read from a tag that somebody moved.

    Raises:
        BadInputError: the tag is gone or elsewhere, or the snapshot lacks a column.
    """
    iceberg = load(settings, pin.table)
    reference = iceberg.refs().get(pin.tag)
    if reference is None or reference.snapshot_id != pin.snapshot_id:
        found = f"at snapshot {reference.snapshot_id}" if reference else "gone"
        raise BadInputError(f"tag {pin.tag} of {pin.identifier} is {found}; expected snapshot {pin.snapshot_id}")
    return read_snapshot(settings, pin.table, pin.snapshot_id, columns, row_filter)


def read_snapshot(
    settings: Settings, table: Table, snapshot_id: int, columns: Sequence[str] | None, row_filter: RowFilter
) -> pa.Table:
    """Read the columns, or all that the snapshot has, of the rows that match, ascending by primary key.

    The types are the declared ones. A configuration that was recorded with a run may name a column as it was called
    then: the column is returned by that name, whatever the snapshot and the table call it.

    Raises:
        BadInputError: the snapshot is gone or lacks a column.
    """
    iceberg = load(settings, table)
    known = columns_of_snapshot(iceberg, table, snapshot_id)
    names = (*table.primary_key, *(known if columns is None else columns))
    asked = {name: table.current_name(name) for name in names}
    missing = [name for name, current in asked.items() if current not in known]
    if missing:
        raise BadInputError(
            f"{table.identifier} has no column {', '.join(missing)} at snapshot {snapshot_id}; choose a snapshot "
            "that was written since the column was added (--as-of), or features that do not need it"
        )
    wanted = [name for name in table.column_names if name in asked.values()]
    rows = PinnedTable(settings, iceberg.metadata_location, snapshot_id).rows(*row_filter.conditions(table))
    found = as_declared(table, in_order(rows.select(wanted).collect(engine="streaming"), table.primary_key))
    in_table = sorted(asked, key=lambda name: table.column_names.index(asked[name]))
    return pa.table({name: found.column(asked[name]) for name in in_table})


def columns_of_snapshot(iceberg: IcebergTable, table: Table, snapshot_id: int) -> set[str]:
    """Return the declared columns that a snapshot has: a column that was added later would be read as null.

    Raises:
        BadInputError: there is no such snapshot.
    """
    snapshot = iceberg.snapshot_by_id(snapshot_id)
    if snapshot is None:
        raise BadInputError(f"{table.identifier} has no snapshot {snapshot_id} any more: it expired; prepare a new run")
    then = iceberg.schema() if snapshot.schema_id is None else iceberg.schemas()[snapshot.schema_id]
    ids = {field.field_id for field in then.fields}
    return {field.name for field in iceberg.schema().fields if field.field_id in ids} & {*table.column_names}


def in_order(rows: pl.DataFrame, keys: Sequence[str]) -> pl.DataFrame:
    """Return the rows ascending by keys; rows that are in order are not copied, since pixels take a lot of memory."""
    is_sorted = len(keys) == 1 and rows[keys[0]].is_sorted()
    return rows if is_sorted else rows.sort(keys, nulls_last=True, maintain_order=True)


def as_declared(table: Table, rows: pl.DataFrame) -> pa.Table:
    """Return the rows with the declared types, in one piece where Arrow can address a column's bytes as one."""
    declared = arrow_schema(table)
    schema = pa.schema([declared.field(name) for name in rows.columns])
    if rows.is_empty():
        return schema.empty_table()
    per_piece = max(1, len(rows) * PIECE_BYTES // int(rows.estimated_size()))
    pieces = (piece.to_arrow(compat_level=pl.CompatLevel.oldest()) for piece in rows.iter_slices(per_piece))
    return pa.concat_tables([piece.cast(schema) for piece in pieces]).combine_chunks()
