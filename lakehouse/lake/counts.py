"""Counting rows of a table without a JVM, as they stream by, so that memory does not grow with the number of rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import polars as pl

from lakehouse.config.settings import Settings
from lakehouse.lake.catalog import load
from lakehouse.lake.scans import pin
from lakehouse.tables import Table

Counts = dict[tuple[Any, ...], int]
"""Rows by the values of some columns."""


def count_by(
    settings: Settings,
    table: Table,
    columns: Sequence[str],
    conditions: Iterable[pl.Expr] = (),
    reference: str = "main",
) -> Counts:
    """Count the rows of a branch or tag that meet all conditions, by the values of some columns."""
    iceberg = load(settings, table)
    if reference not in iceberg.refs():  # nothing was ever published
        return {}
    rows = pin(iceberg, settings, reference).rows(*conditions)
    counted = rows.group_by(columns).len().collect(engine="streaming")
    return {row[:-1]: row[-1] for row in counted.rows()}
