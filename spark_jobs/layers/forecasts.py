"""What models said, from the files that `lakehouse predict` writes to a gold table: one job for each such table.

Reads   the *.parquet files in the folder given by --landing
Writes  the table   replaces the days or image sets that the files speak of

A day or a set also holds what other versions said: those rows are kept, rows of the same key are replaced.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from lakehouse.config.settings import Settings
from lakehouse.errors import BadInputError, first_line
from lakehouse.lake.schema import arrow_schema
from lakehouse.lake.store import open_filesystem
from lakehouse.slices import Slice
from lakehouse.tables import Table
from spark_jobs.engine.job import Plan, Request, TableJob
from spark_jobs.engine.kept import in_slices, not_held, stage_rows, staged_rows
from spark_jobs.engine.publish import Attempt, Write
from spark_jobs.engine.stage import Branch, HeldBack

ADDED = ("made_at", "_source_sha256", "_ingested_at")
"""Columns that a file has not: when it was published, and which file it was."""


@dataclass(frozen=True)
class Delivery:
    """A file of forecasts that was read; `rows` have `_source_sha256`."""

    path: str
    sha256: str
    rows: pl.DataFrame


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
        BadInputError: it is not a Parquet file, or has other columns than the table.
    """
    columns = file_columns(table)
    with store.open_input_file(path) as stream:
        content = stream.read()
    try:
        rows = pq.read_table(io.BytesIO(content))
        rows = rows.select(list(columns)).cast(arrow_schema(table, columns))
    except (pa.ArrowInvalid, KeyError) as error:
        why = first_line(error)
        raise BadInputError(f"{path} is not a file of forecasts ({why}); expected {', '.join(columns)}") from None
    sha256 = hashlib.sha256(content).hexdigest()
    frame = pl.from_arrow(rows)
    assert isinstance(frame, pl.DataFrame)  # noqa: S101  # of a table
    return Delivery(path, sha256, frame.with_columns(_source_sha256=pl.lit(sha256)))


def merge(table: Table, published: pl.DataFrame, delivered: pl.DataFrame) -> pl.DataFrame:
    """Put delivered forecasts in place of published ones of the same key; all others stay."""
    return pl.concat([published.join(delivered, on=table.primary_key, how="anti"), delivered], how="vertical_relaxed")


def forecast_job(name: str, table: Table) -> TableJob:
    """Return the job that publishes files of forecasts to a table."""
    by = str(table.replaced_by)

    def plan(request: Request) -> Plan:
        """Find what the files speak of; it is due until the files' sha256 is its key."""
        deliveries = read_deliveries(table, request.landing, request.settings)
        inputs: dict[Slice, list[str]] = {}
        for delivery in deliveries:
            for each in delivery.rows.get_column(by).unique():
                if request.slices is None or each in request.slices:
                    inputs.setdefault(each, []).append(delivery.sha256)
        lines = tuple(f"read {each.path}: {each.rows.height} forecasts" for each in deliveries)
        return Plan(inputs, lines, pl.concat([each.rows for each in deliveries], how="vertical_relaxed"))

    def build(request: Request, planned: Plan, attempt: Attempt) -> Sequence[Write]:
        """Describe what is to be staged: the days or sets with the delivered forecasts in them."""
        rows: pl.DataFrame = planned.state.filter(in_slices(by, planned.slices))

        def stage(branch: Branch) -> Sequence[Slice]:
            now = pl.lit(attempt.started_at)
            delivered = rows.with_columns(made_at=now, _ingested_at=now).select(table.column_names)
            published = staged_rows(branch, planned.slices).select(table.column_names).collect()
            return stage_rows(branch, merge(table, published, delivered), planned.slices)

        def facts(branch: Branch, slices: Sequence[Slice], held: HeldBack) -> Mapping[str, Any]:
            sha256s = rows.get_column("_source_sha256").unique()
            staged = staged_rows(branch, slices, held).filter(pl.col("_source_sha256").is_in(sha256s.implode()))
            expected = rows.height if not held else rows.filter(not_held(by, table.subject, held)).height
            return {"forecast_rows_missing": expected - staged.select(pl.len()).collect().item()}

        return [Write(table, planned.slices, stage, facts)]

    return TableJob(
        name=name,
        table=table,
        tables=(table,),
        reads=(),
        made_by=(merge,),
        plan=plan,
        build=build,
    )
