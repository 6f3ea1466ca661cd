"""How good answers are: accuracy, F1, the worst class, calibration; and what they are compared with.

Reads   one row per image: truth, forecast (labels), confidence (probability of the forecast label, 0..1)
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from ml.examples import Floats, Positions

BINS = 15
"""Of the calibration error, as Guo et al. (2017) have it."""


def confusion_matrix(truth: Positions, forecast: Positions, classes: int) -> NDArray[np.int64]:
    """Count images by true class (row) and given class (column)."""
    counts: NDArray[np.int64] = np.bincount(truth * classes + forecast, minlength=classes**2)
    return counts.reshape(classes, classes)


def measure(truth: Positions, forecast: Positions, confidence: Floats, classes: int) -> Mapping[str, float]:
    """Return the metrics that thresholds name; a class without an image counts in none of them."""
    matrix = confusion_matrix(truth, forecast, classes)
    is_there = matrix.sum(axis=1) > 0
    right = np.diag(matrix)[is_there]
    recall = right / matrix.sum(axis=1)[is_there]
    f1 = 2 * right / (matrix.sum(axis=1) + matrix.sum(axis=0))[is_there]
    return {
        "accuracy": float(np.diag(matrix).sum() / len(truth)),
        "macro_f1": float(f1.mean()),
        "worst_class_recall": float(recall.min()),
        "ece": calibration_error(forecast == truth, confidence),
    }


def calibration_error(is_right: NDArray[np.bool_], confidence: Floats) -> float:
    """Return the expected calibration error: mean gap of confidence and accuracy over equal bins, by images."""
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = np.bincount(bins, weights=confidence - is_right, minlength=BINS)
    return float(np.abs(gaps).sum() / len(confidence))


def fit_temperature(logits: Floats, truth: Positions) -> float:
    """Return what logits are divided by so that probabilities fit best: the least log loss on a grid of 1 %."""
    best, least = 1.0, np.inf
    for temperature in np.exp(np.arange(-1.5, 1.5, 0.01)):
        scaled = logits / temperature
        scaled = scaled - scaled.max(axis=1, keepdims=True)
        loss = float((np.log(np.exp(scaled).sum(axis=1)) - scaled[np.arange(len(truth)), truth]).mean())
        if loss < least:
            best, least = float(temperature), loss
    return best
