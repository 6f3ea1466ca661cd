"""Gold as training reads it: through PyIceberg into Arrow, at a pinned snapshot, only what is needed, in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.expressions import (
    AlwaysTrue,
    And,
    BooleanExpression,
    EqualTo,
    GreaterThanOrEqual,
    In,
    LessThan,
    Reference,
)

from lakehouse.config.settings import Settings
from lakehouse.errors import BadInputError
from lakehouse.lake.as_of import resolve_snapshot
from lakehouse.lake.catalog import load
from lakehouse.tables import Table, find_table


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

    def expression(self) -> BooleanExpression:
        """Return it as PyIceberg prunes files by it; values are bound, never spelled into a text."""
        wanted: BooleanExpression = AlwaysTrue()
        for name, value in self.equal:
            wanted = And(wanted, EqualTo(term=Reference(name), value=value))  # type: ignore[arg-type]
        for name, values in self.any_of:
            wanted = And(wanted, In(Reference(name), values))  # type: ignore[call-arg, arg-type]
        day = Reference(self.day_column)
        if self.first:
            wanted = And(wanted, GreaterThanOrEqual(term=day, value=self.first))  # type: ignore[arg-type]
        if self.last_exclusive:
            wanted = And(wanted, LessThan(term=day, value=self.last_exclusive))  # type: ignore[arg-type]
        return wanted


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


def read_gold(settings: Settings, pin: Pin, columns: Sequence[str], row_filter: RowFilter) -> pa.Table:
    """Read the columns of the rows that match, ascending by primary key.

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
    settings: Settings, table: Table, snapshot_id: int, columns: Sequence[str], row_filter: RowFilter
) -> pa.Table:
    """Read the columns of the rows that match at a snapshot, ascending by primary key.

    Raises:
        BadInputError: the snapshot lacks a column.
    """
    wanted = [name for name in table.column_names if name in {*columns, *table.primary_key}]
    try:
        scan = load(settings, table).scan(row_filter.expression(), tuple(wanted), snapshot_id=snapshot_id)
        rows = scan.to_arrow()
    except ValueError as error:
        raise BadInputError(f"{table.identifier} at snapshot {snapshot_id}: {error}") from None
    return in_order(rows.select(wanted).combine_chunks(), table.primary_key)


def in_order(rows: pa.Table, keys: Sequence[str]) -> pa.Table:
    """Return the rows ascending by keys; files that were written in order are not sorted, and copied, once more."""
    if len(keys) == 1 and rows.num_rows:
        key = rows.column(keys[0])
        if pc.all(pc.less_equal(key.slice(0, rows.num_rows - 1), key.slice(1)), min_count=0).as_py():
            return rows
    return rows.sort_by([(name, "ascending") for name in keys]).combine_chunks()
