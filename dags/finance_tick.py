"""
# finance_tick

Delivered ticks to bars, features, profiles and correlations, then the models that are trained on them.

**Schedule.** 16:30 New York time, after the close, for the last whole day (UTC) and the day so far; with
`LAKEHOUSE_FINANCE_SCHEDULE=quarter_hourly` every 15 minutes, with `manual` only when it is triggered. Models are looked
at Sunday 02:00 New York time, too, and trained in the first run after the `retrain` of their YAML (UTC); otherwise
their `due` task is skipped and says why. No catch-up; one run at a time, since exponential means are carried over
midnight.

**Upstream.** Files in the landing folder (`LAKEHOUSE_LANDING`). Days without files change nothing.

**By hand.** Trigger it, with `first_day` and `last_day_exclusive` for other days and `retrain` for the models.
Backfill: `lakehouse airflow backfill create --dag-id finance_tick --from-date 2024-08-08 --to-date 2024-08-12`, with
`--dry-run` first. Each task's log shows its command line; it runs as it is in a shell.

## If it fails

Nothing that failed its audit is published, and readers see the last good state. The task's last line says what is
wrong. *Exit code 2*: a file or parameter is not what was expected; mend the file, clear the task. *Exit code 3*: the
audit failed; `lakehouse report` shows the rows. Other codes were retried already: look at disk, memory, catalog and
store, then clear the task. Any task may be cleared and run again at any time: what is done is not done twice.
A yellow warning "quarantined" is a success in which some files were set aside: `bronze.files` names them.
"""

from __future__ import annotations

from collections.abc import Sequence

from airflow.sdk import DAG

from dags.common.defaults import START, default_args
from dags.common.notices import deadline
from dags.common.report import report_task
from dags.common.schedules import FROM_YESTERDAY, MACROS, Schedule, chosen_schedule, day_params, retrain_param
from dags.common.spark_job import SparkJobOperator
from dags.common.training import model_groups, read_configs

CRONS = {"daily": ("30 16 * * *", "0 2 * * 0"), "quarter_hourly": ("*/15 * * * *",), "manual": ()}
BY_DELIVERY = (*FROM_YESTERDAY, "--by-delivery")
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
    params={**day_params(), "retrain": retrain_param()},
    user_defined_macros=MACROS,
    tags=["finance", "tables", "models"],
) as dag:

    def bronze(name: str, **rules: str) -> SparkJobOperator:
        """Load the deliveries of the days."""
        script, table = f"finance/bronze_{name}.py", f"bronze.{name}"
        return SparkJobOperator(task_id=f"bronze_{name}", script=script, table=table, arguments=FROM_YESTERDAY, **rules)

    def derived(layer: str, name: str, arguments: Sequence[str] = BY_DELIVERY) -> SparkJobOperator:
        """Make the event days again that those deliveries touch."""
        script = f"finance/{layer}_{name}.py" if layer == "silver" else f"finance/{name}.py"
        return SparkJobOperator(task_id=f"{layer}_{name}", script=script, table=f"{layer}.{name}", arguments=arguments)

    bronze_trades = bronze("trades")
    # One after the other, since both write the manifest; one failing stops only what is made from it
    bronze_quotes = bronze("quotes", trigger_rule="all_done")
    silver_trades, silver_quotes = derived("silver", "trades"), derived("silver", "quotes")
    instruments = derived("gold", "instruments", arguments=())
    bars, profiles = derived("gold", "bars_1m"), derived("gold", "volume_profile_1d")
    features, correlations = derived("gold", "tick_features"), derived("gold", "return_correlations_1d")

    bronze_trades >> bronze_quotes >> [silver_quotes, instruments]
    bronze_trades >> [silver_trades, instruments]
    silver_trades >> [bars, profiles]
    bars >> features >> correlations
    for group in model_groups(read_configs("finance"), SCHEDULE):
        [features, silver_quotes] >> group
    [silver_quotes, instruments, profiles, correlations] >> report_task()
