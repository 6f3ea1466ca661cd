"""Staging of tables by month: the days given are replaced, the other days of their months are written as they were."""

from __future__ import annotations

from datetime import UTC, date, datetime

import polars as pl
import pytest
from pyspark.sql import functions as F

from lakehouse.lake.catalog import load
from lakehouse.lake.history import rows_per_slice, slice_fingerprints
from lakehouse.lake.migration import migrate
from lakehouse.lake.schema import arrow_table
from lakehouse.tables.energy import GOLD_LOAD_HOURLY
from spark_jobs.engine.files import write_rows
from spark_jobs.engine.kept import replace_slices, stage_rows
from spark_jobs.engine.stage import Branch, in_months, stage_frame

NAMES = ("meter_id", "event_date", "hour_start", "occurrence", "load_kw")
MARCH_30, MARCH_31, APRIL_1 = date(2024, 3, 30), date(2024, 3, 31), date(2024, 4, 1)


def rows_of(*loads):
    """One row per (day, load); columns that the test does not look at are null."""
    values = {"meter_id": "m.X", "occurrence": 1}
    rows = [
        values | {"event_date": day, "hour_start": datetime(day.year, day.month, day.day), "load_kw": load_kw}
        for day, load_kw in loads
    ]
    return arrow_table(GOLD_LOAD_HOURLY, rows)


def branch_of(lake, keys):
    now = datetime.now(UTC)
    base = load(lake.settings, GOLD_LOAD_HOURLY)
    return Branch(lake.spark, lake.settings, GOLD_LOAD_HOURLY, base, "audit_test", "run", "key", keys, now)


def by_spark(lake, branch, rows, days):
    stage_frame(branch, lake.spark.createDataFrame(rows), days)


def by_driver(lake, branch, rows, days):
    stage_rows(branch, pl.DataFrame(rows), days)


def by_tasks(lake, branch, rows, days):
    replace_slices(branch, write_rows(branch.target, pl.DataFrame(rows), "test"), days)


@pytest.mark.parametrize("put", [by_spark, by_driver, by_tasks])
def test_a_run_that_writes_a_month_again_leaves_what_it_wrote_first(lake, put):
    migrate(lake.settings)
    branch = branch_of(lake, {MARCH_31: "k"})
    lake.spark.sql(f"ALTER TABLE {GOLD_LOAD_HOURLY.full_name} CREATE BRANCH audit_test")
    put(lake, branch, rows_of((MARCH_30, 1.0), (MARCH_31, 2.0)), [MARCH_31])
    first = load(lake.settings, GOLD_LOAD_HOURLY).refs()["audit_test"].snapshot_id
    put(lake, branch, rows_of((MARCH_31, 5.0)), [MARCH_31])
    rows = load(lake.settings, GOLD_LOAD_HOURLY).scan(snapshot_id=first).to_arrow()
    assert sorted(rows.column("load_kw").to_pylist()) == [1.0, 2.0]


@pytest.mark.parametrize("put", [by_spark, by_driver, by_tasks])
def test_stage_replaces_days_within_their_months(lake, put):
    migrate(lake.settings)
    keys = dict.fromkeys((MARCH_30, MARCH_31, APRIL_1), "k")
    branch = branch_of(lake, keys)
    lake.spark.sql(f"ALTER TABLE {GOLD_LOAD_HOURLY.full_name} CREATE BRANCH audit_test")
    put(lake, branch, rows_of((MARCH_30, 1.0), (MARCH_31, 2.0), (APRIL_1, 3.0)), [MARCH_30, MARCH_31, APRIL_1])
    april = {path for path, month in files_of(branch) if month == (2024 - 1970) * 12 + 3}
    assert len(april) == 1
    put(lake, branch, rows_of((MARCH_31, 5.0)), [MARCH_31])
    found = branch.read().select("event_date", "load_kw").collect()
    assert sorted(map(tuple, found)) == [(MARCH_30, 1.0), (MARCH_31, 5.0), (APRIL_1, 3.0)]
    assert april <= {path for path, _ in files_of(branch)}  # a month without a day to replace is not touched

    put(lake, branch, rows_of(), [MARCH_30])  # a day may lose its rows
    assert sorted(map(tuple, branch.read().select("event_date", "load_kw").collect())) == [
        (MARCH_31, 5.0),
        (APRIL_1, 3.0),
    ]
    branch.java_table().manageSnapshots().fastForwardBranch("main", "audit_test").commit()
    iceberg = load(lake.settings, GOLD_LOAD_HOURLY)
    assert rows_per_slice(iceberg, "event_date") == {MARCH_31: 1, APRIL_1: 1}
    replaced_last = {snapshot.snapshot_id for snapshot in iceberg.snapshots()}
    prints = slice_fingerprints(iceberg, "event_date", [MARCH_31, APRIL_1, date(2024, 5, 1)])
    assert {day: int(text.partition("@")[2]) in replaced_last for day, text in prints.items()} == {
        MARCH_31: True,
        APRIL_1: True,
    }


def files_of(branch):
    files = branch.spark.read.option("branch", branch.name).table(f"{branch.table.full_name}.files")
    return sorted(map(tuple, files.select("file_path", "partition.event_date_month").collect()))


@pytest.mark.parametrize(
    ("days", "selected"),
    [
        pytest.param([date(2024, 12, 31)], [(date(2024, 12, 1), date(2024, 12, 31), 31)], id="december"),
        pytest.param([MARCH_31, APRIL_1], [(date(2024, 3, 1), date(2024, 4, 30), 61)], id="months that adjoin"),
        pytest.param([MARCH_30, date(2025, 1, 7)], [(date(2024, 3, 1), date(2025, 1, 31), 62)], id="months apart"),
    ],
)
def test_in_months_selects_the_months_of_the_days(spark, days, selected):
    every_day = spark.sql("SELECT explode(sequence(DATE '2023-12-01', DATE '2025-02-28')) AS event_date")
    in_spark = every_day.where(in_months(F.col("event_date"), days))
    in_polars = pl.from_arrow(every_day.toArrow()).filter(in_months(pl.col("event_date"), days))
    for found in (pl.from_arrow(in_spark.toArrow()), in_polars):
        days_found = found["event_date"]
        assert [(days_found.min(), days_found.max(), len(days_found))] == selected
