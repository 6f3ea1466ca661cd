"""
# vision_classifier

Image sets from delivered files to gold, and the classifiers that are trained on them: one group per set.

**Schedule.** By hand, or with `LAKEHOUSE_VISION_SCHEDULE=weekly` Sunday 03:00 UTC. No catch-up. The sets are
independent: one that fails never stops another.

**Upstream.** Files in the landing folder (`LAKEHOUSE_LANDING`). A set whose tables are as the files say changes
nothing.

**By hand.** Trigger it; the form says which sets, and whether models are trained (a model without a schedule of its own
is trained in every run). `spark-submit spark_jobs/vision/pipeline.py --dataset
mnist` and `lakehouse train mnist_cnn` do the same.

## If it fails

Nothing that failed its audit is published, and nothing is registered that did not pass its gate; the champion stays.
The task's last line says what is wrong. *Exit code 2*: a file or the data is not what was expected, or the set was
never delivered; mend the file, clear the task. *Exit code 3*: the audit failed (`lakehouse report` shows the images),
or the model did not pass its gate (its run in MLflow). Other codes were retried already: look at disk, memory and
store, then clear the task. Any task may be cleared and run again at any time: what is done is not done twice.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, BaseOperator, Param, TaskGroup, chain
from airflow.sdk.exceptions import AirflowSkipException

from dags.common.defaults import START, default_args
from dags.common.notices import deadline
from dags.common.schedules import MACROS, Schedule, chosen_schedule, retrain_param
from dags.common.spark_job import SparkJobOperator
from dags.common.training import EVERY_RUN, BadConfiguration, model_groups, read_configs
from lakehouse.tables.vision import SHIPPED_SETS, gold_images
from ml.config import ModelConfig

CRONS = {"manual": (), "weekly": ("0 3 * * 0",)}
SCHEDULE = Schedule(CRONS[chosen_schedule("vision", CRONS)])
DATASETS = Param(
    ["mnist", "cifar10"],
    type="array",
    items={"type": "string", "enum": [*SHIPPED_SETS]},
    description="which image sets; the others are skipped",
)


class WantedOperator(BaseOperator):
    """Skip an image set that the run's form leaves out."""

    def __init__(self, *, dataset: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dataset = dataset

    def execute(self, context: Any) -> None:
        """Go on.

        Raises:
            AirflowSkipException: the set is not wanted in this run.
        """
        wanted = context["params"]["datasets"]
        if self.dataset not in wanted:
            raise AirflowSkipException(f"not asked for: the run's form names {', '.join(wanted) or 'no set'}")


with DAG(
    dag_id="vision_classifier",
    doc_md=__doc__,
    description="Image sets to tables and classifiers",
    schedule=SCHEDULE.timetable(),
    start_date=START,
    catchup=False,
    deadline=deadline("vision_classifier"),
    max_active_runs=1,
    default_args=default_args("vision"),
    params={"retrain": retrain_param("yes"), "datasets": DATASETS},
    user_defined_macros=MACROS,
    tags=["vision", "tables", "models"],
) as dag:
    configs = read_configs("vision")
    for dataset in SHIPPED_SETS:
        table = gold_images(dataset).identifier
        with TaskGroup(dataset):
            due = WantedOperator(task_id="wanted", dataset=dataset)
            tables = SparkJobOperator(task_id="tables", script="vision/pipeline.py", arguments=["--dataset", dataset])
            models = [config for config in configs if isinstance(config, ModelConfig) and config.table == table]
            chain(due, tables, model_groups(models, SCHEDULE, EVERY_RUN))
    # A YAML that cannot be read names no set
    model_groups([config for config in configs if isinstance(config, BadConfiguration)], SCHEDULE)
