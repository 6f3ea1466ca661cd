"""Tables by month with few rows a day, such as the manifest: the driver writes a month's file anew, without Spark."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.config.settings import Settings
from lakehouse.lake.scans import pin_current
from lakehouse.lake.schema import arrow_schema, month_field
from spark_jobs.engine.stage import Branch, month_number, stage_files, whole_months
from spark_jobs.layers.convert import FileWriter, target_of


def stage_rows(settings: Settings, branch: Branch, rows: pa.Table, days: Sequence[date]) -> Sequence[date]:
    """Replace the days on the branch by the rows; the other days of their months are written again as they are."""
    table = branch.table
    day_column, schema = str(table.replaced_by), arrow_schema(table)
    day = pl.col(day_column)
    others = pin_current(settings, table, branch.name).rows(whole_months(day, days), ~day.is_in(days)).collect()
    kept = others.select(table.column_names).to_arrow(compat_level=pl.CompatLevel.oldest()).cast(schema)
    whole = pa.concat_tables([kept, rows.select(table.column_names)])
    whole = whole.sort_by([(name, "ascending") for name in table.row_order])
    months = pa.array([month_number(day) for day in whole.column(day_column).to_pylist()], pa.int32())
    writer = FileWriter(target_of(settings, table, branch.run_id, branch.started_at), "month")
    for month in pc.unique(months).to_pylist():
        partition = f"{month_field(day_column)}={month}"
        writer.writer(partition, schema).write_table(whole.filter(pc.equal(months, month)))
    return stage_files(branch, writer.close(), days, replaces=True)
