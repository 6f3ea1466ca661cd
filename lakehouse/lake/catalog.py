"""The catalog without a JVM: tables are loaded and logged to through PyIceberg. Only Spark moves `main` of data."""

from __future__ import annotations

import hashlib
import logging
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any

import pyarrow as pa
from pyiceberg.exceptions import (
    CommitFailedException,
    NoSuchTableError,
)
from pyiceberg.table import Table as IcebergTable
from pyiceberg.table.snapshots import Snapshot, ancestors_of

from lakehouse.config.settings import Settings
from lakehouse.errors import BadInputError, UnavailableError, first_line
from lakehouse.lake.connection import CATALOG_ERRORS, open_catalog
from lakehouse.lake.schema import arrow_table, month_field
from lakehouse.slices import Unit, parse_days
from lakehouse.tables import Table

logger = logging.getLogger(__name__)

RUN_KEY = "lakehouse.run-key"
RUN_ID = "lakehouse.run-id"
DAYS = "lakehouse.days"
DAY_KEYS = "lakehouse.day-keys"
"""Keys of a snapshot's summary: which run wrote it, the days it replaced, a key per day (spark_jobs/engine/run.py)."""

APPEND_ID = "lakehouse.append-id"
"""In the summary of a log table's snapshot: which append it was, so that a lost answer can be settled."""

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
    names = [field.name for field in iceberg.spec().fields]
    if column not in names:
        days = iceberg.scan(selected_fields=(column,)).to_arrow().column(column)
        return {item["values"]: item["counts"] for item in days.value_counts().to_pylist()}
    for task in iceberg.scan().plan_files():
        day = as_unit(task.file.partition[names.index(column)])
        counts[day] = counts.get(day, 0) + task.file.record_count
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
    why = ""
    for _ in range(LOG_APPEND_ATTEMPTS):
        try:
            iceberg = load(settings, table)
            if not any(append_id == summary_of(snapshot).get(APPEND_ID) for snapshot in main_history(iceberg)):
                iceberg.append(arrow, snapshot_properties={APPEND_ID: append_id})
            return
        except (CommitFailedException, UnavailableError, *CATALOG_ERRORS) as error:
            why = first_line(error)
            logger.warning("appending to %s: %s; trying again", table.identifier, why)
    raise UnavailableError(f"{len(rows)} rows could not be appended to {table.identifier}: {why}; run the same again")


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
