"""
# vision_classifier

Image sets from delivered files to gold, and the classifiers that are trained on them: one group per set.

**Schedule.** By hand, or with `LAKEHOUSE_VISION_SCHEDULE=weekly` Sunday 03:00 UTC. No catch-up. The sets are
independent: one that fails its audit is held back, the others are published.

**Upstream.** Files in the landing folder (`LAKEHOUSE_LANDING`). A set whose tables are as the files say changes
nothing.

**Tasks.** `plan` finds the layers that have work, without Spark; `bronze`, `silver` and `gold` are one `spark-submit`
each of `spark_jobs/vision/pipeline.py`, whose log has two lines per table: its begin and its end. Models follow
`gold`.

**By hand.** Trigger it; the form says which sets, which tables only (`jobs`), and whether models are trained (a model
without a schedule of its own is trained in every run). `spark-submit spark_jobs/vision/pipeline.py --dataset mnist` and
`lakehouse train mnist_cnn` do the same.

## If it fails

Nothing that failed its audit is published, and nothing is registered that did not pass its gate; the champion stays.
The task's last line names the job and what is wrong. *Exit code 2*: a file or the data is not what was expected, or the
set was never delivered; fix the file, clear the task. *Exit code 3*: the audit failed (`lakehouse report` shows the
images), or the model did not pass its gate (its run in MLflow). Other codes were retried already: check disk, memory
and store, then clear the task. Any task may be cleared and run again at any time: what is done is not done twice. A
yellow warning "quarantined or held back" is a success in which files were set aside (`bronze.files` names them) or a
set kept its images from before (the warning and `lakehouse report` name it with its files).
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, BaseOperator, TaskGroup, chain
from airflow.sdk.exceptions import AirflowSkipException

from dags.common.defaults import START, default_args
from dags.common.notices import deadline
from dags.common.schedules import MACROS, Schedule, chosen_schedule, retrain_param
from dags.common.tables import table_params, table_tasks
from dags.common.training import EVERY_RUN, BadConfiguration, model_groups, read_configs
from lakehouse.config.settings import settings
from lakehouse.tables.vision import SHIPPED_SETS, gold_images
from ml.config import ModelConfig

CRONS = {"manual": (), "weekly": ("0 3 * * 0",)}
SCHEDULE = Schedule(CRONS[chosen_schedule("vision", CRONS)])


class WantedOperator(BaseOperator):
    """Skip an image set that the run's form leaves out, or that was never delivered if the form names none."""

    def __init__(self, *, dataset: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dataset = dataset

    def execute(self, context: Any) -> None:
        """Go on.

        Raises:
            AirflowSkipException: the set is not wanted in this run, or has no images.
        """
        from lakehouse.lake.catalog import has_rows

        wanted = context["params"]["datasets"]
        if wanted and self.dataset not in wanted:
            raise AirflowSkipException(f"not asked for: the run's form names {', '.join(wanted)}")
        if not wanted and not has_rows(settings(), gold_images(self.dataset)):
            raise AirflowSkipException(f"{gold_images(self.dataset).identifier} has no images: never delivered")


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
    params={**table_params("vision"), "retrain": retrain_param("yes")},
    user_defined_macros=MACROS,
    tags=["vision", "tables", "models"],
) as dag:
    tables = table_tasks("vision")
    configs = read_configs("vision")
    for dataset in SHIPPED_SETS:
        table = gold_images(dataset).identifier
        with TaskGroup(dataset):
            due = WantedOperator(task_id="wanted", dataset=dataset)
            models = [config for config in configs if isinstance(config, ModelConfig) and config.table == table]
            chain(tables.gold, due, model_groups(models, SCHEDULE, EVERY_RUN))
    # A YAML that cannot be read names no set
    model_groups([config for config in configs if isinstance(config, BadConfiguration)], SCHEDULE)
