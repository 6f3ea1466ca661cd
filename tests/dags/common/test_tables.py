"""The tasks that every domain's tables have: what is handed on, what is started, which events are raised."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException

from dags.common.tables import LayerOperator, PlanOperator, table_params, table_tasks, unannounced
from lakehouse.config.project import pipelines

NOON = datetime(2024, 8, 8, 12, tzinfo=UTC)
DOMAINS = [*pipelines()]


def run(job: str, step: str, outcome: str = "published", rows_out: int | None = 10) -> dict:
    code = {"audit failed": 3, "held back": 5, "quarantined": 5}.get(outcome, 0)
    return {
        "run_id": job,
        "job": f"finance.{job}",
        "table_name": f"silver.{job}",
        "outcome": outcome,
        "exit_code": code,
        "message": outcome,
        "rows_out": rows_out,
        "rows_rejected": 0,
        "snapshot_id": 7,
        "run_by": f"ada for finance_tick.silver manual__1 try 1, job {step}",
    }


@pytest.fixture
def silver() -> LayerOperator:
    with DAG("finance_tick", schedule=None, start_date=NOON):
        return table_tasks("finance").silver


class Events(dict):
    """What a task announces, in place of Airflow's outlet events."""

    def __missing__(self, alias):
        self[alias] = found = SimpleNamespace(added=[])
        found.add = lambda asset, extra: found.added.append((asset.name, extra))
        return found


def context_of(plan: dict | None, try_number: int = 1) -> dict:
    ti = SimpleNamespace(try_number=try_number, xcom_pull=lambda task_ids: plan)
    dag_run = SimpleNamespace(dag_id="finance_tick", run_id="manual__1", run_after=NOON)
    return {"ti": ti, "dag_run": dag_run, "outlet_events": Events(), "task": SimpleNamespace(task_id="silver")}


@pytest.mark.parametrize("domain", DOMAINS)
def test_every_domain_gets_a_plan_a_task_per_layer_and_a_report(domain):
    with DAG("d", schedule=None, start_date=NOON, params=table_params(domain)) as dag:
        table_tasks(domain)
    following = {task.task_id: task.downstream_task_ids for task in dag.tasks}
    assert following == {
        "plan": {"bronze"},
        "bronze": {"silver"},
        "silver": {"gold"},
        "gold": {"report"},
        "report": set(),
    }


@pytest.mark.parametrize(
    ("domain", "params", "expected"),
    [
        pytest.param("finance", {"jobs": []}, ["--from", "2024-08-07", "--to", "2024-08-09"], id="all"),
        pytest.param(
            "finance",
            {"jobs": ["silver.trades", "gold.bars_1m"]},
            ["--from", "2024-08-07", "--to", "2024-08-09", "--jobs=silver.trades,gold.bars_1m"],
            id="some jobs",
        ),
        pytest.param("vision", {"jobs": [], "datasets": []}, [], id="every set"),
        pytest.param("vision", {"jobs": [], "datasets": ["a", "b"]}, ["--dataset=a,b"], id="some sets"),
    ],
)
def test_arguments_are_the_days_or_sets_and_the_chosen_jobs(domain, params, expected):
    from dags.common.schedules import MACROS

    with DAG("d", schedule=None, start_date=NOON, params=table_params(domain), user_defined_macros=MACROS):
        tasks = table_tasks(domain)
    dag_run = SimpleNamespace(data_interval_end=NOON, run_after=NOON)
    tasks.plan.render_template_fields({"params": params, "dag_run": dag_run, **MACROS})
    assert tasks.plan.command()[1:] == [str(pipelines()[domain]), "--plan", *expected]
    rendered = tasks.gold.render_template(tasks.gold.application_args, {"params": params, "dag_run": dag_run, **MACROS})
    assert [each for each in rendered if each] == ["--layer", "gold", *expected]


def test_plan_hands_on_the_layers_with_work(monkeypatch):
    task = PlanOperator(task_id="plan", domain="finance", arguments=["--plan"])
    monkeypatch.setattr(task, "run_command", lambda: ["finance.bars_1m: due 2024-08-08", "work: silver, gold"])
    assert task.execute({}) == {"message": "work: silver, gold", "layers": ["silver", "gold"]}
    monkeypatch.setattr(task, "run_command", lambda: ["work: none"])
    assert task.execute({})["layers"] == []
    monkeypatch.setattr(task, "run_command", lambda: ["something else"])
    with pytest.raises(RuntimeError, match="expected a line that begins with 'work: '"):
        task.execute({})


@pytest.mark.parametrize(
    ("plan", "try_number", "is_started"),
    [
        pytest.param({"layers": ["bronze", "silver"]}, 1, True, id="it has work"),
        pytest.param({"layers": ["bronze"]}, 1, False, id="it has none"),
        pytest.param({"layers": ["bronze"]}, 2, True, id="cleared or retried: the plan may be old"),
        pytest.param(None, 1, True, id="no plan is known"),
    ],
)
def test_a_layer_without_work_starts_nothing(silver, monkeypatch, plan, try_number, is_started):
    started = []
    monkeypatch.setattr(SparkSubmitOperator, "execute", lambda self, context: started.append(self.application_args))
    monkeypatch.setattr(silver, "recorded", lambda since: {})
    silver.execute(context_of(plan, try_number))
    assert bool(started) is is_started


def test_a_layer_raises_an_event_per_published_table(silver, monkeypatch):
    rows = {1: [run("trades", "1 of 3"), run("quotes", "2 of 3", "done already"), run("gaps", "3 of 3", "held back")]}
    monkeypatch.setattr(SparkSubmitOperator, "execute", lambda self, context: None)
    monkeypatch.setattr(silver, "recorded", lambda since: rows)
    monkeypatch.setattr("dags.common.spark_job.notify_set_aside", lambda context, lines: None)
    context = context_of({"layers": ["silver"]})
    result = silver.execute(context)
    (events,) = context["outlet_events"].values()
    assert events.added == [
        ("silver.trades", {"snapshot_id": 7, "run_id": "trades", "rows_out": 10}),
        ("silver.gaps", {"snapshot_id": 7, "run_id": "gaps", "rows_out": 10}),
    ]
    assert [row["job"] for row in result["runs"]] == ["finance.trades", "finance.quotes", "finance.gaps"]


def test_a_layer_with_a_failed_job_fails_and_names_it(silver, monkeypatch):
    rows = {1: [run("trades", "1 of 2"), run("quotes", "2 of 2", "audit failed")]}
    monkeypatch.setattr(SparkSubmitOperator, "execute", lambda self, context: None)
    monkeypatch.setattr(silver, "recorded", lambda since: rows)
    with pytest.raises(AirflowFailException, match=r"^exit code 3, not retried: finance\.quotes: audit failed$"):
        silver.execute(context_of({"layers": ["silver"]}))


def test_unannounced_are_the_tables_of_this_attempt_and_of_the_failed_ones_before_it():
    attempts = {
        1: [run("announced", "1 of 1")],
        2: [run("failed", "1 of 2", "audit failed"), run("published", "2 of 2")],
        3: [run("killed after", "1 of 2")],
        4: [run("last", "1 of 2"), run("nothing", "2 of 2", "held back", None)],
        5: [run("later", "1 of 1")],
    }
    assert [row["run_id"] for row in unannounced(attempts, 4)] == ["published", "killed after", "last"]
