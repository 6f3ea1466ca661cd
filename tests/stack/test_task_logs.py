"""Logs of tasks in the store: read by Airflow's pages when the file is gone, removed there when they are old."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time

import pytest

from lakehouse.config.generated import stack_folder
from lakehouse.config.settings import read_settings
from lakehouse.services.task_logs import open_task_logs

DAY_S = 86_400


@pytest.fixture(scope="module")
def retention(stack):
    """A run of maintenance's task that removes old logs, on this stack as its Dag does it; returns its words."""

    def run(**values):
        command = [sys.executable, "-m", "lakehouse", "remove-old-logs"]
        environment = stack.variables | {f"LAKEHOUSE_{name.upper()}": value for name, value in values.items()}
        return subprocess.run(command, env=environment, check=False, capture_output=True, text=True)

    return run


@pytest.fixture(scope="module")
def logged(stack):
    """A run of which one quick task is over, and the slow ones were called off; returns its id."""
    run = stack.trigger("maintenance")
    stack.wait_until("maintenance", run, lambda states: states["logs"] == "success")
    path = f"{stack.address}/api/v2/dags/maintenance/dagRuns/{run}"
    assert stack.session.patch(path, json={"state": "failed"}, timeout=60).ok
    return run


def names_in_store(settings):
    logs = open_task_logs(settings)
    return {found["Key"].removeprefix("tasks/"): found["Size"] for found in logs._list()}


def wait_for(stack, name):
    """Wait for an object and return its size: Airflow says how a task ended before it puts the log away."""
    deadline = time.monotonic() + 300
    while name not in (found := names_in_store(stack.settings)):
        assert time.monotonic() < deadline, found
        time.sleep(0.2)
    return found[name]


def test_log_of_a_task_is_read_from_the_store_when_its_file_is_gone(stack, logged):
    (file,) = (stack.settings.logs / "tasks").glob(f"dag_id=maintenance/run_id={logged}/task_id=logs/attempt=1.log")
    name = file.relative_to(stack.settings.logs / "tasks").as_posix()
    assert wait_for(stack, name) == file.stat().st_size
    file.unlink()
    shown = stack.log("maintenance", logged, "logs")
    assert f"s3://logs/tasks/{name}" in shown
    assert "removed 0 log files and 0 objects below s3://logs/tasks older than 30 days" in shown
    assert stack.secrets_in(shown) == []


def test_old_logs_are_removed_from_the_store_and_young_ones_and_tables_stay(stack, logged, retention):
    """The native store takes the age of an object from its file."""
    logs = open_task_logs(stack.settings)
    for name in ("dag_id=old/attempt=1.log", "dag_id=old/attempt=2.log", "dag_id=young/attempt=1.log"):
        logs.put(name, b"{}\n")
    folder = stack_folder(stack.settings.home) / "s3"
    beside = folder / "lake" / "tasks-of-another"
    beside.write_text("as old")
    for path in (*(folder / "logs" / "tasks" / "dag_id=old").iterdir(), beside):
        os.utime(path, (time.time() - 31 * DAY_S,) * 2)
    before = set(names_in_store(stack.settings))
    done = retention()
    assert done.returncode == 0, done.stderr
    assert done.stdout == "removed 0 log files and 2 objects below s3://logs/tasks older than 30 days\n"
    left = set(names_in_store(stack.settings))
    assert before - left == {"dag_id=old/attempt=1.log", "dag_id=old/attempt=2.log"}
    assert "dag_id=young/attempt=1.log" in left
    assert beside.exists()
    beside.unlink()


def test_a_store_that_is_away_or_refuses_is_one_line_and_may_be_tried_again(retention):
    nobody = {"task_logs": "s3://logs/tasks", "task_logs_access_key_id": "nobody"}
    done = retention(**nobody, task_logs_secret_access_key="wrong")  # noqa: S106
    assert done.returncode == 75
    assert re.fullmatch(r"error: s3://logs/tasks: old logs can't be removed \(.*InvalidAccessKeyId.*\)\n", done.stderr)


def test_keys_of_the_tables_do_not_open_the_logs(stack):
    """What a user gives for logs without keys of their own is opened with those of the tables, which may not."""
    values = {name: value for name, value in stack.variables.items() if name.startswith("LAKEHOUSE_")}
    given = read_settings(values | {"LAKEHOUSE_TASK_LOGS": "s3://logs/tasks"})
    assert given.task_logs_access_key_id == ""
    with pytest.raises(Exception, match="AccessDenied"):
        names_in_store(given)
