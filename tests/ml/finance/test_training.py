"""Tick models through the common steps: registered only past the gate, deflated by what was tried, reproduced."""

import sys
from datetime import date

import pyarrow.compute as pc
import pytest

from lakehouse import cli
from lakehouse.config.settings import settings
from lakehouse.errors import BadInputError
from lakehouse.tables.finance import GOLD_TICK_PREDICTIONS
from ml.gate import GateFailedError
from ml.predict import backtest_days, forecast_days
from ml.reproduce import train_again
from ml.tracking import read_predictions
from ml.trials import find_trials

MODEL = "tick_gru"
LAST = date(2013, 12, 18)
"""The last of 52 sessions from 2013-10-07 on."""


@pytest.fixture(scope="module")
def training(train_on, ticks, tmp_path_factory):
    """A lakehouse with ticks whose planted signal pays."""
    return train_on(tmp_path_factory.mktemp("ticks") / "home", ticks.rows([ticks.generated(52, 3.0)]))


@pytest.fixture(scope="module")
def run(training):
    """One run with all steps done."""
    return training.train()


def test_strong_signal_is_registered_and_waits_for_a_person(training, run):
    assert run.tags["lakehouse.version"] == "1"
    assert "evaluate: gate passed" in training.lines
    assert [line for line in training.lines if line.startswith("promote: better than the strongest naive forecast")]
    logged = training.context.client.get_run(run.run_id)
    assert training.context.client.get_experiment(logged.info.experiment_id).name == "tick-model-production"
    assert len(training.context.client.get_metric_history(run.run_id, "fold_sharpe_net")) == 2
    assert {"fold_skill_mean", "fold_skill_std", "sharpe_gross", "random_sharpe_p95", "buy_and_hold_sharpe"} <= set(
        logged.data.metrics
    )
    plots = [item.path for item in training.context.client.list_artifacts(run.run_id, "plots")]
    assert plots == ["plots/costs.png", "plots/deciles.png", "plots/equity.png"]


def test_configurations_that_were_tried_are_counted_deleted_ones_too_and_the_same_one_once(training, run):
    client = training.context.client
    small = ["hyperparameters.lightgbm.rounds=5"]
    others = [training.train([*small, f"seed={seed}"], step="prepare") for seed in (2, 3)]
    assert find_trials(training.context, others[0]) == find_trials(training.context, others[1])  # run's alone
    assert [trial.config_sha256 for trial in find_trials(training.context, others[0])] == [run.config.sha256]
    for other in others:
        training.train(step="train", run_id=other.run_id)
    client.delete_run(others[0].run_id)
    same = training.train(step="prepare")
    found = find_trials(training.context, same)
    assert {trial.config_sha256 for trial in found} == {other.config.sha256 for other in others}
    assert all("fold_skill_mean" in trial.metrics for trial in found)
    for step in ("train", "evaluate"):
        same = training.train(step=step, run_id=same.run_id)
    metrics = client.get_run(same.run_id).data.metrics
    assert metrics["trials"] == 3
    assert metrics["deflated_sharpe"] <= client.get_run(run.run_id).data.metrics["deflated_sharpe"]


def test_version_is_reproduced_although_more_was_tried_since(training, run):
    found = train_again(training.context, MODEL, 1)
    assert found.is_equal
    assert found.files_differ == ()
    assert found.prediction_rows > 5000


def test_random_walk_fails_the_gate_line_by_line_and_registers_nothing(train_on, ticks, tmp_path, monkeypatch, capsys):
    other = train_on(tmp_path / "home", ticks.rows([ticks.generated(52, 0.0)]))
    monkeypatch.setenv("LAKEHOUSE_HOME", str(other.settings.home))
    settings.cache_clear()
    overrides = [word for each in ticks.quick for word in ("--set", each)]
    monkeypatch.setattr(sys, "argv", ["lakehouse", "train", MODEL, *overrides])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    settings.cache_clear()
    err = capsys.readouterr().err
    assert ended.value.code == 3
    assert "  evaluate: gate failed\n" in err
    assert "  evaluate:   NOT MET  sharpe_net 0.0000 >= 1.5\n" in err
    assert "  evaluate:   met      test_days 21.0000 >= 20.0\n" in err
    assert "error: tick_gru is not registered; gate failed: " in err
    assert other.context.client.search_model_versions(f"name='{MODEL}'") == []


def test_forecasts_have_the_columns_of_their_table_and_are_those_of_the_evaluation(training, run):
    forecasts = forecast_days(training.context, run, 1, [LAST], None)
    added = {"made_at", "_source_sha256", "_ingested_at"}
    assert set(forecasts.column_names) == set(GOLD_TICK_PREDICTIONS.column_names) - added
    scored = read_predictions(training.context, run)
    known = dict(zip(scored["bar_start"].to_pylist(), scored["forecast"].to_pylist(), strict=True))
    found = [
        (start.replace(tzinfo=None), value)
        for start, value in zip(
            forecasts["bar_start"].to_pylist(), forecasts["forecast_log_return"].to_pylist(), strict=True
        )
    ]
    # 390 bars a session, 19 before the first whole window; the last 10 have no outcome yet, and a forecast all the same
    assert len(found) == 371
    compared = [(value, known[start]) for start, value in found if start in known]
    assert len(compared) == 361
    assert [one for one, _ in compared] == [other for _, other in compared]
    with pytest.raises(BadInputError, match=r"none in \[2014-01-04 .* ends 20 bars without a gap$"):
        forecast_days(training.context, run, 1, [date(2014, 1, 4)], None)


def test_backtest_of_the_test_days_is_the_evaluation(training, run):
    scored_days = [date(2013, 11, 19), LAST]
    lines = backtest_days(training.context, f"{MODEL}/1", scored_days, None)
    assert any(line.startswith("backtest: tick_gru version 1 on [2013-11-19, 2013-12-19)") for line in training.lines)
    metrics = training.context.client.get_run(run.run_id).data.metrics
    told = dict(line.split() for line in lines)
    for name in ("sharpe_net", "maximum_drawdown", "rmse_bps", "test_days", "return_net", "turnover_per_day"):
        assert told[name] == f"{metrics[name]:.4f}", name


def test_network_goes_through_the_steps_and_is_reproduced(training, run):
    small = ["model_type=gru", "hidden=4", "epochs=1", "hyperparameters.gru.learning_rate=0.01"]
    window = "training_window={first: 2013-11-18, last_exclusive: 2013-12-03}"
    made = training.train([*small, window, "split.test_ratio=0.2"], step="prepare")
    for step in ("train", "evaluate"):
        made = training.train(step=step, run_id=made.run_id)
    with pytest.raises(GateFailedError, match=r"test_days 2\.0000 >= 20\.0"):
        training.train(step="register", run_id=made.run_id)
    training.context.client.set_tag(made.run_id, "lakehouse.gate", "passed")
    made = training.train(step="register", run_id=made.run_id)
    found = train_again(training.context, MODEL, int(made.tags["lakehouse.version"]))
    assert found.is_equal
    assert found.files_differ == ()
    rows = forecast_days(training.context, made, 2, [LAST], None)
    assert pc.is_finite(rows["forecast_log_return"]).to_pylist() == [True] * 371
