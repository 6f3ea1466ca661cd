import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, recall_score

from ml.vision.scores import calibration_error, confusion_matrix, fit_temperature, measure


def test_measure_agrees_with_scikit_learn():
    random = np.random.default_rng(1)
    truth = random.integers(0, 7, 500)
    forecast = np.where(random.random(500) < 0.7, truth, random.integers(0, 7, 500))
    found = measure(truth, forecast, random.random(500), 7)
    assert found["accuracy"] == pytest.approx(accuracy_score(truth, forecast), rel=1e-12)
    assert found["macro_f1"] == pytest.approx(f1_score(truth, forecast, average="macro"), rel=1e-12)
    recalls = recall_score(truth, forecast, average=None)
    assert found["worst_class_recall"] == pytest.approx(min(recalls), rel=1e-12)


def test_measure_leaves_out_a_class_without_images():
    truth, forecast = np.array([0, 0, 2]), np.array([0, 0, 2])
    found = measure(truth, forecast, np.ones(3), 4)
    assert found == {"accuracy": 1.0, "macro_f1": 1.0, "worst_class_recall": 1.0, "ece": 0.0}


def test_confusion_matrix_has_truth_in_rows():
    assert confusion_matrix(np.array([0, 0, 1]), np.array([1, 0, 1]), 2).tolist() == [[1, 1], [0, 1]]


@pytest.mark.parametrize(
    ("is_right", "confidence", "expected"),
    [
        pytest.param([1, 1, 1, 0], [0.75] * 4, 0.0, id="right as often as it says"),
        pytest.param([0, 0], [1.0, 1.0], 1.0, id="sure and wrong"),
        pytest.param([1, 0], [0.9, 0.5], 0.3, id="bins by their images: (0.1 + 0.5) / 2"),
    ],
)
def test_calibration_error_is_the_mean_gap(is_right, confidence, expected):
    assert calibration_error(np.array(is_right, bool), np.array(confidence)) == pytest.approx(expected)


def test_fit_temperature_finds_by_how_much_logits_are_too_sure():
    random = np.random.default_rng(2)
    logits = random.normal(0, 2, (20_000, 5))
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    truth = (chances.cumsum(axis=1) < random.random((20_000, 1))).sum(axis=1)
    assert fit_temperature(logits * 3, truth) == pytest.approx(3, rel=0.05)
