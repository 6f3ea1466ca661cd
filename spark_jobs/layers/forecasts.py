"""What models said, from the files that `lakehouse predict` writes to a gold table: one job for each such table.

Reads   the *.parquet files in the folder given by --landing
Writes  the table   replaces the days or image sets that the files speak of

A day or a set also holds what other versions said: those rows are kept, rows of the same key are replaced.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import fs
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.config.settings import Settings
from lakehouse.errors import BadInputError, first_line
from lakehouse.lake.schema import arrow_schema
from lakehouse.lake.store import open_filesystem
from lakehouse.slices import Unit
from lakehouse.tables import Table
from spark_jobs.engine.job import Job, Plan, Request
from spark_jobs.engine.publish import Attempt, Write
from spark_jobs.engine.stage import Branch, stage_frame

ADDED = ("made_at", "_source_sha256", "_ingested_at")
"""Columns that a file has not: when it was published, and which file it was."""


@dataclass(frozen=True)
class Delivery:
    """A file of forecasts that was read; `rows` have `_source_sha256`."""

    path: str
    sha256: str
    rows: pa.Table

    def units(self, by: str) -> set[Unit]:
        """The days, or image sets, that it speaks of."""
        return set(pc.unique(self.rows.column(by)).to_pylist())


def file_columns(table: Table) -> tuple[str, ...]:
    """Return the columns of a table that a file has."""
    return tuple(name for name in table.column_names if name not in ADDED)


def read_deliveries(table: Table, folder: str, settings: Settings) -> list[Delivery]:
    """Read the files of forecasts, ordered by name.

    Raises:
        BadInputError: there is none, or one has other columns than the table.
    """
    store, root = open_filesystem(folder, settings)
    found = store.get_file_info(fs.FileSelector(root, allow_not_found=True))
    paths = sorted(info.path for info in found if info.path.endswith(".parquet"))
    if not paths:
        raise BadInputError(f"{folder} holds no file of forecasts (*.parquet); lakehouse predict writes one")
    return [read_delivery(table, store, path) for path in paths]


def read_delivery(table: Table, store: fs.FileSystem, path: str) -> Delivery:
    """Read one file.

    Raises:
        BadInputError: it is no Parquet file, or has other columns than the table.
    """
    columns = file_columns(table)
    with store.open_input_file(path) as stream:
        content = stream.read()
    try:
        rows = pq.read_table(pa.BufferReader(content))
        rows = rows.select(list(columns)).cast(arrow_schema(table, columns))
    except (pa.ArrowInvalid, KeyError) as error:
        why = first_line(error)
        raise BadInputError(f"{path} is no file of forecasts ({why}); expected {', '.join(columns)}") from None
    sha256 = hashlib.sha256(content).hexdigest()
    return Delivery(path, sha256, rows.append_column("_source_sha256", pa.array([sha256] * rows.num_rows)))


def merge(table: Table, published: DataFrame, delivered: DataFrame) -> DataFrame:
    """Put delivered forecasts in place of published ones of the same key; all others stay."""
    keys = list(table.primary_key)
    return published.join(delivered.select(*keys), keys, "left_anti").unionByName(delivered)


def forecast_job(name: str, table: Table, code: ModuleType) -> Job:
    """Return the job that publishes files of forecasts to a table."""
    by = str(table.replaced_by)

    def plan(request: Request) -> Plan:
        """Find what the files speak of; it is due until the files' sha256 is its key."""
        deliveries = read_deliveries(table, request.landing, request.settings)
        inputs: dict[Unit, list[str]] = {}
        for delivery in deliveries:
            for unit in delivery.units(by):
                if request.days is None or unit in request.days:
                    inputs.setdefault(unit, []).append(delivery.sha256)
        lines = tuple(f"read {each.path}: {each.rows.num_rows} forecasts" for each in deliveries)
        return Plan(inputs, lines, pa.concat_tables(each.rows for each in deliveries))

    def build(request: Request, planned: Plan, attempt: Attempt) -> Sequence[Write]:
        """Describe what is to be staged: the days or sets with the delivered forecasts in them."""
        unit = planned.state.column(by)
        rows = planned.state.filter(pc.is_in(unit, pa.array(planned.days, unit.type)))

        def stage(branch: Branch) -> Sequence[Unit]:
            now = F.lit(attempt.started_at)
            delivered = request.spark.createDataFrame(rows).withColumns({"made_at": now, "_ingested_at": now})
            merged = merge(table, branch.read_days(planned.days), delivered.select(*table.column_names))
            return stage_frame(branch, merged.coalesce(1), planned.days)

        def facts(branch: Branch, units: Sequence[Unit]) -> Mapping[str, Any]:
            sha256s = pc.unique(rows.column("_source_sha256")).to_pylist()
            staged = branch.read_days(units).where(F.col("_source_sha256").isin(sha256s)).count()
            return {"forecast_rows_missing": rows.num_rows - staged}

        return [Write(table, planned.days, stage, facts)]

    return Job(
        name=name,
        table=table,
        tables=(table,),
        reads=(),
        code=(code, sys.modules[__name__]),
        plan=plan,
        build=build,
    )
