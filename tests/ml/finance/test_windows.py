import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.finance.features import Bars
from ml.finance.windows import Windows, as_sequence, flat_names, window_ends


def bars_of(minutes, instruments, features):
    """Bars at some minutes of one instrument after the other; a run ends where the next minute is missing."""
    minutes, instruments = np.array(minutes), np.array(instruments)
    is_unbroken = (instruments[1:] == instruments[:-1]) & (np.diff(minutes) == 1)
    starts = np.datetime64("2013-10-07T13:30", "m") + minutes
    runs = np.concatenate([[0], np.cumsum(~is_unbroken)])
    return Bars(("a", "b", "c"), instruments, starts, np.ones(len(minutes)), runs, features)


def numbers(count, features=2):
    return np.arange(count * features, dtype=np.float32).reshape(count, features)


def test_views_share_the_memory_of_the_rows_however_many_there_are():
    rows = numbers(10_000, 12)
    windows = Windows(rows, 60)
    assert windows.views.shape == (9_941, 60, 12)
    assert np.shares_memory(windows.views, rows)
    assert windows.views.base is not None
    assert not windows.views.flags.writeable
    rows[59, 0] = -1.0  # seen through every view that holds the row
    assert windows.views[0, 59, 0] == windows.views[59, 0, 0] == -1.0


def test_gather_copies_the_windows_that_end_with_some_rows():
    windows = Windows(numbers(5), 3)
    gathered = windows.gather(np.array([4, 2]))
    assert gathered.tolist() == [[[4, 5], [6, 7], [8, 9]], [[0, 1], [2, 3], [4, 5]]]
    assert gathered.flags.c_contiguous
    assert not np.shares_memory(gathered, windows.rows)


def test_touched_rows_are_those_of_the_windows_each_once():
    windows = Windows(numbers(9, 1), 3)
    assert windows.touched(np.array([2, 3, 8])).ravel().tolist() == [0, 1, 2, 3, 6, 7, 8]


@st.composite
def grids(draw):
    """Grids of several instruments with missing minutes and bars without all their features."""
    minutes, instruments, missing = [], [], []
    for instrument in range(draw(st.integers(1, 3))):
        minute = draw(st.integers(0, 5))
        for _ in range(draw(st.integers(0, 30))):
            minutes.append(minute)
            instruments.append(instrument)
            missing.append(draw(st.integers(0, 9)) == 0)
            minute += draw(st.sampled_from([1, 1, 1, 1, 1, 2, 700]))
    return minutes, instruments, missing


@settings(max_examples=300, deadline=None)
@given(grids(), st.integers(2, 8))
def test_windows_lie_within_one_instrument_and_an_unbroken_minute_after_minute_and_none_is_left_out(grid, length):
    minutes, instruments, missing = grid
    if not minutes:
        return
    features = numbers(len(minutes))
    features[np.array(missing)] = np.nan
    found = window_ends(bars_of(minutes, instruments, features), length).tolist()
    expected = []
    for end in range(length - 1, len(minutes)):
        inside = range(end - length + 1, end + 1)
        is_one_instrument = len({instruments[place] for place in inside}) == 1
        is_every_minute = [minutes[place] - minutes[end] for place in inside] == list(range(-length + 1, 1))
        if is_one_instrument and is_every_minute and not any(missing[place] for place in inside):
            expected.append(end)
    assert found == expected


def test_sequence_gives_lightgbm_the_windows_flattened_oldest_bar_first():
    windows = Windows(numbers(6), 3)
    rows = as_sequence(windows, np.array([2, 4, 5]))
    assert len(rows) == 3
    assert rows[1].tolist() == [4, 5, 6, 7, 8, 9]
    assert rows[0:2].tolist() == [[0, 1, 2, 3, 4, 5], [4, 5, 6, 7, 8, 9]]
    assert rows[[2]].tolist() == [[6, 7, 8, 9, 10, 11]]
    assert flat_names(("x", "y"), 3) == ("x_2", "y_2", "x_1", "y_1", "x_0", "y_0")


@pytest.mark.parametrize("count", [0, 1, 2])
def test_fewer_bars_than_a_window_end_none(count):
    empty = bars_of(list(range(max(count, 1))), [0] * max(count, 1), numbers(max(count, 1)))
    assert window_ends(empty, 3).tolist() == []
