"""What a person is shown before a promotion."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace

import pyarrow as pa
import pytest
from airflow.providers.standard.operators import hitl
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException, TaskAwaitingInput

from dags.common.approval import ModelApproval, find_champion, side_by_side
from lakehouse.tables.registry import MODEL_VERSIONS

NOON = datetime(2024, 8, 8, 12, tzinfo=UTC)


def version(number: int, rmse: float) -> dict:
    return {
        "model_name": "m",
        "version": number,
        "model_type": "lightgbm",
        "registered_at": NOON,
        "snapshot_ids": [70 + number],
        "mlflow_run_id": f"{number:032x}",
        "metrics": f'{{"rmse_kw_h1": {rmse}}}',
    }


def promotion(number: int, at: int, *, model: str = "m", is_applied: bool = True) -> dict:
    recorded = NOON.replace(hour=at)
    return {"model_name": model, "version": number, "is_applied": is_applied, "recorded_at": recorded}


def test_find_champion_is_the_version_of_the_last_applied_promotion():
    versions = [version(1, 0.5), version(2, 0.6)]
    history = [
        promotion(1, 13),
        promotion(2, 14),
        promotion(1, 15),  # rolled back
        promotion(2, 16, is_applied=False),  # decided, never seen to be done
        promotion(2, 17, model="another"),
    ]
    assert find_champion("m", versions, history) == versions[0]
    assert find_champion("m", versions, []) is None


def test_side_by_side_shows_both_versions_and_the_test():
    assert side_by_side(version(1, 0.5), version(2, 0.4), "better, p 0.0010").splitlines() == [
        "| | champion | challenger |",
        "|---|---|---|",
        "| version | 1 | 2 |",
        "| type | lightgbm | lightgbm |",
        "| registered | 2024-08-08 12:00 UTC | 2024-08-08 12:00 UTC |",
        "| snapshot | 71 | 72 |",
        f"| MLflow run | {1:032x} | {2:032x} |",
        "| rmse_kw_h1 | 0.5000 | 0.4000 |",
        "",
        "Paired test on the same rows: better, p 0.0010",
    ]


def test_side_by_side_without_a_champion_says_so():
    lines = side_by_side(None, version(2, 0.4), "better than naive").splitlines()
    assert "| version | — | 2 |" in lines
    assert lines[-1] == "There is no champion yet."


class Handed:
    """What a task instance hands on and is handed."""

    id = "ti"

    def __init__(self, mlflow_run_id: str) -> None:
        self.handed = {"prepare": {"mlflow_run_id": mlflow_run_id}, "compare": {"verdict": "better, p 0.0010"}}
        self.pushed: dict = {}

    def xcom_pull(self, task_ids: str) -> dict:
        return self.handed[task_ids]

    def xcom_push(self, key: str, value: str) -> None:
        self.pushed[key] = value


@pytest.fixture
def asked(monkeypatch):
    """Two versions in the registry, the first is champion; returns what is asked of Airflow."""
    logs = {MODEL_VERSIONS.name: [version(1, 0.5), version(2, 0.4)], "promotions": [promotion(1, 13)]}
    monkeypatch.setattr("lakehouse.lake.catalog.read_log", lambda _, table: pa.Table.from_pylist(logs[table.name]))
    questions = []
    monkeypatch.setattr(hitl, "upsert_hitl_detail", lambda **question: questions.append(question))
    return questions


def approval() -> ModelApproval:
    with DAG("finance_tick", schedule=None, start_date=NOON):
        return ModelApproval(task_id="approve", model="m", prepared_by="prepare", compared_by="compare")


def test_model_approval_asks_with_both_versions_and_waits(asked):
    ti = Handed(f"{2:032x}")
    with pytest.raises(TaskAwaitingInput):
        approval().execute({"ti": ti, "task_instance": ti})
    (question,) = asked
    assert question["subject"] == "Make the new version of m the champion?"
    assert "| rmse_kw_h1 | 0.5000 | 0.4000 |" in question["body"]
    assert question["body"].endswith("Paired test on the same rows: better, p 0.0010")
    assert question["options"] == ["Approve", "Reject"]
    assert ti.pushed == {"version": "2"}


def test_model_approval_fails_where_the_run_was_never_registered(asked):
    ti = Handed(f"{9:032x}")
    with pytest.raises(AirflowFailException, match=f"run {9:032x} has no version in registry.model_versions"):
        approval().execute({"ti": ti, "task_instance": ti})
    assert asked == []


def test_model_approval_keeps_who_approved_as_the_reason(asked):
    ti = Handed(f"{2:032x}")
    event = {
        "chosen_options": ["Approve"],
        "params_input": {},
        "responded_at": NOON,
        "responded_by_user": {"id": "1", "name": "ada"},
    }
    run = SimpleNamespace(dag_id="finance_tick", run_id="manual__1")
    approval().execute_complete({"ti": ti, "task_instance": ti, "dag_run": run}, event)
    assert ti.pushed == {"reason": "approved by ada in finance_tick manual__1"}
