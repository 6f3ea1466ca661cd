"""What holds for every Dag: read quickly and without a network, explained, and with its rules written down."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
from airflow.sdk import DAG

from dags.common.training import read_configs
from lakehouse.config.project import ROOT, pipelines
from lakehouse.services.pools import POOLS, QUEUES
from lakehouse.tables import LAYERS, has_days
from ml.config import config_files, find_config

FILES = sorted(path for path in (ROOT / "dags").glob("*.py") if path.name != "__init__.py")
PARSE_LIMIT_S = 2.0
PUBLISHED_BY_PREDICT = ("load_forecasts", "tick_predictions", "image_predictions")
"""Jobs whose rows come from `lakehouse predict`, not from deliveries."""

GUARDED = """
import importlib.util, socket, sys, time
import airflow.sdk

def refuse(*_):
    raise OSError("a Dag asked for the network while it was read")

socket.socket.connect = refuse
socket.getaddrinfo = refuse
before = set(sys.modules)
began = time.process_time()
spec = importlib.util.spec_from_file_location("dag_file", sys.argv[1])
spec.loader.exec_module(importlib.util.module_from_spec(spec))
heavy = {"pyspark", "mlflow", "pandas", "pyarrow", "pyiceberg", "lightgbm", "torch"} & (set(sys.modules) - before)
print(time.process_time() - began, ",".join(sorted(heavy)))
"""


def read_dag(path: Path) -> DAG:
    spec = importlib.util.spec_from_file_location(f"dag_file_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    (found,) = [value for value in vars(module).values() if isinstance(value, DAG)]
    return found


@pytest.fixture(scope="module", params=FILES, ids=lambda path: path.stem)
def dag_file(request) -> Path:
    return request.param


@pytest.fixture(scope="module")
def dag(dag_file) -> DAG:
    return read_dag(dag_file)


def test_dag_is_called_as_its_file(dag, dag_file):
    assert dag.dag_id == dag_file.stem


def test_dag_reads_quickly_without_network_database_or_heavy_imports(dag_file, tmp_path):
    home = {"LAKEHOUSE_HOME": str(tmp_path / "home")}
    done = subprocess.run(
        [sys.executable, "-c", GUARDED, str(dag_file)],
        env={**os.environ, **home},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    seconds, heavy = done.stdout.splitlines()[-1].split(" ")
    assert float(seconds) < PARSE_LIMIT_S
    assert heavy == ""
    assert not (tmp_path / "home").exists()  # nothing was opened or made


def test_dag_opens_with_its_runbook(dag, dag_file):
    assert dag.doc_md.strip() == spec_docstring(dag_file).strip()
    for part in ("**Schedule.**", "## If it fails", "**By hand.**", "may be cleared and run again"):
        assert part in " ".join(dag.doc_md.split())
    assert dag_file.read_text(encoding="utf-8").startswith('"""\n')


def spec_docstring(path: Path) -> str:
    import ast

    return ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")), clean=False)


def test_dag_states_owner_tags_catch_up_and_how_many_runs(dag, dag_file):
    assert dag.tags
    assert dag.catchup is False
    source = dag_file.read_text(encoding="utf-8")
    assert "catchup=False" in source
    assert "max_active_runs=" in source
    assert {task.owner for task in dag.tasks} - {"airflow", ""}
    assert all(task.owner not in ("airflow", "") for task in dag.tasks)


def test_tasks_have_retries_pools_and_queues_that_exist(dag):
    for task in dag.tasks:
        assert task.pool in POOLS, task.task_id
        assert task.queue in QUEUES, task.task_id
        assert task.retries is not None


def test_runs_of_state_that_crosses_days_go_one_at_a_time():
    found = {path.stem: read_dag(path) for path in FILES}
    dags = [found[name] for name in ("finance_tick", "energy_forecast")]
    assert [dag.max_active_runs for dag in dags] == [1, 1]
    jobs = [task for dag in dags for task in dag.tasks if hasattr(task, "application")]
    assert {task.max_active_tis_per_dag for task in jobs} == {1}  # a backfill counts its own runs


@pytest.mark.parametrize("name", [*config_files()])
def test_every_model_has_its_group_with_what_its_yaml_says(name):
    config = find_config(name)  # a bad YAML fails here, with file and line
    dags = [read_dag(path) for path in FILES]
    mark = f".{name}.due"
    groups = [task.task_group for dag in dags for task in dag.tasks if f".{task.task_id}".endswith(mark)]
    assert len(groups) == 1
    tasks = list(groups[0].children.values())
    wanted = config.schedule
    assert {task.pool for task in tasks} == {wanted.pool}
    assert {task.queue for task in tasks} == {wanted.queue}
    assert {task.priority_weight for task in tasks} == {wanted.priority}
    assert {task.owner for task in tasks} == {config.owner}


@pytest.mark.parametrize("domain", [*pipelines()])
def test_every_domain_has_one_dag_with_its_plan_layers_and_report(domain):
    script = str(pipelines()[domain])
    dags = [dag for dag in map(read_dag, FILES) if script in (getattr(task, "application", "") for task in dag.tasks)]
    assert [dag.dag_id.partition("_")[0] for dag in dags] == [domain]
    tasks = {task.task_id: task for task in dags[0].tasks}
    assert "report" in tasks
    assert script in tasks["plan"].command()
    for layer in LAYERS:
        assert (tasks[layer].application, tasks[layer].application_args[:2]) == (script, ["--layer", layer])
    assert {"jobs"} | ({"first_day", "last_day_exclusive"} if has_days(domain) else {"datasets"}) <= set(dags[0].params)


@pytest.mark.parametrize("domain", [*pipelines()])
def test_every_job_of_a_domain_has_a_task_that_runs_it(domain):
    """A table's job is in a layer's chain, a model's forecasts have a task or a command: none is forgotten."""
    from spark_jobs.layers.chain import find_jobs, order_chain

    found = find_jobs(domain)
    chained = {job.name for job in order_chain(found) if job.table.layer in LAYERS}
    assert {job.name for job in found} - chained <= {f"{domain}.{name}" for name in PUBLISHED_BY_PREDICT}


def test_scripts_of_spark_tasks_exist(dag):
    for task in dag.tasks:
        script = getattr(task, "application", None)
        if script:
            assert Path(script).is_file(), task.task_id


def test_read_configs_is_empty_for_a_domain_without_models():
    assert read_configs("nowhere") == []
