"""Airflow's way to task logs in the store: where LAKEHOUSE_TASK_LOGS is set, its `logging_config_class` is in here.

A task's log is written to <home>/logs/tasks while it runs, put into the store when it ends, and read from there by the
pages from then on, also where the file is gone. The store's keys are in no connection and no variable of Airflow's.
Amazon's provider does the same with fourteen packages more, among them clients of Redshift and SageMaker.
"""

from __future__ import annotations

import os
from functools import cache
from typing import Any

from airflow.config_templates.airflow_local_settings import DEFAULT_LOGGING_CONFIG

from lakehouse.config.settings import settings
from lakehouse.errors import first_line
from lakehouse.services.task_logs import TaskLogs, open_task_logs

LOGGING_CONFIG = DEFAULT_LOGGING_CONFIG


@cache
def opened() -> TaskLogs | None:
    """Return the logs in the store, opened once a process: that takes a tenth of a second."""
    return open_task_logs(settings())


class StoredLogs:
    """What Airflow calls a RemoteLogIO."""

    processors = ()
    """Nothing is sent line by line."""

    def upload(self, path: os.PathLike[str] | str, ti: Any = None) -> None:
        """Put the log of an attempt into the store; what goes wrong is reported by Airflow and changes no task."""
        folder = settings().logs / "tasks"
        file = folder / path
        if file.is_file() and (logs := opened()):
            logs.put(file.relative_to(folder).as_posix(), file.read_bytes())

    def read(self, relative_path: str, ti: Any) -> tuple[list[str], list[str] | None]:
        """Return where an attempt's log and its triggers' were found, and their texts; without a store none."""
        from botocore.exceptions import BotoCoreError, ClientError

        logs = opened()
        try:
            found = list(logs.read(relative_path)) if logs else []
        except (BotoCoreError, ClientError) as error:
            return [f"{settings().task_logs} can't be read: {first_line(error)}"], None
        return [address for address, _ in found], [text for _, text in found] or None


REMOTE_TASK_LOG = StoredLogs()
