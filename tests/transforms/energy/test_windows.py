"""Windows over the loads before an hour, against numbers made by hand and by statistics."""

from __future__ import annotations

import statistics

import numpy as np
import polars as pl
import pytest

from transforms.energy.windows import LoadsBefore, place_hours, put_on_axis

NAN = float("nan")


def loads_before(loads, places, look_back=4):
    """The loads of one meter before some of its hours, which are counted from its first one."""
    hours = pl.DataFrame({"meter_id": "m.X", "elapsed_hour": range(len(loads)), "load_kw": loads})
    placed = place_hours(hours, look_back)
    return LoadsBefore(put_on_axis(placed), placed["place"].to_numpy()[places])


def test_a_lag_is_the_load_that_many_hours_before():
    found = loads_before([1.0, None, 3.0, 4.0], [0, 1, 2, 3]).lag(2)
    np.testing.assert_array_equal(found, [NAN, NAN, 1.0, NAN])


def test_a_window_ends_before_its_own_hour_and_needs_half_of_its_hours():
    before = loads_before([1.0, 2.0, None, 4.0, 9.0, 1e9], [0, 1, 2, 3, 4, 5])
    np.testing.assert_array_equal(before.count(3), [0, 1, 2, 2, 2, 2])
    np.testing.assert_array_equal(before.mean(3), [NAN, NAN, 1.5, 1.5, 3.0, 6.5])
    np.testing.assert_array_equal(before.mean(4), [NAN, NAN, 1.5, 1.5, 7 / 3, 5.0])


def test_a_deviation_is_that_of_a_sample():
    loads = [0.3, 1.7, None, 2.9, 0.1, 0.3]
    before = loads_before(loads, [3, 4, 5], look_back=4)
    expected = [statistics.stdev(x for x in loads[place - 3 : place] if x is not None) for place in (3, 4, 5)]
    assert before.deviation(3).tolist() == pytest.approx(expected, rel=1e-15)


def test_a_window_has_the_same_bits_wherever_the_frame_begins():
    loads = np.random.default_rng(7).lognormal(0, 1, 300).tolist()
    whole, end = loads_before(loads, [299], 100), loads_before(loads[199:], [100], 100)
    assert (whole.mean(100), whole.deviation(100)) == (end.mean(100), end.deviation(100))


def test_meters_do_not_see_each_other_and_absent_hours_are_not_known():
    hours = pl.DataFrame(
        {
            "meter_id": ["m.A", "m.A", "m.B", "m.B"],
            "elapsed_hour": [10, 13, 7, 8],
            "load_kw": [1.0, 2.0, 30.0, 40.0],
        }
    )
    placed = place_hours(hours, 3)
    before = LoadsBefore(put_on_axis(placed), placed["place"].to_numpy())
    np.testing.assert_array_equal(before.lag(1), [NAN, NAN, NAN, 30.0])
    np.testing.assert_array_equal(before.lag(3), [NAN, 1.0, NAN, NAN])
    np.testing.assert_array_equal(before.count(3), [0, 1, 0, 1])


def test_of_two_hours_in_one_place_the_higher_load_counts():
    hours = pl.DataFrame({"meter_id": "m.X", "elapsed_hour": [5, 5, 6], "load_kw": [2.0, 3.0, None]})
    assert put_on_axis(place_hours(hours, 1)).tolist() == pytest.approx([NAN, 3.0, NAN], nan_ok=True)
