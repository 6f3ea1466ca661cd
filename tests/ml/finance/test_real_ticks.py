"""Real days of two US equities, through the jobs that make gold of files, in whatever order the files lie."""

import shutil

import pytest

from lakehouse.tables.finance import GOLD_TICK_FEATURES
from ml.config import find_config
from ml.finance.tick_gru import TickModel
from ml.model_files import read_index

QUICK = ("model_type=lightgbm", "hyperparameters.lightgbm.rounds=10", "split.folds=2", "backtest.random_draws=20")


@pytest.fixture(scope="module")
def gold(spark, lakes, real_data, tmp_path_factory):
    """gold.tick_features of AIG and BAC, 2013-10-07 to 2013-10-11."""
    from spark_jobs.layers.chain import run_domain

    folder = tmp_path_factory.mktemp("real")
    landing = folder / "ticks" / "equity" / "usa" / "tick"
    for symbol in ("aig", "bac"):
        shutil.copytree(real_data / "ticks" / "lean" / "equity" / "usa" / "tick" / symbol, landing / symbol)
    lake = lakes(spark, folder, "lake")
    assert run_domain("finance", lake.request(landing=folder / "ticks")) == 0
    return lake.rows(GOLD_TICK_FEATURES)


def test_real_days_hold_no_leak_and_are_too_few_for_the_gate(gold, tmp_path):
    model = TickModel(find_config("tick_gru", QUICK))
    model.check(gold)
    model.train(gold, tmp_path, lambda line: None)
    scored = model.score(gold, tmp_path)
    metrics = model.evaluate(scored).metrics
    # 390 bars a session and instrument; 59 before the first window and 10 after the last whole horizon are no test
    assert metrics["forecasts"] == 2 * (390 - 59 - 10)
    assert metrics["test_days"] == 1
    assert metrics["bars_per_year"] == 252 * 390 - 3 * 180
    assert metrics["naive_rmse_bps"] == pytest.approx(15.116, abs=0.001)
    assert metrics["buy_and_hold_return"] == pytest.approx(-0.0005, abs=0.0001)
    assert metrics["last_sign_return"] == pytest.approx(-0.2948, abs=0.0001)
    assert -0.1 < metrics["skill"] < 0.05  # an honest model of five days knows next to nothing


def test_rows_of_files_in_reverse_order_are_the_same_model(gold, tmp_path):
    model = TickModel(find_config("tick_gru", QUICK))
    for name, rows in (("one", gold), ("other", gold.take(list(range(gold.num_rows))[::-1]))):
        (tmp_path / name).mkdir()
        model.train(rows, tmp_path / name, lambda line: None)
    assert read_index(tmp_path / "one") == read_index(tmp_path / "other")
