"""What Airflow is told of a task's log where the store does not answer; tests/stack has one that does."""

from __future__ import annotations

import pytest

from dags.common import stored_logs
from lakehouse.config.settings import read_settings
from lakehouse.services import processes

NAME = "dag_id=any/run_id=any/task_id=any/attempt=1.log"


@pytest.fixture
def away(tmp_path, monkeypatch):
    """Settings that name a store at which nobody listens."""
    endpoint = f"http://127.0.0.1:{processes.choose_port(0)}"
    found = read_settings(
        {
            "LAKEHOUSE_HOME": str(tmp_path),
            "LAKEHOUSE_TASK_LOGS": "s3://logs/tasks",
            "LAKEHOUSE_S3_ENDPOINT": endpoint,
            "LAKEHOUSE_TASK_LOGS_ACCESS_KEY_ID": "reader",
            "LAKEHOUSE_TASK_LOGS_SECRET_ACCESS_KEY": "canary-of-logs",
        }
    )
    monkeypatch.setattr(stored_logs, "settings", lambda: found)
    stored_logs.opened.cache_clear()
    yield found
    stored_logs.opened.cache_clear()


def test_read_says_that_the_store_is_away_so_that_the_page_shows_the_file(away):
    (message,), texts = stored_logs.StoredLogs().read(NAME, None)
    assert texts is None
    assert message.startswith(
        f"s3://logs/tasks can't be read: Could not connect to the endpoint URL: \"{away.s3_endpoint}/"
    )
    assert "canary-of-logs" not in message


def test_upload_leaves_alone_what_is_not_there(away):
    stored_logs.StoredLogs().upload(NAME)  # a store that is away would raise
