import numpy as np
import pytest

from lakehouse.errors import BadInputError
from ml.finance.config import WalkForward
from ml.finance.features import Bars
from ml.finance.walk_forward import Splitter

WINDOW, HORIZON = 5, 3
SPLIT = WalkForward(test_ratio=0.25, folds=3, first_fold_ratio=0.4, embargo_bars=8)


def bars_of(days=4, per_day=(200, 200)):
    """Two instruments on the same days; the second has fewer bars where `per_day` says so."""
    starts, instrument, runs = [], [], []
    for number, count in enumerate(per_day):
        for day in range(days):
            starts += [np.datetime64("2013-10-07T13:30", "m") + day * 1440 + minute for minute in range(count)]
            instrument += [number] * count
            runs += [number * days + day] * count
    total = len(starts)
    return Bars(
        ("a", "b"), np.array(instrument), np.array(starts), np.ones(total), np.array(runs), np.ones((total, 1), "f4")
    )


def splitter_of(bars, split=SPLIT):
    """A splitter over the bars that have a window and a target within their run."""
    place = np.arange(len(bars))
    begins, ends = np.maximum(place - WINDOW + 1, 0), np.minimum(place + HORIZON, len(bars) - 1)
    is_whole = (bars.runs[begins] == bars.runs) & (bars.runs[ends] == bars.runs)
    is_whole &= (place - begins == WINDOW - 1) & (ends - place == HORIZON)
    return Splitter(bars, place[is_whole], WINDOW, HORIZON, split)


def test_test_is_the_last_days_and_folds_lie_before_it_one_after_the_other():
    splitter = splitter_of(bars_of())
    final = splitter.final()
    assert str(final.begin) == "2013-10-10T13:30"
    assert set(splitter.bars.days[final.test].astype(str)) == {"2013-10-10"}
    folds = splitter.folds()
    assert [fold.begin for fold in folds[1:]] == [fold.end for fold in folds[:-1]]
    assert folds[-1].end == final.begin
    assert [len(fold.train) for fold in folds] == sorted(len(fold.train) for fold in folds)
    tests = np.concatenate([fold.test for fold in folds])
    assert len(set(tests.tolist())) == len(tests)


def test_no_training_target_reaches_into_a_window_of_the_test_and_the_embargo_lies_between():
    splitter = splitter_of(bars_of())
    for fold in (*splitter.folds(), splitter.final()):
        known = np.searchsorted(splitter.grid, splitter.bars.starts[fold.train + HORIZON]).max()
        first_window = np.searchsorted(splitter.grid, fold.begin) - (WINDOW - 1)
        assert first_window - known == 1 + SPLIT.embargo_bars
        made = splitter.bars.starts[fold.test]
        assert made.min() >= fold.begin
        assert splitter.bars.starts[fold.test + HORIZON].max() < fold.end  # no target is in two tests


def test_examples_that_purge_and_embargo_take_are_the_ones_before_the_cut_and_no_others():
    splitter = splitter_of(bars_of(per_day=(200, 0)))
    fold = splitter.fold(300, 400)
    before = splitter.examples[splitter.examples < 300]
    left_out = set(before.tolist()) - set(fold.train.tolist())
    # Decisions of window + horizon + embargo bars: the last target that training knows is 12 bars before the cut
    assert left_out == {place for place in range(300 - 5 - 3 - 8 + 1, 300) if place in set(before.tolist())}


def test_all_instruments_are_cut_at_the_same_moment():
    splitter = splitter_of(bars_of(per_day=(200, 90)))
    for fold in (*splitter.folds(), splitter.final()):
        for number in (0, 1):
            own = splitter.bars.instrument == number
            train, test = (part[own[part]] for part in (fold.train, fold.test))
            if len(train) and len(test):
                assert splitter.bars.starts[train].max() < fold.begin <= splitter.bars.starts[test].min()


@pytest.mark.parametrize(
    ("days", "per_day", "message"),
    [
        pytest.param(1, (200, 0), "1 days of bars leave none to train on before a test of 1", id="one day"),
        pytest.param(2, (60, 0), "a split at .* leaves .* training and .* test examples after purge", id="few bars"),
    ],
)
def test_too_little_to_split_is_refused(days, per_day, message):
    splitter = splitter_of(bars_of(days, per_day))
    with pytest.raises(BadInputError, match=message):
        splitter.folds()
        splitter.final()
