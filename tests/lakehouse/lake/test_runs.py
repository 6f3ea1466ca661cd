"""A recorded run, found by the attempt that it was called by."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from lakehouse.config.settings import read_settings
from lakehouse.lake.catalog import append_log
from lakehouse.lake.migration import migrate
from lakehouse.lake.runs import find_run
from lakehouse.tables.logs import RUNS

NOON = datetime(2024, 8, 8, 12, tzinfo=UTC)
ATTEMPT = "finance_tick.bronze_trades manual__1 try 1"


def run(run_id: str, started_at: datetime, run_by: str) -> dict:
    texts = {column.name: "" for column in RUNS.columns if column.type == "string"}
    return texts | {
        "run_id": run_id,
        "days": [],
        "outcome": "published",
        "exit_code": 0,
        "seconds": 1.0,
        "started_at": started_at,
        "run_by": run_by,
    }


@pytest.fixture
def settings(tmp_path):
    return read_settings({"LAKEHOUSE_HOME": str(tmp_path)})


def test_find_run_returns_the_last_run_of_the_attempt(settings):
    migrate(settings)
    append_log(
        settings,
        RUNS,
        [
            run("by hand", NOON, "ada"),
            run("other try", NOON, f"ada for {ATTEMPT}1"),
            run("other task", NOON, "ada for finance_tick.silver_trades manual__1 try 1"),
            run("long ago", NOON - timedelta(hours=2), f"ada for {ATTEMPT}"),
            run("first", NOON, f"ada for {ATTEMPT}"),
            run("last", NOON + timedelta(minutes=1), f"ada for {ATTEMPT}"),
        ],
    )
    assert find_run(settings, ATTEMPT, NOON - timedelta(hours=1))["run_id"] == "last"
    assert find_run(settings, ATTEMPT, NOON + timedelta(hours=1)) is None
    assert find_run(settings, "another", NOON - timedelta(hours=9)) is None


def test_find_run_is_none_where_nothing_ever_ran(settings):
    assert find_run(settings, ATTEMPT, NOON) is None
