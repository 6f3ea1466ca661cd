"""The catalog without a JVM: tables are loaded and logged to through PyIceberg. Only Spark moves `main` of data."""

from __future__ import annotations

import logging
import uuid
from typing import Any

import pyarrow as pa
from pyiceberg.exceptions import (
    NoSuchTableError,
)
from pyiceberg.table import Table as IcebergTable
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt

from lakehouse.config.settings import Settings
from lakehouse.errors import BadInputError, UnavailableError, first_line
from lakehouse.lake.attempts import PASSING, log_failure
from lakehouse.lake.connection import CATALOG_ERRORS, open_catalog
from lakehouse.lake.history import main_history, summary_of
from lakehouse.lake.schema import arrow_table
from lakehouse.tables import Table

logger = logging.getLogger(__name__)

APPEND_ID = "lakehouse.append-id"
"""In the summary of a log table's snapshot: which append it was, so that a lost answer can be settled."""

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


def has_rows(settings: Settings, table: Table) -> bool:
    """Return whether a table exists and has a row on `main`.

    Raises:
        UnavailableError: the catalog or the store does not answer.
    """
    try:
        iceberg = load(settings, table)
    except BadInputError:
        return False
    return any(True for _ in iceberg.scan().plan_files())


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
