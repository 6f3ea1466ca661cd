"""What every task has unless its Dag or its model says otherwise."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from dags.common.notices import notify_failure
from lakehouse.config.settings import settings

START = datetime(2007, 1, 1, tzinfo=UTC)
"""Before the oldest file: a backfill may begin anywhere after it. No Dag catches up by itself."""
TASK_TIMEOUT = timedelta(hours=6)


def default_args(owner: str) -> dict[str, Any]:
    """Return the arguments of a Dag's tasks: three retries, later each time."""
    return {
        "owner": owner,
        "retries": 3,
        "retry_delay": timedelta(seconds=settings().retry_delay_seconds),
        "retry_exponential_backoff": 2,
        "max_retry_delay": timedelta(minutes=30),
        "execution_timeout": TASK_TIMEOUT,
        "pool": "default_pool",
        "queue": "cpu",
        "on_failure_callback": notify_failure,
    }
