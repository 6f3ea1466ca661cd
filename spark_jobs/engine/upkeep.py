"""What maintenance does to one table: each task returns in words what it did, empty where there was nothing to do.

A table at which a run is at work is left for the next time, and where another run publishes first, it has won. `main`
moves by fast-forward alone, here too.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from pyiceberg.table import Table as IcebergTable

from lakehouse.errors import LakehouseError
from lakehouse.lake.catalog import load
from lakehouse.lake.history import main_history, summary_of
from lakehouse.lake.migration import TABLE_PROPERTIES
from lakehouse.tables import CATALOG, Table
from spark_jobs.engine.branches import BRANCH_PREFIX, drop_branch, old_branches
from spark_jobs.engine.job import Request
from spark_jobs.engine.publish import Attempt, Staged, Write, fast_forward, open_branch

MIN_FILES = 5
"""A partition with so many files is written together: below, Iceberg's planning costs less than the rewrite."""
LIVE_RUN = timedelta(days=1)
"""A branch whose run has not recorded its end counts as at work for so long after its last snapshot."""
LOG_SNAPSHOT_MAX_AGE, LOG_SNAPSHOTS_KEPT = timedelta(hours=1), 20
"""At a thousand snapshots, an append takes PyIceberg a CPU second (benchmarks/README.md). The last ones stay, so that
who is reading finds the files that compaction has replaced."""
METADATA = {name: value for name, value in TABLE_PROPERTIES.items() if name.startswith("write.metadata.")}


@dataclass(frozen=True)
class Work:
    """What every task works with; `recorded` are the runs that have ended."""

    request: Request
    recorded: frozenset[str]

    def attempt(self, table: Table) -> Attempt:
        """Return an attempt at moving a table's `main`."""
        request = self.request
        bases = {table.identifier: load(request.settings, table)}
        return Attempt(request.spark, request.settings, request.run_id, "", {}, request.started_at, bases)


def is_at_work(work: Work, iceberg: IcebergTable) -> bool:
    """Say whether a run has staged something on a table and has not ended yet."""
    newest = (datetime.now(UTC) - LIVE_RUN).timestamp() * 1000
    main = iceberg.refs().get("main")
    for name, reference in iceberg.refs().items():
        if not name.startswith(BRANCH_PREFIX) or name.removeprefix(BRANCH_PREFIX) in work.recorded:
            continue
        snapshot = iceberg.snapshot_by_id(reference.snapshot_id)
        is_fresh = snapshot is not None and snapshot.timestamp_ms > newest
        if is_fresh or (main is not None and main.snapshot_id == reference.snapshot_id):
            return True
    return False


def drop_leftover_branches(work: Work, table: Table, iceberg: IcebergTable) -> str:
    """Remove branches that failed and killed runs have left, once they are older than such a branch is to be kept."""
    old = old_branches(iceberg, work.request.settings)
    if not work.request.is_dry_run:
        attempt = work.attempt(table)
        for name in old:
            drop_branch(replace(attempt.branch(table), name=name))
    return f"{len(old)} branches" if old else ""


def compact(work: Work, table: Table, iceberg: IcebergTable) -> str:
    """Write the files of crowded partitions together, sorted where that is declared, and publish them by fast-forward.

    Raises:
        MainMovedError: another run published meanwhile.
    """
    counts = Counter(str(task.file.partition) for task in iceberg.scan().plan_files())
    crowded = [count for count in counts.values() if count >= MIN_FILES]
    if not crowded:
        return ""
    if is_at_work(work, iceberg):
        return "left: a run is at work"
    if work.request.is_dry_run:
        return f"{sum(crowded)} files in {len(crowded)} partitions"
    attempt = work.attempt(table)
    branch = open_branch(attempt, table)
    try:
        actions = work.request.spark._jvm.org.apache.iceberg.spark.actions.SparkActions
        rewrite = actions.get(work.request.spark._jsparkSession).rewriteDataFiles(branch.java_table())
        rewrite = rewrite.toBranch(branch.name).option("min-input-files", str(MIN_FILES))
        done = (rewrite.sort() if branch.java_table().sortOrder().isSorted() else rewrite.binPack()).execute()
        if not done.rewrittenDataFilesCount():
            return ""
        after = load(work.request.settings, table)
        snapshot_id = after.refs()[branch.name].snapshot_id
        check_same_rows(table, iceberg, after, snapshot_id)
        fast_forward(
            attempt, Staged(Write(table, (), lambda _: ()), branch, snapshot_id, after.metadata_location, (), {})
        )
        return f"{done.rewrittenDataFilesCount()} files into {done.addedDataFilesCount()}"
    finally:
        drop_branch(branch)


def check_same_rows(table: Table, before: IcebergTable, after: IcebergTable, snapshot_id: int) -> None:
    """Hold a compacted snapshot against the one that it replaces.

    Raises:
        LakehouseError: it has another number of rows.
    """
    was, now = before.current_snapshot(), after.snapshot_by_id(snapshot_id)
    rows = [int(summary_of(each).get("total-records", "-1")) if each else -1 for each in (was, now)]
    if rows[0] != rows[1]:
        raise LakehouseError(f"{table.identifier}: compaction made {rows[1]} rows of {rows[0]}; nothing was published")


def expire(work: Work, table: Table, iceberg: IcebergTable) -> str:
    """Forget snapshots older than the setting says, with their files; those that a tag or branch holds stay.

    Those of a log table go sooner: its rows are its history, and each append costs more the more snapshots there are.
    """
    age, kept = timedelta(days=work.request.settings.snapshot_max_age_days), 1
    if table.kind == "log":
        age, kept = min(age, LOG_SNAPSHOT_MAX_AGE), LOG_SNAPSHOTS_KEPT
    oldest = int((datetime.now(UTC) - age).timestamp() * 1000)
    held = {reference.snapshot_id for reference in iceberg.refs().values()}
    held |= {each.snapshot_id for each in islice(main_history(iceberg), kept)}
    old = [each for each in iceberg.snapshots() if each.timestamp_ms < oldest and each.snapshot_id not in held]
    if not old:
        return ""
    if work.request.is_dry_run:
        return f"{len(old)} snapshots"
    actions = work.request.spark._jvm.org.apache.iceberg.spark.actions.SparkActions
    done = (
        actions.get(work.request.spark._jsparkSession)
        .expireSnapshots(java_table(work, table))
        .expireOlderThan(oldest)
        .retainLast(kept)
        .execute()
    )
    left = len(load(work.request.settings, table).snapshots())
    return f"{len(iceberg.snapshots()) - left} snapshots with {done.deletedDataFilesCount()} data files"


def remove_orphans(work: Work, table: Table, iceberg: IcebergTable) -> str:
    """Remove files that no snapshot names, as killed runs leave them, once no run can still be about to name them."""
    settings = work.request.settings
    oldest = datetime.now(UTC) - timedelta(days=settings.orphan_file_min_age_days)
    options = f"older_than => TIMESTAMP '{oldest:%Y-%m-%d %H:%M:%S}', dry_run => {str(work.request.is_dry_run).lower()}"
    if settings.warehouse_uri.startswith("s3"):
        options += ", prefix_listing => true"  # by Iceberg's own client of the store; Spark has none
    found = work.request.spark.sql(
        f"CALL {CATALOG}.system.remove_orphan_files(table => '{table.identifier}', {options})"
    )
    count = len(found.collect())
    return f"{count} files" if count else ""


def trim_metadata(work: Work, table: Table, iceberg: IcebergTable) -> str:
    """Let each commit remove the oldest metadata file, on tables that were made before this was declared."""
    missing = {name: value for name, value in METADATA.items() if iceberg.properties.get(name) != value}
    if missing and not work.request.is_dry_run:
        with iceberg.transaction() as change:
            change.set_properties(missing)
    return "set up" if missing else ""


def java_table(work: Work, table: Table) -> Any:
    """Iceberg's own table object, loaded afresh."""
    return work.attempt(table).branch(table).java_table()
