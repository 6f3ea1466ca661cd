import numpy as np
import pytest

from ml.config import find_config
from ml.energy import power_lgbm
from ml.energy.power_lgbm import PowerModel

MODEL = "household_power_lgbm"


@pytest.fixture(scope="module")
def rows(real_data, hours):
    return hours.table(hours.half_year(real_data))


def measure(rows, folder, *overrides):
    model = PowerModel(find_config(MODEL, overrides))
    model.train(rows, folder, lambda line: None)
    return model.evaluate(model.score(rows, folder))


def test_half_year_is_forecast_better_than_a_plain_lightgbm(rows, tmp_path):
    PowerModel(find_config(MODEL)).check(rows)
    found = measure(rows, tmp_path)
    assert found.baselines == {1: "last_value", 24: "hour_of_week_mean"}
    # A plain LightGBM on the same split: 0.562 and 0.689 kW; over ten seeds ours is 0.554 and 0.653 +- 0.0019
    assert found.metrics["rmse_kw_h1"] < 0.559
    assert found.metrics["rmse_kw_h24"] < 0.662
    assert found.metrics["naive_rmse_kw_h1"] == pytest.approx(0.658, abs=0.001)
    assert found.metrics["naive_rmse_kw_h24"] == pytest.approx(0.809, abs=0.001)
    assert 0.75 < found.metrics["coverage_h1"] < 0.82
    assert 0.77 < found.metrics["coverage_h24"] < 0.84  # over ten seeds 0.804 to 0.832
    assert found.metrics["test_hours_h1"] == 869


@pytest.mark.parametrize("model_type", ["xgboost", "linear"])
def test_other_model_types_beat_the_naive_forecasts_too(rows, tmp_path, model_type):
    found = measure(rows, tmp_path, f"model_type={model_type}")
    assert found.metrics["skill_h1"] > 0.12
    assert found.metrics["skill_h24"] > 0.14


def test_model_does_not_depend_on_the_test_hours(rows, tmp_path):
    config = find_config(MODEL, ["rounds=20"])
    cut = power_lgbm.test_start(config, rows.num_rows)
    blank = rows.column("load_kw").to_numpy().copy()
    blank[cut:] = np.random.default_rng(0).uniform(0, 9, len(blank) - cut)
    other = rows.set_column(rows.schema.get_field_index("load_kw"), "load_kw", [blank])
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder, each in zip(folders, (rows, other), strict=True):
        folder.mkdir()
        PowerModel(config).train(each, folder, lambda line: None)
    names = ["h1.txt", "h24.txt", "model.json"]
    assert [(folders[0] / name).read_bytes() for name in names] == [(folders[1] / name).read_bytes() for name in names]
