import json

import pytest
from pyiceberg.types import IntegerType, TimestampType

from lakehouse.errors import BadInputError
from lakehouse.lake.catalog import load
from lakehouse.tables.energy import GOLD_LOAD_HOURLY
from ml import reproduce
from ml.pins import model_tags
from ml.reconcile import reconcile_tags
from ml.reproduce import train_again

MODEL = "household_power_lgbm"


def expire_what_no_reference_keeps(settings):
    iceberg = load(settings, GOLD_LOAD_HOURLY)
    kept = {reference.snapshot_id for reference in iceberg.refs().values()}
    old = [each.snapshot_id for each in iceberg.snapshots() if each.snapshot_id not in kept]
    iceberg.maintenance.expire_snapshots().by_ids(old).commit()
    return old


@pytest.mark.parametrize("model_type", ["lightgbm", "xgboost", "linear"])
def test_version_is_reproduced_without_difference_after_gold_changed_and_expired(training, hours, model_type):
    small = {"lightgbm": [], "xgboost": ["hyperparameters.xgboost.rounds=60"], "linear": []}[model_type]
    run = training.train([f"model_type={model_type}", *small], step="prepare")
    for step in ("train", "evaluate"):
        run = training.train(step=step, run_id=run.run_id)
    training.context.client.set_tag(run.run_id, "lakehouse.gate", "passed")
    run = training.train(step="register", run_id=run.run_id)
    hours.publish(training.settings, hours.generated(60, seed=99))
    assert expire_what_no_reference_keeps(training.settings)
    found = train_again(training.context, MODEL, int(run.tags["lakehouse.version"]))
    assert found.is_equal
    assert found.files_differ == ()
    assert set(found.metrics) == set(json.loads(run.tags["lakehouse.metrics"]))
    assert found.prediction_rows > 400
    assert found.lines()[-1] == "reproduced: no difference"
    hours.publish(training.settings, hours.generated())


def test_other_data_or_seed_is_seen_as_a_difference(training, monkeypatch):
    honest = reproduce.fit_into

    def other_seed(folder, config, rows, say):
        return honest(folder, config.model_copy(update={"seed": 77}), rows, say)

    monkeypatch.setattr(reproduce, "fit_into", other_seed)
    found = train_again(training.context, MODEL, 1)
    assert not found.is_equal
    assert found.prediction_difference > 0
    assert found.metrics["rmse_kw_h1"] > 0
    assert found.files_differ == ("h1.txt", "h24.txt", "model.json")
    assert found.lines()[-1] == "not reproduced"


def test_notes_say_what_changed_since_and_nothing_of_what_was_not_recorded_then(training, monkeypatch):
    now = reproduce.environment()
    monkeypatch.setattr(reproduce, "environment", lambda: {**now, "numpy": "0.0", "of-today": "1.0"})
    run = training.run(training.context.client.get_model_version(MODEL, "1").run_id)
    assert reproduce.explain(training.context, run)[-1] == f"environment: numpy {now['numpy']} -> 0.0"


def test_version_is_reproduced_from_a_tag_of_before_columns_that_it_does_not_need(training):
    bring_back = training.keep()
    for name, kind in (
        ("month", IntegerType()),
        ("available_at", TimestampType()),
    ):  # nobody's, and one that checks read
        with load(training.settings, GOLD_LOAD_HOURLY).update_schema() as change:
            change.delete_column(name)
        with load(training.settings, GOLD_LOAD_HOURLY).update_schema() as change:
            change.add_column(name, kind)
    try:
        assert train_again(training.context, MODEL, 1).is_equal
        as_of = training.run(training.context.client.get_model_version(MODEL, "1").run_id).pin.snapshot_id
        with pytest.raises(BadInputError, match=r"^gold\.load_hourly has no column available_at at snapshot"):
            training.train(step="prepare", as_of=str(as_of))
    finally:
        bring_back()


def test_version_that_is_not_there_is_named(training):
    with pytest.raises(BadInputError, match=rf"^{MODEL} has no version 9; there are 1, 2, 3$"):
        train_again(training.context, MODEL, 9)


def test_tags_follow_the_registry(training, monkeypatch):
    """Runs last here: it deletes a version."""
    tags = model_tags(training.settings, GOLD_LOAD_HOURLY)
    assert {each.max_ref_age_ms for each in tags.values()} == {None}
    assert reconcile_tags(training.context) == []

    failed = training.train(step="prepare").pin.tag
    assert reconcile_tags(training.context) == []  # its tag has an age, which is all it needs

    version = training.context.client.get_model_version(MODEL, "1")
    training.context.client.delete_model_version(MODEL, "1")
    released = version.tags["lakehouse.tag"]
    assert reconcile_tags(training.context) == [
        f"tag {released} of gold.load_hourly: released, its version was deleted"
    ]
    left = model_tags(training.settings, GOLD_LOAD_HOURLY)
    assert set(left) == {*tags, failed} - {released}

    training.context.client.delete_run(failed.rpartition("_")[2])
    monkeypatch.setattr("ml.reconcile.run_is_recent", lambda *_: False)
    assert reconcile_tags(training.context) == [
        f"tag {failed} of gold.load_hourly: released, its run was not registered within 7 days"
    ]
