"""The rows that an audit looks at: those that will differ from `main`, read by DuckDB from the files of the branch.

Rules are SQL that DuckDB, Trino and Spark read alike. DuckDB counts them in a tenth of the seconds that Spark takes,
as it reads only the columns that a rule names, column by column, and starts at once (benchmarks/README.md).
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import duckdb
import pyarrow.dataset as ds
from pyiceberg.expressions import AlwaysTrue, BooleanExpression, In, IsNull, Or, Reference
from pyiceberg.io.pyarrow import ArrowScan, schema_to_pyarrow
from pyiceberg.table import DataScan
from pyiceberg.table.metadata import TableMetadata

from expectations.report import slices_condition
from lakehouse.config.settings import Settings
from lakehouse.lake.scans import PinnedTable
from lakehouse.lake.schema import spelled_type
from lakehouse.lake.store import open_filesystem
from lakehouse.queries.data_files import CONFIGURATION, local_path, quote, select_files
from lakehouse.slices import UNDATED, Slice
from lakehouse.tables import Table

NAME = "batch"
"""What the rows are called in SQL."""

MEMORY = "1GB"
"""Of DuckDB; what exceeds it goes to a temporary folder."""


@dataclass(frozen=True)
class Batch:
    """Rows as the view NAME of a DuckDB connection; `columns` are the table's, with types spelled as declared."""

    connection: duckdb.DuckDBPyConnection
    columns: Mapping[str, str]

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Return what a query over the rows finds.

        Raises:
            duckdb.Error: a condition can't be evaluated.
            OSError: the files can't be read.
        """
        try:
            found: list[tuple[Any, ...]] = self.connection.execute(sql).fetchall()
        except duckdb.IOException as error:
            raise OSError(str(error)) from error
        return found

    def row(self, sql: str) -> tuple[Any, ...]:
        """Return the one row of an aggregation without keys."""
        (found,) = self.rows(sql)
        return found


@contextmanager
def open_batch(
    staged: PinnedTable,
    table: Table,
    slices: Sequence[Slice],
    threads: int,
    held: Mapping[Slice, tuple[str, ...]] | None = None,
) -> Iterator[Batch]:
    """Open the rows of the slices that a snapshot replaced; all rows of a table that is replaced whole.

    `held` are subjects by slice whose rows are those from before, and are left out.
    """
    scan = staged.scan(slices_filter(table, slices))
    types = {field.name: spelled_type(field.field_type) for field in scan.table_metadata.schema().fields}
    with (
        tempfile.TemporaryDirectory(prefix="lakehouse-audit-") as scratch,
        duckdb.connect(config=CONFIGURATION) as connection,
    ):
        connection.execute(f"SET threads = {threads}; SET memory_limit = '{MEMORY}'; SET TimeZone = 'UTC'")
        connection.execute(f"SET temp_directory = {quote(scratch)}")
        rows = select_scan(connection, scan, staged.settings)
        connection.execute(f"CREATE VIEW {NAME} AS {rows} WHERE {audited_condition(table, slices, held or {})}")
        yield Batch(connection, types)


def audited_condition(table: Table, slices: Sequence[Slice], held: Mapping[Slice, tuple[str, ...]]) -> str:
    """Return the SQL condition that selects the rows of slices, without the parts that are held back."""
    conditions = [slices_condition(table, slices) or "true"]
    for each, subjects in held.items():
        listed = ", ".join(quote(subject) for subject in subjects)
        is_held = f"{slices_condition(table, [each])} AND {table.subject} IN ({listed})"
        conditions.append(f"NOT coalesce({is_held}, false)")
    return " AND ".join(conditions)


def slices_filter(table: Table, slices: Sequence[Slice]) -> BooleanExpression:
    """Select the rows of slices, as PyIceberg takes it; all of a table that is replaced whole."""
    if table.replaced_by is None or not slices:
        return AlwaysTrue()
    column = Reference(table.replaced_by)
    values = tuple(each for each in slices if each != UNDATED)
    listed: BooleanExpression = In(term=column, values=values)  # type: ignore[arg-type]
    return Or(listed, IsNull(term=column)) if UNDATED in slices else listed


def select_scan(connection: duckdb.DuckDBPyConnection, scan: DataScan, settings: Settings) -> str:
    """Return a SELECT over a scan's files, which may hold other rows, too."""
    tasks, schema = list(scan.plan_files()), scan.table_metadata.schema()
    locations = [task.file.file_path for task in tasks]
    paths = [path for path in map(local_path, locations) if path is not None]
    has_deleted_rows = any(task.delete_files for task in tasks)
    if len(paths) == len(locations) and not has_deleted_rows:
        return select_files(connection, schema, paths)
    if has_deleted_rows or was_renamed(scan.table_metadata):  # PyIceberg knows both, but reads all columns at once
        rows = ArrowScan(scan.table_metadata, scan.io, schema, scan.row_filter).to_table(tasks)
        connection.register("scanned", rows)
        return "SELECT * FROM scanned"
    opened = [open_filesystem(location, settings) for location in locations]
    columns = schema_to_pyarrow(schema, include_field_ids=False)
    connection.register("scanned", ds.dataset([path for _, path in opened], columns, filesystem=opened[0][0]))
    return "SELECT * FROM scanned"


def was_renamed(metadata: TableMetadata) -> bool:
    """Return whether some column had another name in the past: Arrow finds the columns of a file by name alone."""
    names = {(field.field_id, field.name) for schema in metadata.schemas for field in schema.fields}
    return len(names) > len({field_id for field_id, _ in names})
