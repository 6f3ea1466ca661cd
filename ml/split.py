"""Splits by time: training examples end where their targets would reach into the test.

A training example's target must have been measured when the first test example is made, so that between the last
training example and the first test example lies a gap as long as the horizon.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from lakehouse.errors import BadInputError
from ml.examples import Positions

MINIMUM_EXAMPLES = 24
"""A fold with less than a day on either side measures nothing."""


@dataclass(frozen=True)
class Fold:
    """Positions of training and test examples, ascending; `cut` is the first position of the test."""

    cut: int
    train: Positions
    test: Positions


def split_at(cut: int, end: int, horizon: int) -> Fold:
    """Split examples `[0, end)` at a position: an example at p has its target in the hour p + horizon - 1.

    Raises:
        BadInputError: one side holds less than a day.
    """
    fold = Fold(cut, np.arange(0, max(0, cut - horizon + 1)), np.arange(cut, max(cut, end - horizon + 1)))
    if min(len(fold.train), len(fold.test)) < MINIMUM_EXAMPLES:
        raise BadInputError(
            f"a split at hour {cut} of {end} leaves {len(fold.train)} training and {len(fold.test)} test hours; "
            f"expected {MINIMUM_EXAMPLES} of each: widen the training window or ask for fewer folds"
        )
    return fold


def rolling_origins(first: int, end: int, folds: int, horizon: int) -> list[Fold]:
    """Cut `[first, end)` into equal tests; each fold trains on all that lies before its own."""
    edges = np.linspace(first, end, folds + 1).astype(int).tolist()
    return [split_at(cut, stop, horizon) for cut, stop in pairwise(edges)]
