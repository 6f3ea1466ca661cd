import json
import re
from pathlib import Path

import numpy as np
import pytest

from lakehouse.errors import BadInputError
from ml.energy import power_lgbm
from ml.gate import GateFailedError
from ml.leakage import LeakError
from ml.pins import DAY_MS, model_tags, tag_name
from ml.registry import download_model
from ml.split import Fold
from ml.steps import STEPS

MODEL = "household_power_lgbm"


@pytest.fixture(scope="module")
def run(training):
    """One run with all steps done."""
    return training.train()


def files_of(training, run, path=""):
    found = []
    for item in training.context.client.list_artifacts(run.run_id, path):
        found += files_of(training, run, item.path) if item.is_dir else [item.path]
    return sorted(found)


def test_run_shows_its_steps_parameters_metrics_and_files(training, run):
    logged = training.context.client.get_run(run.run_id)
    assert logged.info.status == "FINISHED"
    assert logged.info.run_name == "load_hourly_lightgbm_embedded"
    assert training.context.client.get_experiment(logged.info.experiment_id).name == "power-consumption-forecasting"
    assert all(run.is_done(step) and logged.data.metrics[f"seconds_{step}"] > 0 for step in STEPS)
    parameters = logged.data.params
    assert (parameters["hyperparameters.num_leaves"], parameters["seed"], parameters["split.folds"]) == ("7", "1", "2")
    assert parameters["horizons"] == "[1, 24]"
    assert {f"{name}_h{h}" for name in ("rmse_kw", "mae_kw", "skill", "coverage") for h in (1, 24)} <= set(
        logged.data.metrics
    )
    folds = training.context.client.get_metric_history(run.run_id, "fold_rmse_kw_h1")
    assert [point.step for point in folds] == [0, 1]
    plots = [
        f"plots/{name}_h{h}.png" for name in ("error_by_hour", "forecast", "importance", "residuals") for h in (1, 24)
    ]
    model = [f"model/data/files/{name}" for name in ("h1.txt", "h24.txt", "model.json")]
    own = ["config.json", "environment.json", "predictions.parquet", "model/MLmodel", "model/input_example.json"]
    assert set(plots + model + own) <= set(files_of(training, run))
    assert not [name for name in files_of(training, run) if name.endswith((".pkl", ".pickle", ".joblib"))]


def lines_of(training, run_id, step):
    path = training.context.client.download_artifacts(run_id, f"logs/{step}.log")
    return Path(path).read_text().splitlines()


def test_each_step_leaves_its_log_in_the_run_with_times(training, run):
    assert [name for name in files_of(training, run) if name.startswith("logs/")] == sorted(
        f"logs/{step}.log" for step in STEPS
    )
    lines = lines_of(training, run.run_id, "train")
    times, said = zip(*(line.split(" ", 1) for line in lines), strict=True)
    assert all(re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", each) for each in times)
    assert said[0].startswith("1 h ahead, fold 1 of 2: RMSE 0.")
    assert re.fullmatch(r"train: done in \d+\.\d s", said[-1])


def test_dataset_is_the_table_at_its_snapshot_and_can_be_read_again(training, run, monkeypatch):
    import mlflow.data

    from lakehouse.config.settings import settings

    logged = training.context.client.get_run(run.run_id)
    dataset = logged.inputs.dataset_inputs[0].dataset
    assert (dataset.source_type, dataset.name, dataset.digest) == (
        "iceberg",
        "gold.load_hourly",
        str(run.pin.snapshot_id),
    )
    source = mlflow.data.get_source(dataset)
    assert source.to_dict() == {
        "catalog": "lakehouse",
        "table": "gold.load_hourly",
        "snapshot_id": str(run.pin.snapshot_id),
        "tag": tag_name(MODEL, run.run_id),
        "schema_id": 0,
    }
    monkeypatch.setenv("LAKEHOUSE_HOME", str(training.settings.home))
    settings.cache_clear()
    assert source.load().num_rows == 60 * 24
    settings.cache_clear()


def test_served_model_forecasts_as_the_run_did(training, run):
    import mlflow.pyfunc

    served = mlflow.pyfunc.load_model(f"models:/{MODEL}@challenger")
    example = served.input_example
    answers = served.predict(example)
    assert list(answers) == [f"{name}_h{h}" for h in (1, 24) for name in ("load_kw", "lower", "upper")]
    assert served.metadata.signature.inputs.input_names() == list(run.config.features)
    assert len(answers) == len(example)
    with download_model(training.context, run):
        pass  # MLflow has left a file of its own there, which changes nothing
    assert (answers["lower_h1"] <= answers["load_kw_h1"]).all()


def test_steps_by_hand_come_in_order_and_each_twice(training):
    run = training.train(step="prepare")
    with pytest.raises(BadInputError, match=rf"^run {run.run_id}: train comes before evaluate: --step train --run-id"):
        training.train(step="evaluate", run_id=run.run_id)
    for step in STEPS:
        for _ in range(2):
            run = training.train(step=step, run_id=run.run_id)
        assert run.is_done(step)
    versions = training.context.client.search_model_versions(f"run_id='{run.run_id}'")
    assert [str(version.version) for version in versions] == [run.tags["lakehouse.version"]]
    again = training.train(run_id=run.run_id)
    assert again.tags == run.tags


def test_step_that_died_half_way_is_done_again(training, monkeypatch):
    run = training.train(step="prepare")
    mark, died = STEPS["train"], []

    def die(context, run):
        mark(context, run)
        context.client.delete_tag(run.run_id, "lakehouse.step.train")  # everything is written but the mark
        died.append(1)
        raise KeyboardInterrupt

    monkeypatch.setitem(STEPS, "train", die)
    with pytest.raises(KeyboardInterrupt):
        training.train(step="train", run_id=run.run_id)
    assert lines_of(training, run.run_id, "train")[-1].endswith(" KeyboardInterrupt")
    monkeypatch.undo()
    run = training.train(run_id=run.run_id)
    assert died == [1]
    assert run.is_done("promote")


def test_as_of_trains_on_what_gold_was(training, run, hours):
    old = run.pin.snapshot_id
    new = hours.publish(training.settings, hours.generated(40))
    try:
        assert training.train(step="prepare").pin.snapshot_id == new
        assert training.train(step="prepare", as_of=str(old)).pin.snapshot_id == old
    finally:
        hours.publish(training.settings, hours.generated())


def test_gate_that_is_not_reached_registers_nothing(training):
    before = training.context.client.search_model_versions(f"name='{MODEL}'")
    with pytest.raises(GateFailedError, match=r"is not registered; gate failed: rmse_kw_h1 0\.\d+ <= 0\.01$"):
        training.train(thresholds="{rmse_kw_h1: {maximum: 0.01}}")
    assert len(training.context.client.search_model_versions(f"name='{MODEL}'")) == len(before)
    failed = training.context.client.search_runs(
        [training.context.client.get_experiment_by_name("power-consumption-forecasting").experiment_id],
        "attributes.status = 'FAILED'",
        max_results=1,
    )[0]
    assert "is not registered" in failed.data.tags["lakehouse.failure"]
    last = lines_of(training, failed.info.run_id, "register")[-1]
    assert last.endswith(f"error: {failed.data.tags['lakehouse.failure']}")
    tag = model_tags(training.settings, training.run(failed.info.run_id).pin.table)[tag_name(MODEL, failed.info.run_id)]
    assert tag.max_ref_age_ms == 7 * DAY_MS  # the tag of a failed run expires


def test_metric_that_the_gate_demands_and_nobody_measures_fails(training):
    with pytest.raises(GateFailedError, match=r"gate failed: rmse_h1 is demanded and was not measured$"):
        training.train(thresholds="{rmse_h1: {maximum: 1.0}}")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("data.minimum_rows=5000", "gold.load_hourly has 1440 rows for it; expected 5000"),
        ("data.maximum_age_days=30", "days old; expected 30 at most"),
    ],
)
def test_prepare_refuses_few_and_old_rows(training, override, message):
    with pytest.raises(BadInputError) as caught:
        training.train([override])
    assert message in str(caught.value)


def leak_of_future_feature(monkeypatch):
    from ml.energy import features

    honest = features.same_hours

    def leak(hours, offset):
        return {**honest(hours, offset), "same_hour_1d": np.concatenate([hours.load_kw[1:], [np.nan]])}

    monkeypatch.setattr(features, "same_hours", leak)


def leak_of_scaling(monkeypatch):
    honest = power_lgbm.build_examples

    def leak(hours, horizon, names):
        built = honest(hours, horizon, names)
        scaled = (built.features - np.nanmean(built.features, axis=0)) / (np.nanstd(built.features, axis=0) + 1)
        return type(built)(built.names, built.times, built.target_times, scaled, built.targets)

    monkeypatch.setattr(power_lgbm, "build_examples", leak)


def leak_of_random_split(monkeypatch):
    def leak(cut, end, horizon):
        order = np.random.default_rng(0).permutation(end - horizon + 1)
        return Fold(cut, np.sort(order[:cut]), np.sort(order[cut:]))

    monkeypatch.setattr(power_lgbm, "split_at", leak)


@pytest.mark.parametrize(
    ("plant", "message"),
    [
        pytest.param(leak_of_future_feature, "feature same_hour_1d at .* changes when", id="feature from the future"),
        pytest.param(
            leak_of_scaling, "it is made from the future, or scaled before the split", id="scaling before split"
        ),
        pytest.param(
            leak_of_random_split, "a training target is measured at .*, but the test begins", id="random split"
        ),
    ],
)
def test_training_with_a_planted_leak_stops(training, monkeypatch, plant, message):
    plant(monkeypatch)
    with pytest.raises(LeakError, match=message):
        training.train()


def test_gold_whose_column_is_of_a_later_hour_is_not_trained_on(training, hours):
    frame = hours.generated()
    for planted, message in (
        ({"load_kw_lag_1": frame["load_kw"]}, "column load_kw_lag_1 follows what is measured after its hour began"),
        ({"load_kw_lag_24": frame["load_kw"].shift(23)}, r"column load_kw_lag_24 is .*, expected .* from hours before"),
        ({"available_at": frame["hour_start"] + np.timedelta64(1, "m")}, r"taken after it began \(available_at\)"),
    ):
        hours.publish(training.settings, frame.assign(**planted))
        with pytest.raises(LeakError, match=message):
            training.train(step="prepare")
    hours.publish(training.settings, frame)


def test_run_of_another_model_and_unknown_runs_are_refused(training, run):
    with pytest.raises(BadInputError, match=r"^MLflow has no run 'f{32}'$"):
        training.train(run_id="f" * 32)
    with pytest.raises(BadInputError, match=r"^--step train goes on with a run: name it with --run-id$"):
        training.train(step="train")
    experiment = training.context.client.get_run(run.run_id).info.experiment_id
    foreign = training.context.client.create_run(experiment).info.run_id
    with pytest.raises(BadInputError, match=rf"^run {foreign} was not made by lakehouse train$"):
        training.train(run_id=foreign)


def test_configuration_of_a_run_is_the_one_it_was_made_with(training, run):
    stored = json.loads(run.tags["lakehouse.config"])
    assert stored == json.loads(run.config.as_json())
    assert run.config.chosen_hyperparameters()["rounds"] == 60
