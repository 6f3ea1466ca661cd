"""A command as a task: its last line, its error, and its end together with the task."""

from __future__ import annotations

import sys
import threading
import time
from datetime import UTC, datetime

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from dags.common import command
from dags.common.command import CommandOperator
from dags.common.training import CompareOperator, PrepareOperator
from lakehouse.config.settings import read_settings

RUN_ID = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def run(tmp_path, monkeypatch):
    """run(kind, program) executes a task that runs a Python program instead of a command of the lakehouse."""
    monkeypatch.setattr(command, "settings", lambda: read_settings({"LAKEHOUSE_HOME": str(tmp_path)}))

    def make(kind, program):
        with DAG("d", schedule=None, start_date=datetime(2024, 1, 1, tzinfo=UTC)):
            task = kind(task_id="t", arguments=[])
        monkeypatch.setattr(task, "command", lambda: [sys.executable, "-c", program], raising=False)
        return task

    return make


def test_command_operator_returns_the_last_line(run):
    assert run(CommandOperator, "print('one'); print('two'); print()").execute({}) == {"message": "two"}


@pytest.mark.parametrize(("code", "kind"), [(2, AirflowFailException), (75, AirflowException)])
def test_command_operator_fails_with_the_error_not_with_what_came_after_it(run, code, kind):
    program = f"import sys; print('error: no champion'); print('bye'); sys.exit({code})"
    with pytest.raises(kind, match=f"exit code {code}.*: no champion$"):
        run(CommandOperator, program).execute({})


def test_prepare_operator_hands_on_the_id_of_the_run(run):
    program = f"print('prepare: 4000 rows'); print('{RUN_ID}')"
    assert run(PrepareOperator, program).execute({}) == {"mlflow_run_id": RUN_ID}
    with pytest.raises(AirflowFailException, match="expected the id of a run as last line, found 'done'"):
        run(PrepareOperator, "print('done')").execute({})


def test_compare_operator_hands_on_what_the_test_says(run):
    program = f"print('  promote: better than version 1 (p 0.001); waiting for: …'); print('{RUN_ID}')"
    assert run(CompareOperator, program).execute({}) == {
        "verdict": "better than version 1 (p 0.001); waiting for: …",
    }


def test_on_kill_ends_the_process(run):
    task = run(CommandOperator, "import time; print('begun', flush=True); time.sleep(600)")
    errors = []

    def execute():
        try:
            task.execute({})
        except AirflowException as error:
            errors.append(str(error))

    thread = threading.Thread(target=execute)
    thread.start()
    while task._process is None:
        time.sleep(0.05)
    task.on_kill()
    thread.join(60)
    assert not thread.is_alive()
    assert errors[0].startswith("exit code -15: ended by signal 15")
