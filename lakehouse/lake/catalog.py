"""The catalog without a JVM: tables are made, read and logged to through PyIceberg. Only Spark moves `main` of data."""

from __future__ import annotations

import contextlib
import logging
import uuid
from collections.abc import Iterable
from typing import Any

import pyarrow as pa
from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import (
    NamespaceAlreadyExistsError,
    NoSuchTableError,
    TableAlreadyExistsError,
)
from pyiceberg.table import Table as IcebergTable
from sqlalchemy.exc import IntegrityError
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt

from lakehouse.config.settings import Settings
from lakehouse.errors import BadInputError, UnavailableError, first_line
from lakehouse.lake.attempts import PASSING, log_failure
from lakehouse.lake.connection import CATALOG_ERRORS, open_catalog
from lakehouse.lake.history import main_history, summary_of
from lakehouse.lake.schema import arrow_table, iceberg_schema, iceberg_type, partition_spec, sort_order
from lakehouse.tables import TABLES, Table
from lakehouse.tables.vision import images_table

logger = logging.getLogger(__name__)

APPEND_ID = "lakehouse.append-id"
"""In the summary of a log table's snapshot: which append it was, so that a lost answer can be settled."""

TABLE_PROPERTIES = {
    "format-version": "2",
    "write.parquet.compression-codec": "zstd",
    "write.parquet.compression-level": "1",
    "write.distribution-mode": "none",
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "100",
}
"""Jobs distribute rows themselves (spark_jobs/engine), so Iceberg need not shuffle them again. Each commit removes the
oldest metadata file once there are a hundred."""

LOG_APPEND_ATTEMPTS = 8


def load(settings: Settings, table: Table) -> IcebergTable:
    """Load a table's current metadata.

    Raises:
        BadInputError: the table does not exist yet.
        UnavailableError: the catalog or the store does not answer.
    """
    try:
        return open_catalog(settings).load_table(table.identifier)
    except NoSuchTableError:
        raise BadInputError(f"{table.identifier} does not exist yet; a run or `lakehouse migrate` makes it") from None
    except CATALOG_ERRORS as error:
        why = first_line(error)
        raise UnavailableError(f"{table.identifier} can't be loaded ({why}); `lakehouse doctor` says more") from error


def known_tables(catalog: Catalog) -> tuple[Table, ...]:
    """Return every declared table, with the gold tables of a user's image sets as far as they exist."""
    if not catalog.namespace_exists("gold"):
        return TABLES
    declared = {table.identifier for table in TABLES}
    present = sorted(".".join(name) for name in catalog.list_tables("gold"))
    family = [images_table(identifier) for identifier in present if identifier not in declared]
    return (*TABLES, *(table for table in family if table is not None))


def migrate(settings: Settings, more: Iterable[Table] = ()) -> list[str]:
    """Make every declared table that is missing and add every declared column that is missing; return what was done.

    `more` are tables of image sets that a user declared.
    Columns are only ever added. Iceberg's schema belongs to the table and not to a branch, so no run does this.

    Raises:
        BadInputError: a column exists with another type than declared.
    """
    catalog = open_catalog(settings)
    changes = []
    for table in dict.fromkeys((*known_tables(catalog), *more)):
        if create_if_missing(catalog, settings, table):
            changes.append(f"made {table.identifier}")
            continue
        iceberg = catalog.load_table(table.identifier)
        missing = missing_columns(iceberg, table)
        if missing:
            with iceberg.update_schema() as update:
                for name in missing:
                    column = table.column(name)
                    update.add_column(name, iceberg_type(column.type, 0), doc=column.doc)
            changes.append(f"added {', '.join(missing)} to {table.identifier}")
    return changes


def create_if_missing(catalog: Catalog, settings: Settings, table: Table) -> bool:
    """Make one table from its declaration; return whether it was missing."""
    if catalog.table_exists(table.identifier):
        return False
    with contextlib.suppress(NamespaceAlreadyExistsError, IntegrityError):  # another process may make it at once
        catalog.create_namespace(table.layer)
    try:
        catalog.create_table(
            table.identifier,
            schema=iceberg_schema(table),
            location=f"{settings.warehouse_uri}/{table.layer}/{table.name}",
            partition_spec=partition_spec(table),
            sort_order=sort_order(table),
            properties=TABLE_PROPERTIES,
        )
    except TableAlreadyExistsError:
        return False
    return True


def missing_columns(iceberg: IcebergTable, table: Table) -> list[str]:
    """Return the declared columns that the table lacks.

    Raises:
        BadInputError: a column exists with another type than declared.
    """
    present = {field.name: field.field_type for field in iceberg.schema().fields}
    for field in iceberg_schema(table).fields:
        found = present.get(field.name)
        if found is not None and str(found).replace("list", "") != str(field.field_type).replace("list", ""):
            raise BadInputError(
                f"{table.identifier}.{field.name} is {found} in the table and {field.field_type} in the declaration; "
                "only added columns can be migrated: give the changed column a new name"
            )
    return [field.name for field in iceberg_schema(table).fields if field.name not in present]


def require_tables(settings: Settings, tables: Iterable[Table]) -> None:
    """Make missing tables and refuse outdated ones, before a job reads or writes them.

    Raises:
        BadInputError: a table lacks a declared column.
    """
    catalog = open_catalog(settings)
    for table in tables:
        if not create_if_missing(catalog, settings, table):
            missing = missing_columns(catalog.load_table(table.identifier), table)
            if missing:
                raise BadInputError(f"{table.identifier} lacks {', '.join(missing)}; run `lakehouse migrate` once")


def append_log(settings: Settings, table: Table, rows: list[dict[str, Any]]) -> None:
    """Append keyed rows to a log table, once: where an answer was lost, the snapshot's own id tells.

    Raises:
        UnavailableError: the rows could not be appended.
    """
    if not rows:
        return
    append_id = uuid.uuid4().hex
    arrow = arrow_table(table, rows)

    def append() -> None:
        iceberg = load(settings, table)
        if not any(append_id == summary_of(snapshot).get(APPEND_ID) for snapshot in main_history(iceberg)):
            iceberg.append(arrow, snapshot_properties={APPEND_ID: append_id})

    passing = (UnavailableError, *PASSING)
    attempts = Retrying(
        stop=stop_after_attempt(LOG_APPEND_ATTEMPTS),
        retry=retry_if_exception_type(passing),
        before_sleep=log_failure(logger, f"appending to {table.identifier}"),
        reraise=True,
    )
    try:
        attempts(append)
    except passing as error:
        why = first_line(error)
        message = f"{len(rows)} rows could not be appended to {table.identifier}: {why}; run the same again"
        raise UnavailableError(message) from error


def read_log(settings: Settings, table: Table) -> pa.Table:
    """Read a log table, the last row per key; without rows where the table does not exist yet."""
    catalog = open_catalog(settings)
    if not catalog.table_exists(table.identifier):
        return arrow_table(table, [])
    rows = catalog.load_table(table.identifier).scan().to_arrow().select(list(table.column_names))
    rows = rows.sort_by([(name, "ascending") for name in table.sorted_by])
    last: dict[tuple[Any, ...], int] = {}
    keys = zip(*(rows.column(name).to_pylist() for name in table.primary_key), strict=True)
    for position, key in enumerate(keys):
        last[key] = position
    return rows.take(sorted(last.values())) if last else rows
