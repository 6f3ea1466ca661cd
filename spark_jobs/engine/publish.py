"""How a table changes, once for all tables: stage on a branch, audit, fast-forward `main`, settle what went wrong.

`main` of a data table moves here and nowhere else, and only by fast-forward: whatever a lost connection does to a
commit on a branch, `main` stays readable. Tables of one run are audited all before the first of them moves. A part
that fails its audit keeps the rows that `main` has; the other parts are published.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import polars as pl
from py4j.protocol import Py4JError
from pyiceberg.table import Table as IcebergTable
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_fixed

from expectations.report import AuditReport
from lakehouse.config.settings import Settings
from lakehouse.errors import LakehouseError, UnavailableError
from lakehouse.lake.catalog import append_log, load
from lakehouse.lake.history import TRIED, last_replacements, main_history, rows_per_slice
from lakehouse.slices import Slice, days_of, describe_slices, in_order
from lakehouse.tables import Table
from lakehouse.tables.logs import CHECK_RESULTS
from spark_jobs.engine.audits import HeldPart, audit_all, group_parts
from spark_jobs.engine.branches import BRANCH_PREFIX, drop_branch, drop_branches, main_of, main_snapshot, reason_of
from spark_jobs.engine.kept import hold_back, staged_rows
from spark_jobs.engine.stage import Branch, HeldBack, change_references

logger = logging.getLogger(__name__)

SETTLE_ATTEMPTS = 5
SETTLE_PAUSE_S = 1.0


class MainMovedError(LakehouseError):
    """Another run published to the table after this one was planned: plan and stage again.

    `published` are tables that this run had moved before; they stay.
    """

    published: tuple[Published, ...] = ()


@dataclass(frozen=True)
class Write:
    """One table of a run: `stage` puts rows onto the branch and returns the slices that it replaced there.

    Those are the `slices` planned, and later ones if a carried state changed. `facts` counts what the audit asks for,
    in all parts but those held back.
    """

    table: Table
    slices: tuple[Slice, ...]
    stage: Callable[[Branch], Sequence[Slice]]
    facts: Callable[[Branch, Sequence[Slice], HeldBack], Mapping[str, Any]] = field(
        default=lambda branch, slices, held: {}
    )


@dataclass(frozen=True)
class Attempt:
    """What one attempt of a run works with; `bases` are its tables as they were loaded before the plan was made."""

    spark: SparkSession
    settings: Settings
    run_id: str
    run_key: str
    slice_keys: Mapping[Slice, str]
    started_at: datetime
    bases: Mapping[str, IcebergTable]

    @property
    def branch_name(self) -> str:
        """The run's branch, the same name in each of its tables."""
        return f"{BRANCH_PREFIX}{self.run_id}"

    def branch(self, table: Table) -> Branch:
        """Return the run's branch of a table, whether it exists yet or not."""
        return Branch(
            *(self.spark, self.settings, table, self.bases[table.identifier], self.branch_name, self.run_id),
            *(self.run_key, self.slice_keys, self.started_at),
        )


@dataclass(frozen=True)
class Staged:
    """A write that lies on its branch: the snapshot that is audited is the one that is published."""

    write: Write
    branch: Branch
    snapshot_id: int
    metadata_location: str
    slices: tuple[Slice, ...]
    facts: Mapping[str, Any]
    held: HeldBack = field(default_factory=dict)


@dataclass(frozen=True)
class Published:
    """What came of one table: rows of its slices that were audited, and the snapshot that `main` is at."""

    table: Table
    slices: tuple[Slice, ...]
    rows_added: int
    snapshot_id: int
    facts: Mapping[str, Any]


@dataclass(frozen=True)
class Publication:
    """What a run published, and the parts that it held back."""

    tables: tuple[Published, ...]
    held: tuple[HeldPart, ...] = ()


def is_published(attempt: Attempt, table: Table, slices: Iterable[Slice]) -> bool:
    """Return whether the last replacement of each of the slices on `main` carries the slice's key."""
    last = last_replacements(attempt.bases[table.identifier])
    return all(each in last and last[each].slice_key == attempt.slice_keys[each] for each in slices)


def publish(attempt: Attempt, writes: Sequence[Write]) -> Publication:
    """Stage, audit and publish the tables in the order given; those that carry the keys already are left alone.

    Raises:
        AuditFailedError: a critical rule failed for a whole table; the branches are left for inspection.
        MainMovedError: a table changed since the plan was made.
        UnavailableError: the outcome of a step is unknown or the catalog is away.
    """
    pending = [write for write in writes if not is_published(attempt, write.table, write.slices)]
    branches: list[Branch] = []
    published: list[Published] = []
    try:
        for write in pending:
            branches.append(open_branch(attempt, write.table))
        staged = [stage(attempt, write, branch) for write, branch in zip(pending, branches, strict=True)]
        reports, held = audit_all(attempt, staged)
        if held:
            logger.warning("held back: %s", "; ".join(str(part) for part in held))
            if leaves_nothing(staged, held) or changes_nothing(attempt, staged, held):
                drop_branches(branches)
                return Publication((), held)
            staged = [stage_without(attempt, item, group_parts(held)) for item in staged]
            reports, _ = audit_all(attempt, staged, is_final=True)
        log_checks(attempt.settings, reports)
        for item, report in zip(staged, reports, strict=True):
            fast_forward(attempt, item)
            published.append(
                Published(item.write.table, item.slices, report.rows_evaluated, item.snapshot_id, item.facts)
            )
    except MainMovedError as error:
        error.published = tuple(published)
        drop_branches(branches)
        raise
    drop_branches(branches)
    return Publication(tuple(published), held)


def log_checks(settings: Settings, reports: Sequence[AuditReport]) -> None:
    """Log every rule's result."""
    append_log(settings, CHECK_RESULTS, [result.as_row() for report in reports for result in report.results])


def stage(attempt: Attempt, write: Write, branch: Branch) -> Staged:
    """Put one table's rows onto its branch and count what its audit asks for."""
    slices = in_order(write.stage(branch))
    logger.info("staged %s on branch %s: %s", write.table.identifier, branch.name, describe_slices(slices))
    return count_facts(attempt, write, branch, slices, {})


def stage_without(attempt: Attempt, staged: Staged, parts: HeldBack) -> Staged:
    """Put back what `main` has of the parts that failed, in each table of the run that has rows of them."""
    held = {each: parts[each] for each in staged.slices if each in parts}
    if not held or not staged.write.table.has_parts:
        return staged
    hold_back(staged.branch, held)
    return count_facts(attempt, staged.write, staged.branch, staged.slices, held)


def count_facts(attempt: Attempt, write: Write, branch: Branch, slices: tuple[Slice, ...], held: HeldBack) -> Staged:
    """Return the branch as it is now, with what its audit asks for."""
    iceberg = load(attempt.settings, write.table)
    snapshot_id = iceberg.refs()[branch.name].snapshot_id
    facts = {"rows_trailing_week_mean": trailing_week_mean(attempt.bases[write.table.identifier], write.table, slices)}
    counted = {name: without_parts(fact, held) for name, fact in write.facts(branch, slices, held).items()}
    return Staged(write, branch, snapshot_id, iceberg.metadata_location, slices, {**facts, **counted}, held)


def without_parts(fact: Any, held: HeldBack) -> Any:
    """Return a fact that was counted per part, (slice, subject), without the parts held back; others as they are."""
    if not isinstance(fact, Mapping):
        return fact
    return {(each, subject): value for (each, subject), value in fact.items() if subject not in held.get(each, ())}


def leaves_nothing(staged: Sequence[Staged], held: Sequence[HeldPart]) -> bool:
    """Return whether all rows of a table that may not be empty are of parts that failed: nothing is left to publish."""
    parts = group_parts(held)
    for item in staged:
        table = item.write.table
        if table.has_parts and not table.may_be_empty:
            rows = staged_rows(item.branch, item.slices, {each: parts[each] for each in item.slices if each in parts})
            if rows.select(pl.len()).collect().item() == 0:
                return True
    return False


def changes_nothing(attempt: Attempt, staged: Sequence[Staged], held: Sequence[HeldPart]) -> bool:
    """Return whether `main` already is what would be published: the same parts were held back from the same inputs."""
    parts = group_parts(held)
    for item in staged:
        last = last_replacements(attempt.bases[item.write.table.identifier])
        for each in item.slices:
            known = last.get(each)
            key = TRIED + attempt.slice_keys[each]
            if known is None or known.slice_key != key or known.held_back != parts.get(each):
                return False
    return True


def trailing_week_mean(iceberg: IcebergTable, table: Table, slices: Sequence[Slice]) -> float | None:
    """Return the mean of rows per published day in the week before the days; None if partitions are not days."""
    days = days_of(slices)
    if table.replaced_by is None or not table.partitioned_by or not days:
        return None
    week = [date.fromordinal(min(days).toordinal() - number) for number in range(1, 8) if min(days).toordinal() > 7]
    rows = rows_per_slice(iceberg, table.replaced_by)
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
    if main_snapshot(attempt.settings, table) != main_of(attempt.bases[table.identifier]):
        drop_branch(branch)
        raise MainMovedError(f"{table.identifier} was published by another run meanwhile")
    return branch


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
    """Find out what an exception at the fast-forward meant, from the references alone.

    An answer can be lost after the database applied the commit, so the exception itself proves nothing.
    """
    table = staged.write.table.identifier
    why = reason_of(error)
    asking = Retrying(
        stop=stop_after_attempt(SETTLE_ATTEMPTS),
        wait=wait_fixed(SETTLE_PAUSE_S),
        retry=retry_if_exception_type(UnavailableError),
        reraise=True,
    )
    try:
        iceberg = asking(load, attempt.settings, staged.write.table)
    except UnavailableError:
        raise UnavailableError(
            f"whether {table} was published is unknown, the catalog is away: {why}; run the same again"
        ) from error
    if any(snapshot.snapshot_id == staged.snapshot_id for snapshot in main_history(iceberg)):
        logger.warning("publishing %s raised, but main has the snapshot: published (%s)", table, why)
        return
    if main_of(iceberg) != main_of(attempt.bases[table]):
        raise MainMovedError(f"{table} was published by another run meanwhile") from error
    raise UnavailableError(f"{table} was not published: {why}; main is as it was, run the same again") from error
