"""
# energy_forecast

Meter files to hourly loads with features, forecasts of every champion, and the models that are trained on them.

**Schedule.** Daily 01:00 UTC: the last civil day and the day so far. Forecasts each time; with
`LAKEHOUSE_ENERGY_SCHEDULE=monthly` only in the first run of a month, with `quarter_hourly` the whole Dag runs every
15 minutes, with `manual` only when it is triggered. A model is trained in the first run after the `retrain` of its YAML
(UTC); otherwise its `due` task is skipped and says why. No catch-up; one run at a time, since features look back four
weeks.

**Upstream.** Files in the landing folder (`LAKEHOUSE_LANDING`) and their dialects. Days without readings change
nothing.

**Tasks.** `plan` finds the layers that have work, without Spark; `bronze`, `silver` and `gold` are one `spark-submit`
each of `spark_jobs/energy/pipeline.py`, whose log has two lines per table: its begin and its end. Models and
forecasts follow `gold`.

**By hand.** Trigger it, with `first_day` and `last_day_exclusive` for other days, `jobs` for some tables only (such as
`gold.load_hourly`) and `retrain` for the models.
Backfill: `lakehouse airflow backfill create --dag-id energy_forecast --from-date 2007-01-02 --to-date 2007-01-07`, with
`--dry-run` first. Each task's log shows its command line; it runs as it is in a shell.

## If it fails

Nothing that failed its audit is published, and readers see the last good state. The task's last line names the job and
what is wrong. *Exit code 2*: a file, its dialect or a parameter is not what was expected; fix it, clear the task. *Exit
code 3*: the audit failed (`lakehouse report` shows the rows), or a model did not pass its gate (its run in MLflow).
Other codes were retried already: check disk, memory, catalog and store, then clear the task. A task `configuration`
names file and line of a YAML to fix. Any task may be cleared and run again at any time: what is done is not done twice.
A forecast that fails leaves the published ones as they are. A yellow warning "quarantined or held back" is a success in
which files were set aside (`bronze.files` names them) or meters kept a day's rows from before (the warning and
`lakehouse report` name them with their files).
"""

from __future__ import annotations

from airflow.sdk import DAG

from dags.common.defaults import START, default_args
from dags.common.forecast import ForecastOperator
from dags.common.notices import deadline
from dags.common.schedules import FROM_YESTERDAY, MACROS, Schedule, chosen_schedule, retrain_param
from dags.common.tables import table_params, table_tasks
from dags.common.training import model_groups, read_configs

DAILY = "0 1 * * *"
FORECAST_CRONS = {"daily": DAILY, "monthly": "0 1 1 * *", "quarter_hourly": "*/15 * * * *", "manual": DAILY}
CRONS = {"daily": (DAILY,), "monthly": (DAILY,), "quarter_hourly": (FORECAST_CRONS["quarter_hourly"],), "manual": ()}
CHOICE = chosen_schedule("energy", CRONS)
FORECASTS = FORECAST_CRONS[CHOICE]
SCHEDULE = Schedule(CRONS[CHOICE])

with DAG(
    dag_id="energy_forecast",
    doc_md=__doc__,
    description="Meter readings to hourly loads, models and forecasts",
    schedule=SCHEDULE.timetable(),
    start_date=START,
    catchup=False,
    deadline=deadline("energy_forecast"),
    max_active_runs=1,
    default_args=default_args("energy"),
    params={**table_params("energy"), "retrain": retrain_param()},
    user_defined_macros=MACROS,
    tags=["energy", "tables", "models", "forecasts"],
) as dag:
    tables = table_tasks("energy")
    for group in model_groups(read_configs("energy"), SCHEDULE):
        forecast = ForecastOperator(
            task_id=f"forecast_{group.group_id}",
            model=str(group.group_id),
            days=FROM_YESTERDAY,
            schedule=SCHEDULE,
            cron=FORECASTS,
            pool="high_priority_cpu",
        )
        tables.gold >> [group, forecast]
