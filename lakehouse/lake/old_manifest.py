"""The manifest as version 0.1 wrote it: 1970-01-01 for no day, and civil times of meters as if they were UTC.

`lakehouse migrate` maps each such row to one row that is true, in the same commit that changes the columns. It does so
on `main` itself, without an audit branch: a run, which would audit, refuses the table as long as it has the old
columns, and rows under new columns with old values must not be seen by anybody. The mapping changes three values of a
row and can be undone; it neither adds nor drops a row.
"""

from __future__ import annotations

from datetime import date

import polars as pl

from lakehouse.lake.schema import arrow_schema
from lakehouse.tables import Table
from lakehouse.tables.manifest import BRONZE_FILES

NO_DAY = date(1970, 1, 1)
METERS = "power_readings"
"""The one data set of version 0.1 with civil times."""


def is_of_version_0_1(table: Table, added: tuple[str, ...]) -> bool:
    """Return whether a table is the manifest and lacks the columns of civil times."""
    return table.identifier == BRONZE_FILES.identifier and "first_interval_start" in added


def rewrite_manifest(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the rows with true days and times; they have the columns of version 0.1, by the names of today."""
    is_civil = pl.col("dataset") == METERS
    names = {"first_ts_event": "first_interval_start", "last_ts_event": "last_interval_start"}
    return rows.with_columns(
        pl.col("delivery_date").replace(NO_DAY, None),
        *(pl.when(~is_civil).then(utc).alias(utc) for utc in names),
        *(pl.when(is_civil).then(pl.col(utc).dt.replace_time_zone(None)).alias(civil) for utc, civil in names.items()),
    ).select(arrow_schema(BRONZE_FILES).names)
