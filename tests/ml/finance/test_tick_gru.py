"""The model on generated ticks with a planted signal: what the gate says, and what must make no difference or all."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from ml.config import find_config
from ml.finance import features, scoring
from ml.finance.tick_gru import TickModel
from ml.gate import judge
from ml.leakage import LeakError
from ml.model_files import read_index

DAYS = 52
"""Sessions, of which the last 21 are the test."""
PROOF = {
    # The name of each strength, its drift in bps a minute, and the verdict expected of every demand of the gate
    "none": (
        0.0,
        {
            "sharpe_net": False,
            "maximum_drawdown": True,  # who does not trade loses nothing
            "diebold_mariano_p": False,
            "deflated_sharpe": False,
            "test_days": True,
            "trades": False,
            "loss": False,
        },
    ),
    "present but below costs": (
        0.8,  # 8 bps over the horizon, and a trade there and back costs 20
        {
            "sharpe_net": False,
            "maximum_drawdown": True,
            "diebold_mariano_p": True,
            "deflated_sharpe": False,
            "test_days": True,
            "trades": False,
            "loss": True,
        },
    ),
    "pays 10 bps": (
        3.0,  # 30 bps over the horizon
        {
            "sharpe_net": True,
            "maximum_drawdown": True,
            "diebold_mariano_p": True,
            "deflated_sharpe": True,
            "test_days": True,
            "trades": True,
            "loss": True,
        },
    ),
}


@pytest.fixture(scope="module")
def quick(ticks):
    """quick(*overrides) is the real configuration, made quick."""
    return lambda *overrides: find_config("tick_gru", [*ticks.quick, *overrides])


@pytest.fixture(scope="module")
def strong(ticks):
    """Rows of a signal that pays, few sessions."""
    return ticks.rows([ticks.generated(12, 3.0)])


def measure(config, rows, folder):
    folder.mkdir()
    TickModel(config).train(rows, folder, lambda line: None)
    scored = TickModel(config).score(rows, folder)
    evaluation = TickModel(config).deflate(TickModel(config).evaluate(scored), [])
    return evaluation.metrics, judge(config, evaluation, scored)


def forecasts_of(config, rows, folder):
    return TickModel(config).score(rows, folder).column("forecast").to_numpy(zero_copy_only=False)


@pytest.mark.parametrize("strength", PROOF)
def test_gate_says_of_each_strength_of_planted_signal_what_was_expected(ticks, quick, tmp_path, strength):
    drift_bps, expected = PROOF[strength]
    rows = ticks.rows([ticks.generated(DAYS, drift_bps)])
    TickModel(quick()).check(rows)
    metrics, verdict = measure(quick(), rows, tmp_path / "model")
    assert {demand.words.split()[0]: demand.is_met for demand in verdict.demands} == expected
    assert verdict.is_passed == all(expected.values())
    assert metrics["test_days"] == 21


def test_shuffled_targets_leave_nothing_of_the_score(quick, strong, tmp_path, monkeypatch):
    honest, _ = measure(quick(), strong, tmp_path / "honest")

    def shuffled(bars, horizon):
        values = features.forward_log_returns(bars, horizon)
        known = np.flatnonzero(~np.isnan(values))
        values[known] = values[np.random.default_rng(1).permutation(known)]
        return values

    monkeypatch.setattr(scoring, "forward_log_returns", shuffled)
    found, verdict = measure(quick(), strong, tmp_path / "shuffled")
    assert honest["skill"] > 0.3
    assert found["skill"] < 0.01
    assert found["diebold_mariano_p"] > 0.01
    assert found["sharpe_net"] == 0  # no forecast is worth its costs
    assert not verdict.is_passed


@pytest.mark.parametrize("name", ["log_return", "rsi_14", "sma_20_distance"])
def test_feature_that_the_code_takes_from_one_bar_later_is_a_leak(quick, strong, monkeypatch, name):
    honest = features.feature

    def from_the_future(wanted, column):
        values = honest(wanted, column)
        return np.concatenate([values[1:], [np.nan]]) if wanted == name else values

    monkeypatch.setattr(features, "feature", from_the_future)
    with pytest.raises(LeakError, match=rf"^feature {name} at .* changes when everything from .* on is hidden"):
        TickModel(quick()).check(strong)


def test_column_of_gold_from_one_bar_later_is_a_leak(quick, strong):
    column = strong.column("log_return").to_pylist()
    shifted = pa.array([*column[1:], None], pa.float64())
    planted = strong.set_column(strong.schema.get_field_index("log_return"), "log_return", shifted)
    with pytest.raises(LeakError, match=r"^column log_return of GENA\.USA is .*, or from the future$"):
        TickModel(quick()).check(planted)


def test_order_of_the_rows_makes_no_difference(ticks, quick, tmp_path):
    config = quick("instruments=[GENA.USA, GENB.USA]")
    rows = ticks.rows([ticks.generated(8, 3.0, 5, "GENA.USA"), ticks.generated(8, 3.0, 6, "GENB.USA")])
    backwards = rows.take(list(range(rows.num_rows))[::-1])
    found = []
    for name, given in (("one", rows), ("other", backwards)):
        (tmp_path / name).mkdir()
        TickModel(config).train(given, tmp_path / name, lambda line: None)
        found.append(TickModel(config).score(given, tmp_path / name))
    assert read_index(tmp_path / "one") == read_index(tmp_path / "other")
    assert found[0].equals(found[1])


def test_model_and_scaling_do_not_depend_on_the_test_days(ticks, quick, tmp_path):
    known = ticks.generated(8, 3.0)
    is_test = known.times >= np.datetime64("2013-10-14")
    other = ticks.generated(8, 0.0, seed=99)
    changed = type(known)(
        known.instrument_id, known.times, np.where(is_test, other.prices * 3, known.prices), known.sizes
    )
    for name, given in (("one", known), ("other", changed)):
        (tmp_path / name).mkdir()
        TickModel(quick()).train(ticks.rows([given]), tmp_path / name, lambda line: None)
    assert read_index(tmp_path / "one") == read_index(tmp_path / "other")


def test_forecast_of_a_bar_does_not_depend_on_later_bars(quick, strong, tmp_path):
    (tmp_path / "model").mkdir()
    TickModel(quick()).train(strong, tmp_path / "model", lambda line: None)
    whole = forecasts_of(quick(), strong, tmp_path / "model")
    cut = 4000
    shorter = scoring.score_days(quick(), strong.slice(0, cut), tmp_path / "model", strong["event_date"][0].as_py())
    found = shorter.column("forecast").to_numpy(zero_copy_only=False)
    assert np.array_equal(found, whole[:cut], equal_nan=True)


@pytest.mark.parametrize("model_type", ["gru", "lstm", "transformer", "random_forest"])
def test_every_model_type_learns_a_signal_and_comes_back_from_its_files(quick, strong, tmp_path, model_type):
    sizes = {
        "gru": ["hidden=8", "epochs=3", "learning_rate=0.01", "batch_size=128"],
        "lstm": ["hidden=8", "epochs=3", "learning_rate=0.01", "batch_size=128"],
        "transformer": ["width=8", "heads=2", "layers=1", "feedforward=16", "epochs=3", "learning_rate=0.01"],
        "random_forest": ["trees=20"],
    }
    chosen = [f"hyperparameters.{model_type}.{each}" for each in sizes[model_type]]
    config = quick(f"model_type={model_type}", *chosen)
    metrics, _ = measure(config, strong, tmp_path / "one")
    assert metrics["skill"] > 0.15
    # Trained again: the same bytes, and the same forecasts from files
    measure(config, strong, tmp_path / "two")
    assert read_index(tmp_path / "one") == read_index(tmp_path / "two")
    assert np.array_equal(
        forecasts_of(config, strong, tmp_path / "one"), forecasts_of(config, strong, tmp_path / "two"), equal_nan=True
    )
    seeded = quick(f"model_type={model_type}", *chosen, "seed=2")
    (tmp_path / "seeded").mkdir()
    TickModel(seeded).train(strong, tmp_path / "seeded", lambda line: None)
    assert read_index(tmp_path / "seeded")["files"] != read_index(tmp_path / "one")["files"]


def test_served_window_is_forecast_as_its_bar_was(quick, strong, tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    TickModel(quick()).train(strong, folder, lambda line: None)
    asked = TickModel(quick()).example(strong)
    assert asked.num_columns == 20 * 5
    answer = TickModel(quick()).predict_features(folder, asked).column("forecast_log_return").to_pylist()
    assert answer == [forecasts_of(quick(), strong, folder)[-1]]


def test_backtest_of_days_says_what_the_version_was_trained_on(quick, strong, tmp_path):
    (tmp_path / "model").mkdir()
    TickModel(quick()).train(strong, tmp_path / "model", lambda line: None)
    days = pc.unique(strong.column("event_date")).to_pylist()
    lines = TickModel(quick()).backtest(strong, tmp_path / "model", days[-2], days[-1])
    assert "test_days 2.0000" in lines
    assert not [line for line in lines if line.startswith("beware")]
    lines = TickModel(quick()).backtest(strong, tmp_path / "model", days[0], days[-1])
    assert lines[-1].startswith("beware: the version was trained on ")
