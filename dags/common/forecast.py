"""Forecasts of a model's champion, published to gold: `lakehouse predict` as a task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow.sdk.exceptions import AirflowSkipException

from dags.common.approval import find_champion
from dags.common.command import CommandOperator
from dags.common.schedules import Schedule, is_wanted
from lakehouse.config.settings import settings
from lakehouse.tables.registry import MODEL_VERSIONS, PROMOTIONS


class ForecastOperator(CommandOperator):
    """Forecast the days of a run with the champion; skipped, with the reason, where it is not due or there is none."""

    def __init__(self, *, model: str, days: Sequence[str], schedule: Schedule, cron: str, **kwargs: Any) -> None:
        super().__init__(arguments=["predict", f"{model}@champion", *days], **kwargs)
        self.model = model
        self.schedule = schedule
        self.cron = cron

    def execute(self, context: Any) -> dict[str, Any]:
        """Forecast and publish.

        Raises:
            AirflowSkipException: not due, or no champion yet.
        """
        from lakehouse.lake.catalog import read_log

        choice = "yes" if context["dag_run"].run_type == "manual" else "when due"
        is_due, why = is_wanted(self.schedule, self.cron, context["dag_run"], choice)
        if not is_due:
            raise AirflowSkipException(f"not due: {why}")
        versions = [row for row in read_log(settings(), MODEL_VERSIONS).to_pylist() if row["model_name"] == self.model]
        if find_champion(self.model, versions, read_log(settings(), PROMOTIONS).to_pylist()) is None:
            raise AirflowSkipException(f"{self.model} has no champion yet: train it, or promote a version")
        return super().execute(context)
