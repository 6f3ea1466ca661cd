"""A Spark job as a task: SparkSubmitOperator with the files and arguments as by hand, its outcome from ops.runs.

The provider's hook wraps every exit code in one exception, and a cluster's driver loses it. So the submitted job is
given the attempt's name, writes it into ops.runs, and is found by it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.sdk import Asset, AssetAlias
from airflow.sdk.exceptions import AirflowException

from dags.common.ending import Ending, ending_of, settle
from lakehouse.config.project import ROOT
from lakehouse.config.settings import settings
from lakehouse.errors import LakehouseError
from lakehouse.services.airflow import SPARK_CONNECTION
from lakehouse.tables.logs import CALLER

ATTEMPT = "{{ dag.dag_id }}.{{ task.task_id }} {{ run_id }} try {{ ti.try_number }}"
CLOCK_TOLERANCE = timedelta(minutes=5)
"""A cluster's driver may run on a machine whose clock is behind."""
EXIT_CODE = re.compile(r"Error code is: (-?\d+)")


def table_asset(identifier: str) -> Asset:
    """Return the asset of a table; other Dags may be scheduled on it."""
    return Asset(name=identifier, uri=f"lakehouse://{identifier.replace('.', '/')}")


class SparkJobOperator(SparkSubmitOperator):
    """One Spark job.

    `script` is below spark_jobs/, `arguments` are those of its command line (templated), `table` is what it writes: an
    event of its asset carries the published snapshot. A run that had nothing to publish raises no event.
    """

    def __init__(self, *, script: str, table: str = "", arguments: Sequence[str] = (), **kwargs: Any) -> None:
        if table:
            kwargs.setdefault("outlets", [AssetAlias(f"published {table}")])
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
        self.table = table

    def execute(self, context: Any) -> dict[str, Any]:
        """Submit the job, wait for it and settle the task by what the job recorded.

        Raises:
            AirflowFailException: bad input or a failed audit.
            AirflowException: anything that may go well the next time.
        """
        since = datetime.now(UTC) - CLOCK_TOLERANCE
        code, said = 0, ""
        try:
            super().execute(context)
        except AirflowException as error:
            found = EXIT_CODE.search(str(error))
            code, said = (int(found.group(1)) if found else 1), self.last_error(str(error))
        ending = self.find_ending(code, said, since)
        settle(ending)
        self.announce(context, ending)
        return {"message": ending.message, **ending.facts}

    def find_ending(self, exit_code: int, said: str, since: datetime) -> Ending:
        """Return what ops.runs says of this attempt, or, where it says nothing, what the process said."""
        # PyIceberg takes a second to import, which no Dag should when it is read
        from lakehouse.lake.runs import find_run

        try:
            row = find_run(settings(), str((self.conf or {})[CALLER]), since)
        except LakehouseError as error:
            self.log.warning("%s: the exit code decides", error)
            row = None
        return ending_of(exit_code, said, row)

    def last_error(self, raised: str) -> str:
        """Return the last line by which the job told its failure, else how the exception begins."""
        lines = [line for line in getattr(self._hook, "_last_submit_log_lines", ()) if line.startswith("error: ")]
        return lines[-1] if lines else EXIT_CODE.sub("", raised).partition("Error code is")[0].splitlines()[0]

    def announce(self, context: Any, ending: Ending) -> None:
        """Raise the asset's event where something was published."""
        if self.table and ending.facts.get("outcome") in ("published", "quarantined"):
            extra = {name: ending.facts[name] for name in ("snapshot_id", "run_id", "rows_out")}
            alias = AssetAlias(f"published {self.table}")
            context["outlet_events"][alias].add(table_asset(self.table), extra=extra)
