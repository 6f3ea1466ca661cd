"""The catalog without a JVM: tables are made, read and logged to through PyIceberg. Only Spark moves `main` of data."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any

import pyarrow as pa
from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import (
    NamespaceAlreadyExistsError,
    NoSuchTableError,
    TableAlreadyExistsError,
)
from pyiceberg.table import Table as IcebergTable
from pyiceberg.table.snapshots import Snapshot, ancestors_of
from sqlalchemy.exc import IntegrityError
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt

from lakehouse.config.settings import Settings
from lakehouse.errors import BadInputError, UnavailableError, first_line
from lakehouse.lake.attempts import PASSING, log_failure
from lakehouse.lake.connection import CATALOG_ERRORS, open_catalog
from lakehouse.lake.schema import arrow_table, iceberg_schema, iceberg_type, month_field, partition_spec, sort_order
from lakehouse.slices import Unit, parse_days
from lakehouse.tables import TABLES, Table
from lakehouse.tables.vision import images_table

logger = logging.getLogger(__name__)

RUN_KEY = "lakehouse.run-key"
RUN_ID = "lakehouse.run-id"
DAYS = "lakehouse.days"
DAY_KEYS = "lakehouse.day-keys"
"""Keys of a snapshot's summary: which run wrote it, the days it replaced, a key per day (spark_jobs/engine/run.py)."""

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


@dataclass(frozen=True)
class Replacement:
    """The last write that replaced one day, or one image set, of a table's `main`."""

    run_key: str
    day_key: str
    snapshot_id: int


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


def summary_of(snapshot: Snapshot) -> dict[str, str]:
    """Return what a snapshot says of itself."""
    return snapshot.summary.additional_properties if snapshot.summary else {}


def main_history(iceberg: IcebergTable) -> Iterable[Snapshot]:
    """Yield the snapshots of `main`, newest first."""
    main = iceberg.metadata.refs.get("main")
    if main is None:
        return ()
    return ancestors_of(iceberg.snapshot_by_id(main.snapshot_id), iceberg.metadata)


def last_replacements(iceberg: IcebergTable) -> dict[Unit, Replacement]:
    """Return, for every day or set that some snapshot still in the history replaced, its last replacement on `main`.

    A table that is replaced whole has the one key of WHOLE_TABLE.
    """
    last: dict[Unit, Replacement] = {}
    for snapshot in main_history(iceberg):
        summary = summary_of(snapshot)
        if DAYS in summary:
            keys = dict(part.split("=", 1) for part in summary.get(DAY_KEYS, "").split(",") if part)
            for day in parse_days(summary[DAYS]):
                key = keys.get(str(day), "")
                last.setdefault(day, Replacement(summary.get(RUN_KEY, ""), key, snapshot.snapshot_id))
    return last


def day_fingerprints(iceberg: IcebergTable, column: str, days: Iterable[Unit]) -> dict[Unit, str]:
    """Return what identifies the content of each day or set: the snapshot that replaced it last, and its key.

    Compaction and other days' runs leave it as it is. A day whose snapshot has been forgotten by expiry is identified
    by the data files of its partition.
    """
    last = last_replacements(iceberg)
    fingerprints = {day: f"{last[day].day_key}@{last[day].snapshot_id}" for day in days if day in last}
    unknown = set(days) - set(fingerprints)
    if unknown and iceberg.current_snapshot() is not None:
        names = [field.name for field in iceberg.spec().fields]
        is_by_day = column in names
        position = names.index(column if is_by_day else month_field(column))
        files: dict[Any, list[str]] = {}
        for task in iceberg.scan().plan_files():
            value = task.file.partition[position]
            files.setdefault(as_unit(value) if is_by_day else value, []).append(task.file.file_path)
        for day in unknown:
            paths = files.get(day if is_by_day else (day.year - 1970) * 12 + day.month - 1)
            if paths:
                fingerprints[day] = "files:" + hashlib.sha256("\n".join(sorted(paths)).encode()).hexdigest()
    return fingerprints


def as_unit(value: Any) -> Unit:
    """Turn a partition value into what a run replaces: a date may also be its number of days since 1970."""
    return value if isinstance(value, (date, str)) else date.fromordinal(date(1970, 1, 1).toordinal() + int(value))


def rows_per_day(iceberg: IcebergTable, column: str) -> dict[Unit, int]:
    """Return the rows on `main` of each day or set that has some: from the metadata where a partition is a day."""
    counts: dict[Unit, int] = {}
    if iceberg.current_snapshot() is None:
        return counts
    if column not in [field.name for field in iceberg.spec().fields]:
        days = iceberg.scan(selected_fields=(column,)).to_arrow().column(column)
        return {item["values"]: item["counts"] for item in days.value_counts().to_pylist()}
    for row in iceberg.inspect.partitions().to_pylist():  # a table without rows has not even the columns
        day = as_unit(row["partition"][column])
        counts[day] = counts.get(day, 0) + row["record_count"]
    return counts


def published_days(iceberg: IcebergTable, column: str) -> list[Unit]:
    """Return the days or sets that have rows on `main`, ascending."""
    return sorted(rows_per_day(iceberg, column))


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
