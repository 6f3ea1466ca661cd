"""
# maintenance

Keeps tables small and quick, and their tags in line with the model registry. No reader sees a difference.

**Schedule.** Daily 05:00 UTC, after the tables of the night; with `LAKEHOUSE_MAINTENANCE_SCHEDULE=manual` only when it
is triggered. No catch-up, one run at a time: a missed night is made up
by the next.

**What it does.** `branches` removes what failed and killed runs have left (older than
`LAKEHOUSE_AUDIT_BRANCH_MAX_AGE_DAYS`); `compaction` writes crowded partitions together; `tags` lets go of tags that no
registered version needs and holds those that one does; `expiry` forgets snapshots older than
`LAKEHOUSE_SNAPSHOT_MAX_AGE_DAYS` (of log tables: an hour, but for the last 20), never one that a tag holds; `orphans`
removes files that no snapshot names (`LAKEHOUSE_ORPHAN_FILE_MIN_AGE_DAYS`, never below three days); `metadata` bounds
the number of metadata files; `logs` removes logs older than `LAKEHOUSE_LOG_MAX_AGE_DAYS`, here and in the store.

**Upstream.** Nothing. It yields: a table at which a run is at work is left for the next night.

**By hand.** `spark-submit spark_jobs/maintenance.py --dry-run` says what would be done; `--task` and `--table` pick.

## If it fails

Nothing is lost and nothing is stale: tables only stay as large as they were. *Exit code 2* names what to fix. Other
codes were retried already: look at disk, catalog and store, then clear the task. After several failed nights queries
get slower and the disk fuller. Any task may be cleared and run again at any time.
"""

from __future__ import annotations

from airflow.sdk import DAG, chain

from dags.common.command import CommandOperator
from dags.common.defaults import START, default_args
from dags.common.notices import deadline
from dags.common.schedules import Schedule
from dags.common.spark_job import SparkJobOperator
from lakehouse.config.settings import settings

CRONS = {"daily": ("0 5 * * *",), "manual": ()}
SCHEDULE = Schedule(CRONS[settings().maintenance_schedule])

with DAG(
    dag_id="maintenance",
    doc_md=__doc__,
    description="Compaction, expiry, orphan files, leftover branches, tags of models, logs",
    schedule=SCHEDULE.timetable(),
    start_date=START,
    catchup=False,
    deadline=deadline("maintenance"),
    max_active_runs=1,
    default_args=default_args("lakehouse"),
    tags=["maintenance"],
) as dag:

    def upkeep(task: str) -> SparkJobOperator:
        """Do one of the job's tasks on every table."""
        return SparkJobOperator(task_id=task, script="maintenance.py", arguments=["--task", task])

    tags = CommandOperator(task_id="tags", arguments=["models", "--reconcile"])
    # Tags first: what they hold does not expire
    chain(upkeep("branches"), upkeep("compaction"), tags, upkeep("expiry"), upkeep("orphans"), upkeep("metadata"))
    CommandOperator(task_id="logs", arguments=["remove-old-logs"])
