"""How a table changes, once for all tables: stage on a branch, audit, fast-forward `main`, settle what went wrong.

`main` of a data table moves here and nowhere else, and only by fast-forward: whatever a lost connection does to a
commit on a branch, `main` stays readable. Tables of one run are audited all before the first of them moves.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from expectations import suite_for
from expectations.batch import open_batch
from expectations.report import AuditReport
from expectations.runner import audit
from lakehouse.config.settings import Settings
from lakehouse.errors import AuditFailedError, LakehouseError, UnavailableError
from lakehouse.lake.catalog import (
    RUN_ID,
    append_log,
    last_replacements,
    load,
    main_history,
    rows_per_day,
    summary_of,
)
from lakehouse.lake.scans import PinnedTable
from lakehouse.slices import Unit, describe_days
from lakehouse.tables import Table
from lakehouse.tables.logs import CHECK_RESULTS
from spark_jobs.engine.stage import Branch, change_references

logger = logging.getLogger(__name__)

BRANCH_PREFIX = "audit_"
SETTLE_ATTEMPTS = 5
SETTLE_PAUSE_S = 1.0


class MainMovedError(LakehouseError):
    """Another run published to the table after this one was planned: plan and stage again.

    `published` are tables that this run had moved before; they stay.
    """

    published: tuple[Published, ...] = ()


@dataclass(frozen=True)
class Write:
    """One table of a run: `stage` puts rows onto the branch and returns the days that it replaced there.

    Those are the `days` planned, and later ones where a carried state changed. `facts` counts what the audit asks for.
    """

    table: Table
    days: tuple[Unit, ...]
    stage: Callable[[Branch], Sequence[Unit]]
    facts: Callable[[Branch, Sequence[Unit]], Mapping[str, Any]] = field(default=lambda branch, days: {})


@dataclass(frozen=True)
class Attempt:
    """What one attempt of a run works with; `bases` are the `main` snapshots that the plan was made from."""

    spark: SparkSession
    settings: Settings
    run_id: str
    run_key: str
    day_keys: Mapping[Unit, str]
    started_at: datetime
    bases: Mapping[str, int | None]

    @property
    def branch_name(self) -> str:
        """The run's branch, the same name in each of its tables."""
        return f"{BRANCH_PREFIX}{self.run_id}"

    def branch(self, table: Table) -> Branch:
        """The run's branch of a table, whether it exists yet or not."""
        return Branch(self.spark, table, self.branch_name, self.run_id, self.run_key, self.day_keys, self.started_at)


@dataclass(frozen=True)
class Staged:
    """A write that lies on its branch: the snapshot that is audited is the one that is published."""

    write: Write
    branch: Branch
    snapshot_id: int
    days: tuple[Unit, ...]
    facts: Mapping[str, Any]


@dataclass(frozen=True)
class Published:
    """What came of one table: rows that were added to its days, and the snapshot that `main` is at."""

    table: Table
    days: tuple[Unit, ...]
    rows_added: int
    snapshot_id: int
    facts: Mapping[str, Any]


def main_snapshot(settings: Settings, table: Table) -> int | None:
    """Return the snapshot that `main` is at; None where nothing was published yet."""
    main = load(settings, table).refs().get("main")
    return main.snapshot_id if main else None


def is_published(attempt: Attempt, write: Write) -> bool:
    """Say whether the last replacement of each of the write's days on `main` carries the day's key."""
    last = last_replacements(load(attempt.settings, write.table))
    return all(day in last and last[day].day_key == attempt.day_keys[day] for day in write.days)


def publish(attempt: Attempt, writes: Sequence[Write]) -> list[Published]:
    """Stage, audit and publish the tables in the order given; those that carry the keys already are left alone.

    Raises:
        AuditFailedError: a critical rule failed; the branches are left for inspection.
        MainMovedError: a table changed since the plan was made.
        UnavailableError: the outcome of a step is unknown or the catalog is away.
    """
    pending = [write for write in writes if not is_published(attempt, write)]
    branches: list[Branch] = []
    published: list[Published] = []
    try:
        for write in pending:
            branches.append(open_branch(attempt, write.table))
        staged = [stage(attempt, write, branch) for write, branch in zip(pending, branches, strict=True)]
        reports = audit_all(attempt, staged)
        for item, report in zip(staged, reports, strict=True):
            fast_forward(attempt, item)
            table = item.write.table
            # The snapshot of a table by month also counts the rows of the other days, which were only written again.
            rows = report.rows_evaluated if table.is_by_month else rows_added(attempt, table)
            published.append(Published(item.write.table, item.days, rows, item.snapshot_id, item.facts))
    except MainMovedError as error:
        error.published = tuple(published)
        drop_branches(branches)
        raise
    drop_branches(branches)
    return published


def stage(attempt: Attempt, write: Write, branch: Branch) -> Staged:
    """Put one table's rows onto its branch and count what its audit asks for."""
    days = tuple(write.stage(branch))
    snapshot_id = load(attempt.settings, write.table).refs()[branch.name].snapshot_id
    logger.info("staged %s on branch %s: %s", write.table.identifier, branch.name, describe_days(days))
    facts = {"rows_trailing_week_mean": trailing_week_mean(attempt.settings, write.table, days)}
    return Staged(write, branch, snapshot_id, days, {**facts, **write.facts(branch, days)})


def trailing_week_mean(settings: Settings, table: Table, days: Sequence[Unit]) -> float | None:
    """Return the mean of rows per published day in the week before the days; None where partitions do not tell."""
    if table.replaced_by is None or not table.partitioned_by or not days or isinstance(days[0], str):
        return None
    week = [min(days) - timedelta(days=number) for number in range(1, 8)]
    rows = rows_per_day(load(settings, table), table.replaced_by)
    counts = [rows[day] for day in week if day in rows]
    return sum(counts) / len(counts) if counts else None


def open_branch(attempt: Attempt, table: Table) -> Branch:
    """Create the run's branch from the current `main`, also of a table without rows.

    Raises:
        MainMovedError: `main` is no longer where the plan was made from.
    """
    days = attempt.settings.audit_branch_max_age_days
    statement = f"ALTER TABLE {table.full_name} CREATE OR REPLACE BRANCH {attempt.branch_name} RETAIN {days} DAYS"
    change_references(lambda: attempt.spark.sql(statement))
    branch = attempt.branch(table)
    if main_snapshot(attempt.settings, table) != attempt.bases[table.identifier]:
        drop_branch(branch)
        raise MainMovedError(f"{table.identifier} was published by another run meanwhile")
    return branch


def audit_all(attempt: Attempt, staged: Sequence[Staged]) -> list[AuditReport]:
    """Audit every staged table, log every result and return the reports.

    Raises:
        AuditFailedError: a critical rule failed in one of them.
    """
    reports = [audit_staged(attempt, item) for item in staged]
    append_log(attempt.settings, CHECK_RESULTS, [result.as_row() for report in reports for result in report.results])
    failed = [f"{report.table.identifier}: {', '.join(report.failed_rules)}" for report in reports if not report.passed]
    if failed:
        raise AuditFailedError(
            f"audit failed in {'; '.join(failed)}; main is untouched, the rows are on branch {attempt.branch_name}, "
            "`lakehouse report` shows them"
        )
    return reports


def audit_staged(attempt: Attempt, staged: Staged) -> AuditReport:
    """Audit one staged table: the days that its snapshot replaced."""
    table, settings = staged.write.table, attempt.settings
    pinned = PinnedTable(settings, load(settings, table).metadata_location, staged.snapshot_id)
    threads = min(attempt.spark.sparkContext.defaultParallelism, os.cpu_count() or 1)
    with open_batch(pinned, table, staged.days, threads) as batch:
        return audit(
            suite_for(table),
            batch,
            staged.facts,
            run_id=attempt.run_id,
            run_key=attempt.run_key,
            snapshot_id=staged.snapshot_id,
            settings=settings,
            days=staged.days,
        )


def fast_forward(attempt: Attempt, staged: Staged) -> None:
    """Move `main` to the audited snapshot.

    Raises:
        MainMovedError: `main` moved since the branch was made.
        UnavailableError: the catalog did not apply it, or can't be asked.
    """
    try:
        change_references(
            lambda: staged.branch.java_table().manageSnapshots().fastForwardBranch("main", staged.branch.name).commit()
        )
    except (Py4JError, PySparkException) as error:
        settle(attempt, staged, error)
    logger.info("published %s: snapshot %s", staged.write.table.identifier, staged.snapshot_id)


def settle(attempt: Attempt, staged: Staged, error: Exception) -> None:
    """Say what an exception at the fast-forward meant, by what the references say and by nothing else.

    An answer can be lost after the database applied the commit, so the exception itself proves nothing.
    """
    table = staged.write.table.identifier
    why = reason_of(error)
    for _ in range(SETTLE_ATTEMPTS):
        try:
            iceberg = load(attempt.settings, staged.write.table)
        except UnavailableError:
            time.sleep(SETTLE_PAUSE_S)
            continue
        if any(snapshot.snapshot_id == staged.snapshot_id for snapshot in main_history(iceberg)):
            logger.warning("publishing %s raised, but main has the snapshot: published (%s)", table, why)
            return
        main = iceberg.refs().get("main")
        if (main.snapshot_id if main else None) != attempt.bases[table]:
            raise MainMovedError(f"{table} was published by another run meanwhile") from error
        raise UnavailableError(f"{table} was not published: {why}; main is as it was, run the same again") from error
    raise UnavailableError(f"whether {table} was published is unknown, the catalog is away: {why}; run the same again")


def reason_of(error: Exception) -> str:
    """Return the one line that tells what happened; a Java exception stands behind the name of the called method."""
    cause = getattr(error, "java_exception", None)
    return next(iter(str(cause or error).splitlines()), type(error).__name__)


def rows_added(attempt: Attempt, table: Table) -> int:
    """Return the rows that the run's snapshots added, from their summaries."""
    return sum(
        int(summary_of(snapshot).get("added-records", "0"))
        for snapshot in main_history(load(attempt.settings, table))
        if summary_of(snapshot).get(RUN_ID) == attempt.run_id
    )


def drop_branches(branches: Iterable[Branch]) -> None:
    """Remove what a run needs no longer."""
    for branch in branches:
        drop_branch(branch)


def drop_branch(branch: Branch) -> None:
    """Remove an audit branch; one that stays behind is expired by its age, so a failure here fails nothing."""
    try:
        change_references(lambda: branch.java_table().manageSnapshots().removeBranch(branch.name).commit())
    except (Py4JError, PySparkException) as error:
        logger.warning("branch %s of %s stays: %s", branch.name, branch.table.identifier, reason_of(error))


def drop_old_branches(spark: SparkSession, settings: Settings, tables: Sequence[Table]) -> None:
    """Remove what failed and killed runs have left behind, once it is older than such a branch is to be kept."""
    oldest = datetime.now(UTC) - timedelta(days=settings.audit_branch_max_age_days)
    for table in tables:
        iceberg = load(settings, table)
        for name, reference in iceberg.refs().items():
            snapshot = iceberg.snapshot_by_id(reference.snapshot_id)
            if name.startswith(BRANCH_PREFIX) and snapshot and snapshot.timestamp_ms < oldest.timestamp() * 1000:
                drop_branch(Branch(spark, table, name, "", "", {}, oldest))
                logger.info("dropped old branch %s of %s", name, table.identifier)
