"""Recorded runs, found by the task that called them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from lakehouse.config.settings import read_settings
from lakehouse.lake.catalog import append_log
from lakehouse.lake.migration import migrate
from lakehouse.lake.runs import find_runs
from lakehouse.tables.logs import RUNS

NOON = datetime(2024, 8, 8, 12, tzinfo=UTC)
TASK = "finance_tick.bronze manual__1"


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


def test_find_runs_returns_the_runs_of_a_task_by_attempt_oldest_first(settings):
    migrate(settings)
    append_log(
        settings,
        RUNS,
        [
            run("by hand", NOON, "ada"),
            run("other task", NOON, "ada for finance_tick.silver manual__1 try 1"),
            run("other run", NOON, f"ada for {TASK}2 try 1, job 1 of 2"),
            run("other ending", NOON, f"ada for {TASK} try 1st"),
            run("long ago", NOON - timedelta(hours=2), f"ada for {TASK} try 1, job 1 of 2"),
            run("quotes", NOON + timedelta(minutes=1), f"ada for {TASK} try 1, job 2 of 2"),
            run("trades", NOON, f"ada for {TASK} try 1, job 1 of 2"),
            run("alone", NOON, f"ada for {TASK} try 12"),
        ],
    )
    found = find_runs(settings, TASK, NOON - timedelta(hours=1))
    assert {attempt: [row["run_id"] for row in rows] for attempt, rows in found.items()} == {
        1: ["trades", "quotes"],
        12: ["alone"],
    }
    assert find_runs(settings, TASK, NOON + timedelta(hours=1)) == {}


def test_find_runs_is_empty_where_nothing_ever_ran(settings):
    assert find_runs(settings, TASK, NOON) == {}
