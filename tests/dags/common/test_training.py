"""A model as tasks: its steps in order, its question to a person, and a YAML that cannot be read."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from dags.common import training
from dags.common.schedules import Schedule
from lakehouse.errors import BadInputError
from ml.config import config_files, find_config, read_config

DAILY = Schedule(("0 1 * * *",))
MODEL = "household_power_lgbm"
STEPS = ["due", "prepare", "train", "evaluate", "register"]


@pytest.fixture
def broken_yaml(tmp_path, monkeypatch):
    folder = tmp_path / "energy"
    folder.mkdir()
    text = config_files()[MODEL].read_text(encoding="utf-8").replace("  retries: 2", "  retries: many")
    (folder / f"{MODEL}.yaml").write_text(text, encoding="utf-8")
    monkeypatch.setattr(training, "config_files", lambda: {MODEL: folder / f"{MODEL}.yaml"})
    return text.splitlines().index("  retries: many") + 1


def names(group) -> list[str]:
    return [task.task_id.rpartition(".")[2] for task in group.topological_sort()]


def test_model_group_has_the_steps_of_training_in_order():
    with DAG("d", schedule=None, start_date=datetime(2024, 1, 1, tzinfo=UTC)):
        group = training.model_group(find_config(MODEL), DAILY)
    assert names(group) == [*STEPS, "promote"]
    prepare, train = (group.children[f"{MODEL}.{step}"] for step in ("prepare", "train"))
    assert prepare.arguments == ["train", MODEL, "--step", "prepare"]
    assert train.arguments[:4] == ["train", MODEL, "--step", "train"]


def test_model_group_asks_a_person_where_the_yaml_says_so():
    careful = find_config(MODEL).model_copy(update={"is_approval_needed": True})
    with DAG("d", schedule=None, start_date=datetime(2024, 1, 1, tzinfo=UTC)):
        group = training.model_group(careful, DAILY)
    assert names(group) == [*STEPS, "compare", "approve", "promote"]
    promote = group.children[f"{MODEL}.promote"]
    assert promote.arguments[:2] == ["promote", MODEL]
    assert group.children[f"{MODEL}.approve"].fail_on_reject is False  # a refusal skips what follows


def test_model_groups_make_of_a_bad_yaml_a_task_that_fails_with_file_and_line(broken_yaml):
    with DAG("d", schedule=None, start_date=datetime(2024, 1, 1, tzinfo=UTC)):
        (group,) = training.model_groups(training.read_configs("energy"), DAILY)
    (task,) = group.children.values()
    with pytest.raises(AirflowFailException, match=f"{MODEL}.yaml:{broken_yaml}: schedule.retries: "):
        task.execute({})


def test_read_config_of_that_yaml_names_file_and_line(broken_yaml):
    with pytest.raises(BadInputError, match=f"{MODEL}.yaml:{broken_yaml}: schedule.retries: "):
        read_config(training.config_files()[MODEL])


def test_due_operator_skips_with_the_reason():
    run = SimpleNamespace(run_type="scheduled", data_interval_end=datetime(2024, 8, 11, 1, tzinfo=UTC))
    with DAG("d", schedule=None, start_date=datetime(2024, 1, 1, tzinfo=UTC)):
        due = training.DueOperator(task_id="due", schedule=DAILY, cron="0 3 1 * *")
    with pytest.raises(AirflowSkipException, match="not due: its schedule '0 3 1 \\* \\*' UTC has not come"):
        due.execute({"params": {"retrain": "when due"}, "dag_run": run})
    assert due.execute({"params": {"retrain": "yes"}, "dag_run": run}) == "the run's form says yes"
