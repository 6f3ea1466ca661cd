from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from lakehouse.errors import BadInputError
from ml.energy.features import baselines, build_examples, lay_out

START = datetime(2007, 1, 1)  # a Monday


def rows_of(starts, load_kw=None, occurrences=None):
    """Rows of gold whose load is the number of the row, so that every feature says which hour it is of."""
    count = len(starts)
    load_kw = [float(number) for number in range(count)] if load_kw is None else load_kw
    return pa.table(
        {
            "hour_start": pa.array(starts, pa.timestamp("us")),
            "occurrence": pa.array(occurrences or [1] * count, pa.int32()),
            "load_kw": pa.array(load_kw, pa.float64()),
            "completeness_ratio": pa.array([1.0] * count),
            "is_holiday": pa.array([False] * count),
        }
    )


def hours_from(start, count):
    return [start + timedelta(hours=number) for number in range(count)]


@pytest.fixture(scope="module")
def month():
    return lay_out(rows_of(hours_from(START, 24 * 35)))


@pytest.mark.parametrize("horizon", [1, 24])
def test_target_is_the_load_of_the_hour_that_many_hours_after_the_begin(month, horizon):
    built = build_examples(month, horizon, ("target_hour",))
    assert built.targets[100] == 100 + horizon - 1
    assert np.isnan(built.targets[len(built) - horizon + 1 :]).all()
    assert built.target_times[100] - built.times[100] == np.timedelta64(horizon, "h")


@pytest.mark.parametrize("horizon", [1, 24])
def test_same_hours_are_counted_back_from_the_forecast_hour(month, horizon):
    names = (
        "same_hour_1d",
        "same_hour_7d",
        "same_hour_mean_7d",
        "same_hour_min_7d",
        "same_hour_max_7d",
        "same_hour_mean_4w",
    )
    target = 800 + horizon - 1
    found = build_examples(month, horizon, names).features[800]
    # loads count the hours: a day before is 24 less; the mean of 1 to 7 days before is 4 days less; of weeks 2.5 weeks
    assert found.tolist() == [target - 24, target - 168, target - 96, target - 168, target - 24, target - 420]


def test_target_calendar_is_that_of_the_forecast_hour(month):
    names = ("target_hour", "target_weekday", "target_is_weekend")
    friday_noon = 4 * 24 + 12
    assert build_examples(month, 1, names).features[friday_noon].tolist() == [12, 4, 0]
    assert build_examples(month, 24, names).features[friday_noon].tolist() == [11, 5, 1]


def test_profile_is_the_fading_mean_of_earlier_days_of_the_kind():
    load = [0.0] * (24 * 3)
    load[5], load[29] = 2.0, 4.0  # 05:00 on Monday and Tuesday
    built = build_examples(lay_out(rows_of(hours_from(START, 72), load)), 1, ("same_hour_profile",)).features[:, 0]
    assert np.isnan(built[5])
    assert built[29] == 2.0
    assert built[53] == pytest.approx((0.95 * 2.0 + 4.0) / 1.95)


def test_unpublished_days_become_empty_hours_and_clock_changes_do_not():
    night = datetime(2007, 3, 25, 0)
    spring = [night, night + timedelta(hours=1), night + timedelta(hours=3)]  # 02:00 does not exist
    assert lay_out(rows_of(spring)).load_kw.tolist() == [0.0, 1.0, 2.0]
    autumn = lay_out(rows_of([night, night, night + timedelta(hours=1)], occurrences=[1, 2, 1]))
    assert (autumn.load_kw.tolist(), autumn.occurrences.tolist()) == ([0.0, 1.0, 2.0], [1, 2, 1])
    holed = lay_out(rows_of([START, START + timedelta(hours=25)]))
    assert len(holed.load_kw) == 26
    assert (holed.load_kw[0], holed.load_kw[25], int(np.isnan(holed.load_kw).sum())) == (0.0, 1.0, 24)
    assert holed.starts[13] == np.datetime64("2007-01-01T13")


def test_hours_out_of_order_are_refused():
    with pytest.raises(BadInputError, match=r"^hours are not in order at 2007-01-01T00$"):
        lay_out(rows_of([START + timedelta(hours=1), START]))


@pytest.mark.parametrize("horizon", [1, 24])
def test_naive_forecasts_use_what_is_known_when_they_are_made(month, horizon):
    found = baselines(month, horizon, train_end=24 * 28)
    origin = 24 * 29
    target = origin + horizon - 1
    assert found["last_value"][origin] == origin - 1
    assert found["day_before"][origin] == target - 24
    assert found["week_before"][origin] == target - 168
    # the mean of that hour of the week in the four weeks of training
    slot = target % 168
    assert found["hour_of_week_mean"][origin] == np.mean([slot + 168 * week for week in range(4)])
