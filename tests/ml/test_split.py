import numpy as np
import pytest

from lakehouse.errors import BadInputError
from ml.split import rolling_origins, split_at


def test_split_leaves_a_gap_as_long_as_the_horizon():
    fold = split_at(cut=100, end=200, horizon=24)
    # hour 76's target is hour 99, the last one that is measured when the test begins at 100
    assert (fold.train[0], fold.train[-1]) == (0, 76)
    # hour 176's target is hour 199, the last one there is
    assert (fold.test[0], fold.test[-1]) == (100, 176)


def test_split_one_hour_ahead_trains_up_to_the_test():
    fold = split_at(cut=100, end=200, horizon=1)
    assert (fold.train[-1], fold.test[0], fold.test[-1]) == (99, 100, 199)


def test_rolling_origins_tile_the_hours_and_train_on_what_lies_before():
    folds = rolling_origins(first=100, end=400, folds=3, horizon=1)
    assert [fold.cut for fold in folds] == [100, 200, 300]
    assert np.array_equal(np.concatenate([fold.test for fold in folds]), np.arange(100, 400))
    assert all(fold.train[0] == 0 and fold.train[-1] < fold.cut for fold in folds)


def test_split_that_measures_nothing_is_refused():
    with pytest.raises(BadInputError, match=r"^a split at hour 20 of 200 leaves 20 training and 180 test hours"):
        split_at(cut=20, end=200, horizon=1)
