"""References of a table: where `main` is, and audit branches that nobody needs any longer."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

from py4j.protocol import Py4JError
from pyiceberg.table import Table as IcebergTable
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from lakehouse.config.settings import Settings
from lakehouse.lake.catalog import load
from lakehouse.tables import Table
from spark_jobs.engine.stage import Branch, change_references

logger = logging.getLogger(__name__)

BRANCH_PREFIX = "audit_"


def main_snapshot(settings: Settings, table: Table) -> int | None:
    """Return the snapshot that `main` is at; None if nothing was published yet."""
    return main_of(load(settings, table))


def main_of(iceberg: IcebergTable) -> int | None:
    """Return the snapshot that `main` was at when the table was loaded; None if nothing was published yet."""
    main = iceberg.refs().get("main")
    return main.snapshot_id if main else None


def drop_branches(branches: Iterable[Branch]) -> None:
    """Remove what a run no longer needs."""
    for branch in branches:
        drop_branch(branch)


def drop_branch(branch: Branch) -> None:
    """Remove an audit branch; one that stays behind is expired by its age, so a failure here fails nothing."""
    try:
        change_references(lambda: branch.java_table().manageSnapshots().removeBranch(branch.name).commit())
    except (Py4JError, PySparkException) as error:
        logger.warning("branch %s of %s stays: %s", branch.name, branch.table.identifier, reason_of(error))


def drop_old_branches(spark: SparkSession, settings: Settings, tables: Mapping[Table, IcebergTable]) -> None:
    """Remove what failed and killed runs have left behind, once it is older than such a branch is to be kept."""
    for table, iceberg in tables.items():
        for name in old_branches(iceberg, settings):
            drop_branch(Branch(spark, settings, table, iceberg, name, "", "", {}, datetime.now(UTC)))
            logger.info("dropped old branch %s of %s", name, table.identifier)


def old_branches(iceberg: IcebergTable, settings: Settings) -> list[str]:
    """Return the audit branches that are older than such a branch is to be kept."""
    oldest = datetime.now(UTC) - timedelta(days=settings.audit_branch_max_age_days)
    snapshots = {name: iceberg.snapshot_by_id(reference.snapshot_id) for name, reference in iceberg.refs().items()}
    return [
        name
        for name, snapshot in snapshots.items()
        if name.startswith(BRANCH_PREFIX) and snapshot and snapshot.timestamp_ms < oldest.timestamp() * 1000
    ]


def reason_of(error: Exception) -> str:
    """Return the one line of an error that names the cause; a Java exception stands behind the called method's name."""
    cause = getattr(error, "java_exception", None)
    return next(iter(str(cause or error).splitlines()), type(error).__name__)
