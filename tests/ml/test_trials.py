"""Trials are counted from a store of MLflow with runs as the steps of training leave them."""

import shutil
from types import SimpleNamespace

import pytest

from lakehouse.config.settings import read_settings
from ml.config import find_config
from ml.tracking import open_tracking
from ml.trials import Trial, find_trials

EVALUATED = ("train", "evaluate")


@pytest.fixture
def store(empty_mlflow, tmp_path):
    """store(sha256, started, steps, metrics) leaves a run; store.trials() counts those of another configuration."""
    (tmp_path / "mlflow").mkdir()
    shutil.copy(empty_mlflow, tmp_path / "mlflow" / "mlflow.db")
    context = open_tracking(read_settings({"LAKEHOUSE_HOME": str(tmp_path)}), lambda line: None)
    experiment = context.client.create_experiment("tick-model-production", str(tmp_path / "artifacts"))

    def leave(sha256, started, steps, metrics):
        tags = {"lakehouse.config_sha256": sha256, **{f"lakehouse.step.{step}": "done" for step in steps}}
        run_id = context.client.create_run(experiment, start_time=started, tags=tags).info.run_id
        for name, value in metrics.items():
            context.client.log_metric(run_id, name, value)
        return run_id

    config = find_config("tick_gru")
    own = leave(config.sha256, 1, ["train"], {})
    leave.trials = lambda: find_trials(context, SimpleNamespace(run_id=own, config=config))
    return leave


def test_run_that_was_evaluated_counts_before_a_newer_one_that_was_not(store):
    store("a", 10, EVALUATED, {"rows": 9, "net_sharpe": 0.02})
    store("a", 20, EVALUATED, {"rows": 9, "net_sharpe": 0.03})
    store("a", 30, ["train"], {"rows": 9})  # every run has metrics from its first step on
    store("b", 40, ["train"], {"rows": 8})
    store("c", 50, [], {"rows": 7})  # it has learned nothing yet
    assert store.trials() == [Trial("a", {"rows": 9, "net_sharpe": 0.03}), Trial("b", {"rows": 8})]
