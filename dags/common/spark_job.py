"""A Spark job as a task: SparkSubmitOperator with the files and arguments as by hand, its outcome from ops.runs.

The provider's hook wraps every exit code in one exception, and a cluster's driver loses it. So the submitted job is
given the attempt's name, writes it into ops.runs with each run that it makes, and the runs are found by it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.sdk.exceptions import AirflowException

from dags.common.ending import Row, ending_of, settle
from dags.common.notices import notify_set_aside
from lakehouse.config.project import ROOT
from lakehouse.config.settings import settings
from lakehouse.errors import LakehouseError
from lakehouse.services.airflow import SPARK_CONNECTION
from lakehouse.tables.logs import CALLER

ATTEMPT = "{{ dag.dag_id }}.{{ task.task_id }} {{ run_id }} try {{ ti.try_number }}"
CLOCK_TOLERANCE = timedelta(minutes=5)
"""A cluster's driver may run on a machine whose clock is behind."""
EXIT_CODE = re.compile(r"Error code is: (-?\d+)")


class SparkJobOperator(SparkSubmitOperator):
    """One `spark-submit`: `script` is below spark_jobs/, `arguments` are those of its command line (templated).

    An argument that was rendered to nothing is left out.
    """

    def __init__(self, *, script: str, arguments: Sequence[str] = (), **kwargs: Any) -> None:
        # A backfill counts its runs apart from max_active_runs; two at one table would only plan again
        kwargs.setdefault("max_active_tis_per_dag", 1)
        super().__init__(
            application=str(ROOT / "spark_jobs" / script),
            application_args=list(arguments),
            conn_id=SPARK_CONNECTION,
            name=script.removesuffix(".py").replace("/", "."),
            conf={CALLER: ATTEMPT},
            **kwargs,
        )

    def execute(self, context: Any) -> dict[str, Any]:
        """Submit the job, wait for it and settle the task by what its runs recorded.

        Raises:
            AirflowFailException: bad input or a failed audit.
            AirflowException: anything that may go well the next time.
        """
        given: Sequence[str] = self.application_args or ()
        self.application_args: list[str] = [each for each in given if each]
        since = datetime.now(UTC) - CLOCK_TOLERANCE
        code, last_words = 0, ""
        try:
            super().execute(context)
        except AirflowException as error:
            found = EXIT_CODE.search(str(error))
            code, last_words = (int(found.group(1)) if found else 1), self.last_error(str(error))
        ending = ending_of(code, last_words, self.recorded(since).get(context["ti"].try_number, ()))
        settle(ending)
        notify_set_aside(context, ending.set_aside)
        return {"message": ending.message, "runs": [dict(run) for run in ending.runs]}

    def recorded(self, since: datetime) -> dict[int, list[Row]]:
        """Return what ops.runs has of this task by the number of the attempt; nothing if it can't be read."""
        # PyIceberg takes a second to import, which no Dag should when it is read
        from lakehouse.lake.runs import find_runs

        try:
            return find_runs(settings(), str((self.conf or {})[CALLER]).rpartition(" try ")[0], since)
        except LakehouseError as error:
            self.log.warning("%s: the exit code decides", error)
            return {}

    def last_error(self, raised: str) -> str:
        """Return the last line in which the job reported its failure, else how the exception begins."""
        lines = [line for line in getattr(self._hook, "_last_submit_log_lines", ()) if line.startswith("error: ")]
        return lines[-1] if lines else EXIT_CODE.sub("", raised).partition("Error code is")[0].splitlines()[0]
