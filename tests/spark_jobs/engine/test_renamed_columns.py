"""Staging onto a table whose columns were renamed, also those of its partitions and order, replaces what it should."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import polars as pl
import pyarrow as pa

from lakehouse.lake.catalog import load
from lakehouse.lake.history import rows_per_slice
from lakehouse.lake.migration import migrate_table, require_tables
from lakehouse.lake.scans import pin
from lakehouse.lake.schema import arrow_table
from lakehouse.tables import Table
from lakehouse.tables.finance import GOLD_RETURN_CORRELATIONS_1D
from spark_jobs.engine.kept import stage_rows
from spark_jobs.engine.stage import Branch, stage_frame

FRIDAY, SATURDAY, SUNDAY = date(2024, 3, 29), date(2024, 3, 30), date(2024, 3, 31)
NAMES = {"event_date": "day", "instrument_id_a": "first_id"}
"""The partition, and the first column of the sort order."""


def rename(table: Table) -> Table:
    """The declaration of a later version."""
    columns = [replace(c, name=NAMES[c.name], formerly=(c.name,)) if c.name in NAMES else c for c in table.columns]
    return replace(
        table,
        columns=tuple(columns),
        primary_key=tuple(NAMES.get(name, name) for name in table.primary_key),
        sorted_by=tuple(NAMES.get(name, name) for name in table.sorted_by),
        partitioned_by=("day",),
        replaced_by="day",
    )


def pairs(table: Table, *values: tuple[Any, ...]) -> pa.Table:
    return arrow_table(table, [dict(zip(table.column_names, value, strict=False)) for value in values])


def test_staging_by_files_and_by_frame_replaces_slices_from_before_a_rename(lake: Any) -> None:
    table, renamed = GOLD_RETURN_CORRELATIONS_1D, rename(GOLD_RETURN_CORRELATIONS_1D)
    require_tables(lake.settings, [table])
    before = ((FRIDAY, "a", "b"), (SATURDAY, "a", "b"), (SATURDAY, "a", "c"), (SUNDAY, "a", "b"))
    load(lake.settings, table).append(pairs(table, *before))
    migrate_table(load(lake.settings, table), renamed)

    keys = dict.fromkeys((SATURDAY, SUNDAY), "k")
    started = datetime.now(UTC)
    branch = Branch(
        lake.spark, lake.settings, renamed, load(lake.settings, renamed), "audit_test", "run", "key", keys, started
    )
    lake.spark.sql(f"ALTER TABLE {renamed.full_name} CREATE BRANCH audit_test")
    stage_frame(branch, lake.spark.createDataFrame(pairs(renamed, (SATURDAY, "a", "d"))), [SATURDAY])
    stage_rows(branch, pl.DataFrame(pairs(renamed, (SUNDAY, "a", "e"))), [SUNDAY])
    branch.java_table().manageSnapshots().fastForwardBranch("main", "audit_test").commit()

    found = load(lake.settings, renamed)
    assert rows_per_slice(found, "day") == {FRIDAY: 1, SATURDAY: 1, SUNDAY: 1}
    expected = [(FRIDAY, "a", "b"), (SATURDAY, "a", "d"), (SUNDAY, "a", "e")]
    key = ("day", "first_id", "instrument_id_b")
    assert sorted(map(tuple, lake.spark.table(renamed.full_name).select(*key).collect())) == expected
    assert sorted(pin(found, lake.settings).rows().select(key).collect().rows()) == expected
