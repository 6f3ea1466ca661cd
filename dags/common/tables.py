"""The tasks of a domain's tables, the same for every domain: plan, then a Spark task per layer, then the report.

Reads   nothing of a domain's jobs: spark_jobs/<domain>/pipeline.py finds them and puts them in order
Runs    pipeline.py --plan, then pipeline.py --layer <layer>, with the days or the image sets of the run
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow.sdk import Asset, AssetAlias, BaseOperator, Param, chain

from dags.common.command import CommandOperator
from dags.common.ending import Row, ending_of
from dags.common.report import report_task
from dags.common.schedules import FROM_YESTERDAY, day_params
from dags.common.spark_job import CLOCK_TOLERANCE, SparkJobOperator
from lakehouse.config.project import pipelines
from lakehouse.tables import LAYERS, has_days

PLAN = "plan"
WORK = "work: "
"""Begins the last line of a plan."""
CHOSEN_JOBS = "{{ '--jobs=' ~ params.jobs|join(',') if params.jobs else '' }}"
CHOSEN_SETS = "{{ '--dataset=' ~ params.datasets|join(',') if params.datasets else '' }}"


def table_asset(identifier: str) -> Asset:
    """Return the asset of a table; other Dags may be scheduled on it."""
    return Asset(name=identifier, uri=f"lakehouse://{identifier.replace('.', '/')}")


def table_params(domain: str) -> dict[str, Param]:
    """Return the fields of a run's form: the jobs, and the days or the image sets."""
    about = "only these jobs or tables, such as silver.trades; empty: all"
    jobs = Param([], type="array", items={"type": "string"}, description=about)
    if has_days(domain):
        return {**day_params(), "jobs": jobs}
    about = "only these image sets, such as mnist; empty: all that were delivered"
    return {"datasets": Param([], type="array", items={"type": "string"}, description=about), "jobs": jobs}


@dataclass(frozen=True)
class TableTasks:
    """The tasks of a domain's tables; models and forecasts follow `gold`."""

    plan: BaseOperator
    bronze: BaseOperator
    silver: BaseOperator
    gold: BaseOperator
    report: BaseOperator


def table_tasks(domain: str) -> TableTasks:
    """Make the tasks of a domain's tables, inside of a Dag that has `table_params`."""
    arguments = (*(FROM_YESTERDAY if has_days(domain) else (CHOSEN_SETS,)), CHOSEN_JOBS)
    plan = PlanOperator(task_id=PLAN, domain=domain, arguments=["--plan", *arguments])
    bronze, silver, gold = (LayerOperator(domain=domain, layer=layer, arguments=arguments) for layer in LAYERS)
    tasks = TableTasks(plan, bronze, silver, gold, report_task())
    chain(plan, bronze, silver, gold, tasks.report)
    return tasks


class PlanOperator(CommandOperator):
    """Ask which layers have work, without Spark."""

    def __init__(self, *, domain: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.domain = domain

    def command(self) -> list[str]:
        """Return the command line; an argument that was rendered to nothing is left out."""
        return [sys.executable, str(pipelines()[self.domain]), *(each for each in self.arguments if each)]

    def execute(self, context: Any) -> dict[str, Any]:
        """Return the layers that have work.

        Raises:
            AirflowFailException: a day, a set or the name of a job is not what was expected.
            AirflowException: anything that may go well the next time.
        """
        lines = [line for line in self.run_command() if line.startswith(WORK)]
        if not lines:
            raise RuntimeError(f"expected a line that begins with {WORK!r} from {self.command()}, found none")
        named = lines[-1].removeprefix(WORK).split(", ")
        return {"message": lines[-1], "layers": [layer for layer in LAYERS if layer in named]}


class LayerOperator(SparkJobOperator):
    """The jobs of a layer in one Spark session; each table that they publish is an event of its asset.

    If the plan found no work for the layer, nothing is started. A second attempt and a task that was cleared start the
    jobs in any case: the plan may be older than what they are to do.
    """

    def __init__(self, *, domain: str, layer: str, arguments: Sequence[str], **kwargs: Any) -> None:
        super().__init__(
            task_id=layer,
            script=f"{domain}/{pipelines()[domain].name}",
            arguments=["--layer", layer, *arguments],
            outlets=[AssetAlias(f"published {domain} {layer}")],
            **kwargs,
        )
        self.layer = layer

    def execute(self, context: Any) -> dict[str, Any]:
        """Run the layer's jobs, one after another.

        Raises:
            AirflowFailException: bad input or a failed audit in one of them.
            AirflowException: anything that may go well the next time.
        """
        ti = context["ti"]
        plan = ti.xcom_pull(task_ids=PLAN)
        if ti.try_number == 1 and plan is not None and self.layer not in plan["layers"]:
            message = f"nothing is due in {self.layer}, as {PLAN} found"
            self.log.info("%s", message)
            return {"message": message, "runs": []}
        result = super().execute(context)
        (alias,) = self.outlets
        for run in unannounced(self.recorded(context["dag_run"].run_after - CLOCK_TOLERANCE), ti.try_number):
            extra = {key: run[key] for key in ("snapshot_id", "run_id", "rows_out")}
            context["outlet_events"][alias].add(table_asset(run["table_name"]), extra=extra)
        return result


def unannounced(attempts: Mapping[int, Sequence[Row]], last: int) -> list[Row]:
    """Return the runs that published a table, of the attempt that went well and of those before it that failed.

    A failed attempt raises no event for what it published, and the next one finds these tables done already.
    """
    numbers = [number for number in attempts if number == last]
    for number in sorted((each for each in attempts if each < last), reverse=True):
        if ending_of(1, "", attempts[number]).is_success:
            break
        numbers.append(number)
    runs = [run for number in sorted(numbers) for run in attempts[number]]
    return [run for run in runs if has_published(run)]


def has_published(run: Row) -> bool:
    """Return whether a run changed its table; one that held parts back may have had nothing else."""
    return run["outcome"] in ("published", "quarantined") or (run["outcome"] == "held back" and bool(run["rows_out"]))
