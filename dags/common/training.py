"""A model as a group of tasks: due, prepare, train, evaluate, register, approve, promote; as its YAML says.

Reads   ml/<domain>/<model>.yaml   pool, queue, priority, retries, owner, schedule, whether a person approves
Runs    lakehouse train <model> --step <step>, each a process of its own

A YAML that cannot be read becomes a group with one task that fails with file and line: never a Dag that is missing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from airflow.sdk import BaseOperator, TaskGroup
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from dags.common.approval import ModelApproval
from dags.common.command import CommandOperator
from dags.common.pods import executor_config
from dags.common.schedules import Schedule, is_wanted
from lakehouse.config.settings import settings
from lakehouse.errors import BadInputError
from ml.config import ModelConfig, config_files, read_config

RUN_ID = re.compile(r"[0-9a-f]{32}")
STEPS = ("prepare", "train", "evaluate", "register")
SAYS = "promote: "
EVERY_RUN = "* * * * *"
"""The schedule of a model that has none, in a Dag that is only there to train it."""


@dataclass(frozen=True)
class BadConfiguration:
    """A YAML that cannot be read, and why, with file and line."""

    name: str
    error: str


class DueOperator(BaseOperator):
    """Skip what follows, visibly and with the reason, where a model's own schedule has not come."""

    def __init__(self, *, schedule: Schedule, cron: str | None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.schedule = schedule
        self.cron = cron

    def execute(self, context: Any) -> str:
        """Say why it is due.

        Raises:
            AirflowSkipException: it is not; the reason is its text.
        """
        choice = str(context["params"].get("retrain", "when due"))
        is_due, why = is_wanted(self.schedule, self.cron, context["dag_run"], choice)
        if not is_due:
            raise AirflowSkipException(f"not due: {why}")
        return why


class PrepareOperator(CommandOperator):
    """The first step; it hands on the id of the MLflow run."""

    def execute(self, context: Any) -> dict[str, Any]:
        """Prepare a run.

        Raises:
            AirflowFailException: too little data, data too old, a leak.
        """
        found = super().execute(context)
        if not RUN_ID.fullmatch(found["message"]):
            raise AirflowFailException(f"expected the id of a run as last line, found {found['message']!r}")
        return {"mlflow_run_id": found["message"]}


class CompareOperator(CommandOperator):
    """The last step of a model that a person promotes: it compares, and hands on what the test says."""

    def execute(self, context: Any) -> dict[str, Any]:
        """Compare challenger and champion.

        Raises:
            AirflowException: anything that may go well the next time.
        """
        words = [line.removeprefix(SAYS) for line in self.run_command() if line.startswith(SAYS)]
        return {"verdict": words[0] if words else "compared before; the task's first log says how"}


class BadConfigurationOperator(BaseOperator):
    """Stands where a model's group would: fails with what is wrong in its YAML."""

    def __init__(self, *, error: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.error = error

    def execute(self, context: Any) -> None:
        """Fail.

        Raises:
            AirflowFailException: always; file and line are its text.
        """
        raise AirflowFailException(self.error)


def read_configs(domain: str) -> list[ModelConfig | BadConfiguration]:
    """Read every YAML of a domain; what cannot be read is a bad configuration."""
    found: list[ModelConfig | BadConfiguration] = []
    for name, path in config_files().items():
        if path.parent.name == domain:
            try:
                found.append(read_config(path))
            except BadInputError as error:
                found.append(BadConfiguration(name, str(error)))
    return found


def model_groups(
    configs: Sequence[ModelConfig | BadConfiguration], schedule: Schedule, unscheduled: str | None = None
) -> list[TaskGroup]:
    """Make a group for each model, inside of a Dag; `unscheduled` is the cron of those that have none."""
    return [
        failing_group(config.name, config.error)
        if isinstance(config, BadConfiguration)
        else model_group(config, schedule, unscheduled)
        for config in configs
    ]


def failing_group(name: str, error: str) -> TaskGroup:
    """Make the group of a model whose YAML cannot be read."""
    with TaskGroup(name, tooltip=error) as group:
        BadConfigurationOperator(task_id="configuration", error=error, retries=0)
    return group


def task_arguments(config: ModelConfig) -> dict[str, Any]:
    """Return what a model's YAML says of its tasks."""
    wanted = config.schedule
    return {
        "owner": config.owner,
        "pool": wanted.pool,
        "queue": wanted.queue,
        "priority_weight": wanted.priority,
        "retries": wanted.retries,
        "retry_delay": timedelta(seconds=settings().retry_delay_seconds),
        "executor_config": executor_config(config),
    }


def model_group(config: ModelConfig, schedule: Schedule, unscheduled: str | None = None) -> TaskGroup:
    """Make a model's tasks, each after the one before."""
    common = task_arguments(config)
    with TaskGroup(config.name, tooltip=config.description) as group:
        due = DueOperator(task_id="due", schedule=schedule, cron=config.schedule.retrain or unscheduled, **common)
        prefix = f"{group.group_id}."
        steps = step_tasks(config.name, prefix, common)
        previous: BaseOperator = due
        for task in [*steps, *promotion_tasks(config, prefix, common)]:
            previous >> task
            previous = task
    return group


def step_tasks(
    model: str, prefix: str, common: dict[str, Any], first_arguments: Sequence[str] = ()
) -> list[BaseOperator]:
    """Make prepare, train, evaluate and register; `prefix` is what the group puts before their names."""
    tasks: list[BaseOperator] = []
    for step in STEPS:
        arguments = ["train", model, "--step", step]
        if step == "prepare":
            tasks.append(PrepareOperator(task_id=step, arguments=[*arguments, *first_arguments], **common))
        else:
            tasks.append(CommandOperator(task_id=step, arguments=[*arguments, *run_argument(prefix)], **common))
    return tasks


def run_argument(prefix: str) -> list[str]:
    """Return the arguments that go on with the run that prepare made."""
    return ["--run-id", f"{{{{ ti.xcom_pull(task_ids='{prefix}prepare')['mlflow_run_id'] }}}}"]


def promotion_tasks(config: ModelConfig, prefix: str, common: dict[str, Any]) -> list[BaseOperator]:
    """Make what decides on the champion: a paired test, or the test and then a person."""
    test = ["train", config.name, "--step", "promote", *run_argument(prefix)]
    if not config.is_approval_needed:
        return [CommandOperator(task_id="promote", arguments=test, **common)]
    # Where a person decides, this step of training only compares
    compare = CompareOperator(task_id="compare", arguments=test, **common)
    approve = ModelApproval(
        task_id="approve",
        model=config.name,
        prepared_by=f"{prefix}prepare",
        compared_by=f"{prefix}compare",
        **{**common, "retries": 0, "execution_timeout": None},  # a person may take days
    )
    version = f"{{{{ ti.xcom_pull(task_ids='{prefix}approve', key='version') }}}}"
    reason = f"{{{{ ti.xcom_pull(task_ids='{prefix}approve', key='reason') }}}}"
    promote = CommandOperator(
        task_id="promote", arguments=["promote", config.name, version, "--reason", reason], **common
    )
    return [compare, approve, promote]
