"""Airflow for tests that read Dags and start none: a home of its own."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator

import pytest
from webhook import Messages, serve_webhook

# Airflow reads these when it is first imported
_home = tempfile.mkdtemp(prefix="airflow-of-tests-")
os.environ["AIRFLOW_HOME"] = _home
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = f"sqlite:///{_home}/airflow.db"


@pytest.fixture
def slack(monkeypatch: pytest.MonkeyPatch) -> Iterator[Messages]:
    """What is posted to the webhook of the connection for notices."""
    with serve_webhook() as (connection, messages):
        monkeypatch.setenv("AIRFLOW_CONN_LAKEHOUSE_SLACK", connection)
        yield messages
