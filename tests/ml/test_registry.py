"""Whatever breaks while a version is registered, an alias names a whole version or none, and a rerun fixes the rest."""

from dataclasses import replace

import pytest

from lakehouse.errors import BadInputError, LakehouseError, UnavailableError
from lakehouse.lake.catalog import read_log
from lakehouse.tables.registry import MODEL_VERSIONS
from ml import registry
from ml.model_files import TamperedError
from ml.pins import model_tags
from ml.registry import COMPLETE, download_model, find_alias, find_version, register_run, resolve

MODEL = "household_power_lgbm"


@pytest.fixture(scope="module")
def judged(training):
    """A run that may be registered, and what brings the stores back to where it was not yet."""
    run = training.train(step="prepare")
    for step in ("train", "evaluate"):
        run = training.train(step=step, run_id=run.run_id)
    return run, training.keep()


class Breaking:
    """MLflow's client, broken at its n-th call: before the call reaches the store, or after it was applied."""

    def __init__(self, client, at, is_applied):
        self.client = client
        self.at = at
        self.is_applied = is_applied
        self.calls = []

    def __getattr__(self, name):
        method = getattr(self.client, name)

        def call(*arguments, **keywords):
            from mlflow.exceptions import MlflowException

            self.calls.append(name)
            if len(self.calls) - 1 == self.at:
                if self.is_applied:
                    method(*arguments, **keywords)
                raise MlflowException("database is locked")
            return method(*arguments, **keywords)

        return call


def is_whole(training, run):
    """Say whether everything that a version needs is there."""
    rows = read_log(training.settings, MODEL_VERSIONS).to_pylist()
    tag = model_tags(training.settings, run.pin.table).get(run.pin.tag)
    return [row["mlflow_run_id"] for row in rows] == [run.run_id] and tag is not None and tag.max_ref_age_ms is None


def check_aliases(training, run):
    """An alias that resolves names a whole version whose files are what was trained."""
    found = find_alias(training.context, MODEL, "challenger")
    if found is not None:
        assert found.tags[COMPLETE] == "true"
        assert is_whole(training, run)
        with download_model(training.context, training.run(found.run_id)):
            pass
    return found


def calls_of_registering(training, run):
    watched = Breaking(training.context.client, at=-1, is_applied=False)
    register_run(replace(training.context, client=watched), run)
    return watched.calls


def test_store_that_breaks_at_any_call_leaves_no_alias_of_an_incomplete_version(training, judged):
    run, bring_back = judged
    calls = calls_of_registering(training, run)
    assert {"create_model_version", "set_model_version_tag", "set_registered_model_alias"} <= set(calls)
    for at in range(len(calls)):
        for is_applied in (False, True):
            bring_back()
            broken = Breaking(training.context.client, at, is_applied)
            try:
                register_run(replace(training.context, client=broken), run)
            except Exception as error:
                assert "database is locked" in str(error), (calls[at], is_applied)
            check_aliases(training, run)
            assert register_run(training.context, run) == 1, (calls[at], is_applied)
            assert check_aliases(training, run) is not None
            assert len(training.context.client.search_model_versions(f"name='{MODEL}'")) == 1, (calls[at], is_applied)


@pytest.mark.parametrize("broken", ["pin", "record_version", "tree_sha256"])
def test_lakehouse_that_breaks_while_registering_leaves_no_alias(training, judged, monkeypatch, broken):
    run, bring_back = judged
    bring_back()

    def fail(*_, **__):
        raise UnavailableError("the catalog is away")

    monkeypatch.setattr(registry, broken, fail)
    with pytest.raises(LakehouseError, match="the catalog is away"):
        register_run(training.context, run)
    assert find_alias(training.context, MODEL, "challenger") is None
    monkeypatch.undo()
    assert register_run(training.context, run) == 1
    assert check_aliases(training, run) is not None


def test_incomplete_version_cannot_be_named_whatever_alias_points_at_it(training, judged):
    run, bring_back = judged
    bring_back()
    register_run(training.context, run)
    training.context.client.delete_model_version_tag(MODEL, "1", COMPLETE)
    expected = rf"^version 1 of {MODEL} is incomplete: lakehouse train {MODEL} --step register --run-id {run.run_id}"
    for reference in (f"{MODEL}@challenger", f"{MODEL}/1"):
        with pytest.raises(BadInputError, match=expected):
            resolve(training.context, reference)


def test_registering_twice_is_one_version_and_one_row(training, judged):
    run, bring_back = judged
    bring_back()
    assert [register_run(training.context, run) for _ in range(2)] == [1, 1]
    row = read_log(training.settings, MODEL_VERSIONS).to_pylist()[0]
    assert (row["tags"], row["snapshot_ids"], row["table_names"]) == (
        [run.pin.tag],
        [run.pin.snapshot_id],
        ["gold.load_hourly"],
    )
    assert row["gate_verdict"].startswith("passed: rmse_kw_h1 0.")


def test_files_that_were_changed_are_not_loaded(training, judged):
    run, bring_back = judged
    bring_back()
    path = training.settings.home / "mlflow" / "artifacts" / run.config.experiment / run.run_id / "artifacts"
    model = path / "model" / "data" / "files" / "h1.txt"
    text = model.read_text()
    model.write_text(text.replace("leaf_value=", "leaf_value=9", 1))
    try:
        with pytest.raises(TamperedError, match=r"have sha256 [0-9a-f]{64}, expected [0-9a-f]{64}: not loaded$"):
            register_run(training.context, run)
        assert find_alias(training.context, MODEL, "challenger") is None
    finally:
        model.write_text(text)


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        (f"{MODEL}@champion", f"^{MODEL} has no champion; lakehouse models lists"),
        (MODEL, f"^{MODEL} has no champion; lakehouse models lists"),
        (f"{MODEL}/7", f"^{MODEL} has no version 7; there are 1$"),
        (f"{MODEL}/x", f"^expected a version like {MODEL}/3, found '{MODEL}/x'$"),
    ],
)
def test_reference_to_nothing_says_what_there_is(training, judged, reference, message):
    run, bring_back = judged
    bring_back()
    register_run(training.context, run)
    with pytest.raises(BadInputError, match=message):
        resolve(training.context, reference)


def test_older_run_does_not_take_the_alias_from_a_newer_version(training, judged):
    run, bring_back = judged
    bring_back()
    register_run(training.context, run)
    newer = training.train(["seed=3"], step="prepare")
    for step in ("train", "evaluate", "register"):
        newer = training.train(step=step, run_id=newer.run_id)
    register_run(training.context, run)
    assert int(find_alias(training.context, MODEL, "challenger").version) == 2
    assert find_version(training.context, MODEL, 1).run_id == run.run_id
