"""Data files that tasks write equal those of Iceberg's own writer of the same rows, as far as readers can see."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import polars as pl
import pyarrow.parquet as pq
import pytest

from lakehouse.lake.catalog import load
from lakehouse.lake.migration import require_tables
from lakehouse.lake.schema import arrow_table
from lakehouse.tables.energy import GOLD_LOAD_HOURLY
from lakehouse.tables.finance import GOLD_TICK_FEATURES
from spark_jobs.engine.files import write_rows
from spark_jobs.engine.kept import replace_slices
from spark_jobs.engine.stage import Branch, stage_frame

DAY = date(2024, 8, 8)
VALUES = {"int": 3, "bigint": 2**40, "double": 1.5, "string": "text", "boolean": True, "date": DAY}
VALUES |= {"timestamp": datetime(2024, 8, 8, 1, 2, 3, 456789, UTC), "timestamp_ntz": datetime(2024, 8, 8, 1)}
VALUES |= {"array<double>": [0.25, 0.5]}


def rows_of(table):
    """Two rows in the table's order; in the first, every column that may be null is."""

    def value(column, number):
        if column.nullable and number == 0:
            return None
        if column.name in ("instrument_id", "meter_id"):
            return f"{number}.X"
        return Decimal("1.25000001") if column.type.startswith("decimal") else VALUES[column.type]

    return arrow_table(table, [{column.name: value(column, number) for column in table.columns} for number in (0, 1)])


def seen_by_iceberg(lake, table, branch):
    """What Iceberg knows of the files on a branch, and the field ids and physical types in them.

    Counts of NaN are left out: Iceberg's own writer counts them, a Parquet footer does not have them.
    """
    iceberg = load(lake.settings, table)
    files = iceberg.inspect.files(iceberg.refs()[branch.name].snapshot_id).to_pylist()
    names = ("content", "file_format", "partition", "record_count", "value_counts", "null_value_counts")
    names += ("lower_bounds", "upper_bounds", "sort_order_id")
    known = [{name: file[name] for name in names} for file in files]
    footers = []
    for file in files:
        with iceberg.io.new_input(file["file_path"]).open() as stream:
            footer = pq.ParquetFile(stream)
            schema = {field.name: field.metadata[b"PARQUET:field_id"] for field in footer.schema_arrow}
            columns = [footer.schema.column(number) for number in range(len(footer.schema))]
            footers.append((schema, [(each.path, each.physical_type, str(each.logical_type)) for each in columns]))
    return known, footers


@pytest.mark.parametrize("table", [GOLD_TICK_FEATURES, GOLD_LOAD_HOURLY], ids=lambda table: table.identifier)
def test_files_of_tasks_have_the_ids_types_metrics_and_order_of_icebergs_own(lake, table):
    require_tables(lake.settings, [table])
    rows, seen = rows_of(table), {}
    for name in ("frame", "tasks"):
        branch = Branch(
            lake.spark,
            lake.settings,
            table,
            load(lake.settings, table),
            f"audit_{name}",
            "run",
            "key",
            {DAY: "k"},
            datetime.now(UTC),
        )
        lake.spark.sql(f"ALTER TABLE {table.full_name} CREATE BRANCH {branch.name}")
        if name == "frame":
            stage_frame(branch, lake.spark.createDataFrame(rows).coalesce(1), [DAY])
        else:
            replace_slices(branch, write_rows(branch.target, pl.DataFrame(rows), "test"), [DAY])
        seen[name] = seen_by_iceberg(lake, table, branch)
    assert len(seen["frame"][0]) == 1
    for known, native in zip(seen["tasks"][0], seen["frame"][0], strict=True):
        assert {name: known[name] for name in known if known[name] != native[name]} == {}
    assert seen["tasks"][1] == seen["frame"][1]
