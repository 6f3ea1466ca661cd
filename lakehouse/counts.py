"""Counting rows of a table without a JVM, file by file, so that memory does not grow with the number of files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from pyiceberg.expressions import BooleanExpression

from lakehouse.catalog import load
from lakehouse.scans import all_of, read_by_file
from lakehouse.settings import Settings
from lakehouse.tables import Table

Counts = dict[tuple[Any, ...], int]
"""Rows by the values of some columns."""


def count_by(
    settings: Settings,
    table: Table,
    columns: Sequence[str],
    conditions: Iterable[BooleanExpression],
    reference: str = "main",
) -> Counts:
    """Count the rows of a branch or tag that meet all conditions, by the values of some columns."""
    iceberg = load(settings, table)
    known = iceberg.refs().get(reference)
    counts: Counts = {}
    if known is None:  # nothing was ever published
        return counts
    scan = iceberg.scan(all_of(tuple(conditions)), tuple(columns), snapshot_id=known.snapshot_id)
    for rows in read_by_file(scan):
        for row in rows.group_by(list(columns)).aggregate([([], "count_all")]).to_pylist():
            key = tuple(row[name] for name in columns)
            counts[key] = counts.get(key, 0) + row["count_all"]
    return counts
