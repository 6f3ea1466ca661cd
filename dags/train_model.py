"""
# train_model

One model by its name, trained once: for a sweep over hyperparameters, or to train again outside of its schedule.

**Schedule.** None: trigger it. The form takes the model, changed values (`num_leaves=63`, one a line) and a point in
time of gold (a tag, a snapshot id, or an ISO time in UTC). Several runs may go at the same time: one per combination of
a sweep. No catch-up.

**Upstream.** The model's gold table, as of that point in time; without one, what is published now.

**By hand.** `lakehouse train MODEL --set num_leaves=63 --as-of POINT` does the same.

## If it fails

Nothing is registered that did not pass its gate, and the champion stays. The task's last line says what is wrong.
*Exit code 2*: a value, the point in time or the data is not what was expected; trigger a new run. *Exit code 3*: the
model did not pass its gate; its run in MLflow shows the figures. Other codes were retried already: look at memory and
MLflow's store, then clear the task. Any task may be cleared and run again at any time: what is done is not done twice.
"""

from __future__ import annotations

from airflow.sdk import DAG, Param, chain

from dags.common.command import CommandOperator
from dags.common.defaults import START, default_args
from dags.common.notices import deadline
from dags.common.training import run_argument, step_tasks
from ml.config import config_files

OVERRIDE = "{{ '--set=' ~ params.overrides[%d] if params.overrides|length > %d else '' }}"
"""One argument per possible override; those that are not given are rendered to nothing."""
MOST_OVERRIDES = 12
MODELS = [*config_files()]

with DAG(
    dag_id="train_model",
    doc_md=__doc__,
    description="Train any one model, with its hyperparameters changed",
    schedule=None,
    start_date=START,
    catchup=False,
    deadline=deadline("train_model"),
    max_active_runs=4,
    default_args={**default_args("ml"), "pool": "high_priority_cpu"},
    params={
        "model": Param(MODELS[0], type="string", enum=MODELS, description="which model"),
        "overrides": Param(
            [], type="array", items={"type": "string"}, maxItems=MOST_OVERRIDES, description="key=value, one a line"
        ),
        "as_of": Param(None, type=["null", "string"], description="tag, snapshot id or ISO time (UTC) of gold"),
    },
    tags=["models"],
) as dag:
    AS_OF = "{{ '--as-of=' ~ params.as_of if params.as_of else '' }}"
    first = [OVERRIDE % (number, number) for number in range(MOST_OVERRIDES)]
    steps = step_tasks("{{ params.model }}", "", {}, [*first, AS_OF])
    promote = CommandOperator(
        task_id="promote",
        arguments=["train", "{{ params.model }}", "--step", "promote", *run_argument("")],
    )
    chain(*steps, promote)
