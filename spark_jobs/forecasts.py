"""What every table of forecasts shares: rows published from the file that `lakehouse predict` wrote.

Reads   the *.parquet files in the folder given by --landing

A day, or an image set, also holds what other versions said: those rows are kept, rows of the same key are replaced.
"""

from __future__ import annotations

import hashlib
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

from lakehouse.days import Unit
from lakehouse.errors import BadInputError
from lakehouse.schema import arrow_schema
from lakehouse.settings import Settings
from lakehouse.store import open_filesystem
from lakehouse.tables import Table
from spark_jobs.job import Job, Plan, Request
from spark_jobs.publish import Attempt, Write
from spark_jobs.stage import Branch, stage_frame

ADDED = ("made_at", "_source_sha256", "_ingested_at")
"""Columns that the file has not: when it was published, and which file it was."""


def file_columns(table: Table) -> tuple[str, ...]:
    """Return the columns that a file of the table's forecasts has."""
    return tuple(name for name in table.column_names if name not in ADDED)


@dataclass(frozen=True)
class Delivery:
    """A file of forecasts that was read; `rows` have `_source_sha256`."""

    path: str
    sha256: str
    rows: pa.Table

    def units(self, column: str) -> set[Unit]:
        """The days, or image sets, that it speaks of."""
        return set(pc.unique(self.rows.column(column)).to_pylist())


def read_deliveries(folder: str, table: Table, settings: Settings) -> list[Delivery]:
    """Read the files of forecasts, ordered by name.

    Raises:
        BadInputError: there is none, or one has other columns than the table's forecasts have.
    """
    store, root = open_filesystem(folder, settings)
    found = store.get_file_info(fs.FileSelector(root, allow_not_found=True))
    paths = sorted(info.path for info in found if info.path.endswith(".parquet"))
    if not paths:
        raise BadInputError(f"{folder} holds no file of forecasts (*.parquet); lakehouse predict writes one")
    return [read_delivery(store, path, table) for path in paths]


def read_delivery(store: fs.FileSystem, path: str, table: Table) -> Delivery:
    """Read one file.

    Raises:
        BadInputError: it is no Parquet file, or has other columns than the table's forecasts have.
    """
    names = file_columns(table)
    with store.open_input_file(path) as stream:
        content = stream.read()
    try:
        rows = pq.read_table(pa.BufferReader(content)).select(list(names)).cast(arrow_schema(table, names))
    except (pa.ArrowInvalid, KeyError) as error:
        why = str(error).splitlines()[0]
        raise BadInputError(f"{path} is no file of forecasts ({why}); expected {', '.join(names)}") from None
    sha256 = hashlib.sha256(content).hexdigest()
    return Delivery(path, sha256, rows.append_column("_source_sha256", pa.array([sha256] * rows.num_rows)))


def plan_deliveries(request: Request, table: Table) -> Plan:
    """Find what the files forecast, days or image sets; each is due until the files' sha256 is its key."""
    deliveries = read_deliveries(request.landing, table, request.settings)
    inputs: dict[Unit, list[str]] = {}
    for delivery in deliveries:
        for day in delivery.units(str(table.replaced_by)):
            if request.days is None or day in request.days:
                inputs.setdefault(day, []).append(delivery.sha256)
    lines = tuple(f"read {each.path}: {each.rows.num_rows} forecasts" for each in deliveries)
    return Plan(inputs, lines, pa.concat_tables(each.rows for each in deliveries))


def merge(published: DataFrame, delivered: DataFrame, keys: Sequence[str]) -> DataFrame:
    """Put delivered forecasts in place of published ones of the same key; all others stay."""
    return published.join(delivered.select(*keys), [*keys], "left_anti").unionByName(delivered)


def build_write(request: Request, planned: Plan, attempt: Attempt, table: Table) -> Write:
    """Describe what is to be staged: the days, or image sets, with the delivered forecasts in them."""
    unit = planned.state.column(str(table.replaced_by))
    rows = planned.state.filter(pc.is_in(unit, pa.array(planned.days, unit.type)))

    def stage(branch: Branch) -> Sequence[Unit]:
        now = F.lit(attempt.started_at)
        delivered = request.spark.createDataFrame(rows).withColumns({"made_at": now, "_ingested_at": now})
        delivered = delivered.select(*table.column_names)
        merged = merge(branch.read_days(planned.days), delivered, table.primary_key)
        return stage_frame(branch, merged.coalesce(1), planned.days)

    def facts(branch: Branch, days: Sequence[Unit]) -> Mapping[str, Any]:
        sha256s = pc.unique(rows.column("_source_sha256")).to_pylist()
        staged = branch.read_days(days).where(F.col("_source_sha256").isin(sha256s)).count()
        return {"forecast_rows_missing": rows.num_rows - staged}

    return Write(table, planned.days, stage, facts)


def forecast_job(name: str, table: Table, code: tuple[ModuleType, ...]) -> Job:
    """Make the job of one table of forecasts."""

    def plan(request: Request) -> Plan:
        return plan_deliveries(request, table)

    def build(request: Request, planned: Plan, attempt: Attempt) -> Sequence[Write]:
        return [build_write(request, planned, attempt, table)]

    return Job(name=name, table=table, tables=(table,), reads=(), code=code, plan=plan, build=build)
