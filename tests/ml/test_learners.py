import json

import numpy as np
import pytest

from ml import learners
from ml.examples import Examples

HYPERPARAMETERS = {
    "lightgbm": {
        "rounds": 20, "num_leaves": 7, "learning_rate": 0.1, "min_data_in_leaf": 5, "feature_fraction": 0.8,
        "bagging_fraction": 0.8, "lambda_l2": 1.0,
    },
    "xgboost": {
        "rounds": 20, "max_depth": 3, "learning_rate": 0.1, "min_child_weight": 1.0, "colsample_bynode": 0.8,
        "subsample": 0.8, "reg_lambda": 1.0,
    },
    "random_forest": {
        "trees": 20, "num_leaves": 15, "min_data_in_leaf": 5, "feature_fraction": 0.8, "bagging_fraction": 0.8,
    },
    "linear": {"l2": 1.0},
}  # fmt: skip


@pytest.fixture(scope="module")
def examples():
    random = np.random.default_rng(0)
    features = random.normal(size=(600, 3))
    features[::50, 2] = np.nan
    times = np.datetime64("2007-01-01T00") + np.arange(600).astype("timedelta64[h]")
    targets = 2 * features[:, 0] - features[:, 1] + random.normal(0, 0.1, 600)
    return Examples(("first", "second", "third"), times, times, features, targets)


@pytest.mark.parametrize("model_type", learners.KINDS)
def test_learner_comes_back_from_its_text_bit_for_bit_and_is_repeatable(examples, tmp_path, model_type):
    chosen = HYPERPARAMETERS[model_type]
    texts, forecasts = [], []
    for number in range(2):
        learner = learners.fit(model_type, examples, chosen, seed=3, threads=1)
        path = tmp_path / f"{number}{learner.suffix}"
        learner.save(path)
        texts.append(path.read_text(encoding="utf-8"))
        forecasts += [learner.predict(examples.features), learners.load(model_type, path).predict(examples.features)]
    assert texts[0] == texts[1]
    assert all(np.array_equal(forecasts[0], other) for other in forecasts[1:])
    assert np.sqrt(np.mean((forecasts[0] - examples.targets) ** 2)) < 0.6 * examples.targets.std()


@pytest.mark.parametrize("model_type", ["lightgbm", "xgboost", "random_forest"])
def test_trees_depend_on_their_seed(examples, model_type):
    one, other = (learners.fit(model_type, examples, HYPERPARAMETERS[model_type], seed, 1) for seed in (1, 2))
    assert not np.array_equal(one.predict(examples.features), other.predict(examples.features))


@pytest.mark.parametrize("model_type", HYPERPARAMETERS)
def test_importance_is_shared_out_and_finds_the_strongest(examples, model_type):
    shares = learners.fit(model_type, examples, HYPERPARAMETERS[model_type], 3, 1).importance()
    assert shares.sum() == pytest.approx(1)
    assert shares.argmax() == 0


def test_linear_is_json_of_its_coefficients(examples, tmp_path):
    learner = learners.fit("linear", examples, {"l2": 0.0}, 0, 1)
    learner.save(tmp_path / "h1.json")
    stored = json.loads((tmp_path / "h1.json").read_text())
    slopes = np.array(stored["coefficients"]) / np.array(stored["scale"])
    assert slopes == pytest.approx([2, -1, 0], abs=0.02)
