"""Hours that clocks show: days of 23, 24 and 25 hours, and hours of UTC behind them."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from transforms.energy.hours import HOURS, holiday_frame, hours_frame, hours_of_day

EPOCH = datetime(1970, 1, 1)


def clock_hour(text):
    """Whole hours from 1970 to an hour of UTC."""
    return (datetime.fromisoformat(text) - EPOCH) // timedelta(hours=1)


@pytest.mark.parametrize(
    ("zone", "day", "count"),
    [
        (None, date(2024, 3, 31), 24),
        ("Europe/Berlin", date(2024, 3, 30), 24),
        ("Europe/Berlin", date(2024, 3, 31), 23),
        ("Europe/Berlin", date(2024, 10, 27), 25),
        ("America/New_York", date(2014, 3, 9), 23),
        ("America/New_York", date(2014, 11, 2), 25),
    ],
)
def test_a_day_has_the_hours_that_its_clock_shows(zone, day, count):
    assert len(list(hours_of_day(zone, day))) == count


def test_hours_around_changes_of_the_clock_follow_each_other_in_utc():
    changes = ("Europe/Berlin", date(2024, 3, 31), 1), ("Europe/Berlin", date(2024, 10, 27), 2)
    found = [list(hours_of_day(zone, day))[first : first + 3] for zone, day, first in changes]
    spring, autumn = datetime(2024, 3, 31), datetime(2024, 10, 27)
    assert found == [
        [
            (spring.replace(hour=1), 1, clock_hour("2024-03-31T00:00")),
            (spring.replace(hour=3), 1, clock_hour("2024-03-31T01:00")),
            (spring.replace(hour=4), 1, clock_hour("2024-03-31T02:00")),
        ],
        [
            (autumn.replace(hour=2), 1, clock_hour("2024-10-27T00:00")),
            (autumn.replace(hour=2), 2, clock_hour("2024-10-27T01:00")),
            (autumn.replace(hour=3), 1, clock_hour("2024-10-27T02:00")),
        ],
    ]


def test_hours_of_several_zones_and_days_are_listed_together():
    day = date(2024, 1, 1)
    found = hours_frame([None, "Asia/Seoul"], [day, date(2024, 1, 2)])
    assert (found.height, found.schema) == (4 * 24, HOURS)
    midnight = found.filter(pl.col("hour_start") == datetime(2024, 1, 1))
    expected = pl.DataFrame(
        [
            (None, day, datetime(2024, 1, 1), 1, clock_hour("2024-01-01T00:00")),
            ("Asia/Seoul", day, datetime(2024, 1, 1), 1, clock_hour("2023-12-31T15:00")),
        ],
        HOURS,
        orient="row",
    )
    assert_frame_equal(midnight, expected)


def test_holidays_are_asked_for_by_country_and_year():
    asked = []

    def holidays_of(country, years):
        asked.append((country, list(years)))
        return [date(2024, 1, 1), date(2024, 1, 1)] if country == "DE" else []

    expected = pl.DataFrame({"country": ["DE"], "event_date": [date(2024, 1, 1)]})
    assert_frame_equal(holiday_frame(["DE", "KR"], [2024], holidays_of), expected)
    assert asked == [("DE", [2024]), ("KR", [2024])]
