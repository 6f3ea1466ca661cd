"""The quality pages, made again after the tables, also when some of them failed."""

from __future__ import annotations

from airflow.sdk import BaseOperator

from dags.common.command import CommandOperator


def report_task() -> BaseOperator:
    """Make the last task of a Dag's tables; as a teardown it runs in any case and hides no failure of the run."""
    report: BaseOperator = CommandOperator(task_id="report", arguments=["report"], retries=1)
    return report.as_teardown()
