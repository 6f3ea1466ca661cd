"""
# finance_tick

Delivered ticks to bars, features, profiles and correlations, then the models that are trained on them.

**Schedule.** 16:30 New York time, after the close, for the last whole day (UTC) and the day so far; with
`LAKEHOUSE_FINANCE_SCHEDULE=quarter_hourly` every 15 minutes, with `manual` only when it is triggered. Models are looked
at Sunday 02:00 New York time, too, and trained in the first run after the `retrain` of their YAML (UTC); otherwise
their `due` task is skipped and says why. No catch-up; one run at a time, since exponential means are carried over
midnight.

**Upstream.** Files in the landing folder (`LAKEHOUSE_LANDING`). Days without files change nothing.

**Tasks.** `plan` finds the layers that have work, without Spark; `bronze`, `silver` and `gold` are one `spark-submit`
each of `spark_jobs/finance/pipeline.py`, whose log has two lines per table: its begin and its end. Models follow
`gold`.

**By hand.** Trigger it, with `first_day` and `last_day_exclusive` for other days, `jobs` for some tables only (such as
`silver.trades`) and `retrain` for the models.
Backfill: `lakehouse airflow backfill create --dag-id finance_tick --from-date 2024-08-08 --to-date 2024-08-12`, with
`--dry-run` first. Each task's log shows its command line; it runs as it is in a shell.

## If it fails

Nothing that failed its audit is published, and readers see the last good state. The task's last line names the job and
what is wrong; jobs of the same layer that do not read its table went on, later layers wait. *Exit code 2*: a file or
parameter is not what was expected; fix the file, clear the task. *Exit code 3*: the audit failed; `lakehouse report`
shows the rows. Other codes were retried already: check disk, memory, catalog and store, then clear the task. Any task
may be cleared and run again at any time: what is done is not done twice. A yellow warning "quarantined or held back" is
a success in which files were set aside (`bronze.files` names them) or instruments kept a day's rows from before (the
warning and `lakehouse report` name them with their files).
"""

from __future__ import annotations

from airflow.sdk import DAG

from dags.common.defaults import START, default_args
from dags.common.notices import deadline
from dags.common.schedules import MACROS, Schedule, chosen_schedule, retrain_param
from dags.common.tables import table_params, table_tasks
from dags.common.training import model_groups, read_configs

CRONS = {"daily": ("30 16 * * *", "0 2 * * 0"), "quarter_hourly": ("*/15 * * * *",), "manual": ()}
SCHEDULE = Schedule(CRONS[chosen_schedule("finance", CRONS)], "America/New_York")

with DAG(
    dag_id="finance_tick",
    doc_md=__doc__,
    description="Ticks from files to features and models",
    schedule=SCHEDULE.timetable(),
    start_date=START,
    catchup=False,
    deadline=deadline("finance_tick"),
    max_active_runs=1,
    default_args=default_args("finance"),
    params={**table_params("finance"), "retrain": retrain_param()},
    user_defined_macros=MACROS,
    tags=["finance", "tables", "models"],
) as dag:
    tables = table_tasks("finance")
    for group in model_groups(read_configs("finance"), SCHEDULE):
        tables.gold >> group
