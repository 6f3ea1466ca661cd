"""Counting rows by columns, on branches and on main."""

from __future__ import annotations

import polars as pl
import pyarrow as pa
import pytest

from lakehouse.config.settings import read_settings
from lakehouse.lake.catalog import load
from lakehouse.lake.counts import count_by
from lakehouse.lake.migration import migrate
from lakehouse.lake.schema import arrow_table
from lakehouse.tables.finance import GOLD_INSTRUMENTS

COLUMNS = ("venue", "asset_class")


@pytest.fixture
def instruments(tmp_path):
    settings = read_settings({"LAKEHOUSE_HOME": str(tmp_path)})
    migrate(settings)
    return settings


def append(settings, branch, *rows):
    written = [dict(zip(("instrument_id", "venue", "asset_class"), row, strict=True)) for row in rows]
    table: pa.Table = arrow_table(GOLD_INSTRUMENTS, written)
    load(settings, GOLD_INSTRUMENTS).append(table, branch=branch)


def test_count_by_adds_up_files_and_reads_the_branch_that_is_named(instruments):
    append(instruments, "main", ("A.X", "X", "crypto"), ("B.X", "X", "crypto"), ("C.Y", "Y", "equity"))
    append(instruments, "main", ("D.X", "X", "crypto"), ("E.X", "X", "equity"))
    iceberg = load(instruments, GOLD_INSTRUMENTS)
    iceberg.manage_snapshots().create_branch(iceberg.current_snapshot().snapshot_id, "audit_1").commit()
    append(instruments, "audit_1", ("F.Z", "Z", "forex"))
    main = {("X", "crypto"): 3, ("X", "equity"): 1, ("Y", "equity"): 1}
    assert count_by(instruments, GOLD_INSTRUMENTS, COLUMNS) == main
    assert count_by(instruments, GOLD_INSTRUMENTS, COLUMNS, reference="audit_1") == {**main, ("Z", "forex"): 1}
    of_x = [pl.col("venue").is_in(["X"]), pl.col("instrument_id") != "A.X"]
    assert count_by(instruments, GOLD_INSTRUMENTS, ("asset_class",), of_x) == {("crypto",): 2, ("equity",): 1}


def test_count_by_of_a_table_without_rows_or_without_the_branch_is_empty(instruments):
    assert count_by(instruments, GOLD_INSTRUMENTS, COLUMNS) == {}
    append(instruments, "main", ("A.X", "X", "crypto"))
    assert count_by(instruments, GOLD_INSTRUMENTS, COLUMNS, reference="audit_1") == {}
    assert count_by(instruments, GOLD_INSTRUMENTS, COLUMNS, [pl.col("venue").is_in([])]) == {}
