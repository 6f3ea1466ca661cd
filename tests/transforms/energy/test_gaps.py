"""Gaps: what becomes of intervals without power, by their length and by where they lie."""

from __future__ import annotations

from datetime import timedelta

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from transforms.energy.readings import clean_readings

SUMMER = {"zone": "Europe/Berlin", "utc_offset_min": 120, "interval_min": 30}


def marked(lines):
    """Minute after midnight, occurrence, status, power, minute at which it was known, and line."""
    start, known = pl.col("interval_start"), pl.col("available_at")
    midnight = start.dt.truncate("1d")
    return clean_readings(lines).rows.select(
        (start - midnight).dt.total_minutes().alias("minute"),
        "occurrence",
        "status",
        "active_power_kw",
        (known - midnight).dt.total_minutes().alias("known"),
        "_source_line",
    )


def frame(*rows):
    schema = {
        "minute": pl.Int64,
        "occurrence": pl.Int32,
        "status": pl.String,
        "active_power_kw": pl.Float64,
        "known": pl.Int64,
        "_source_line": pl.Int64,
    }
    return pl.DataFrame(rows, schema, orient="row")


def test_a_short_gap_is_interpolated_whether_its_lines_are_marked_or_not_there(line, bronze):
    expected = frame(
        (0, 1, "measured", 1.0, 1, 1),
        (1, 1, "interpolated", 2.0, 5, 2),
        (2, 1, "interpolated", 3.0, 5, None),
        (3, 1, "interpolated", 4.0, 5, None),
        (4, 1, "measured", 5.0, 5, 3),
    )
    assert_frame_equal(marked(bronze(line(1, 0, "1.0"), line(2, 1, None), line(3, 4, "5.0"))), expected)


def test_each_measure_is_interpolated_unless_its_line_has_it(line, bronze):
    rows = clean_readings(
        bronze(
            line(1, 0, "1.0", raw_voltage="230", raw_current="4", raw_sub_metering_1="1"),
            line(2, 1, None, raw_voltage="231", raw_sub_metering_1="7"),
            line(3, 2, "3.0", raw_voltage="240", raw_current=None, raw_sub_metering_1="3"),
        )
    ).rows
    names = ("active_power_kw", "voltage_v", "current_a", "sub_metering_1_wh", "sub_metering_2_wh")
    # Active power is between both, voltage and sub-meter stand on the line, current has no value after it
    assert rows.select(names).row(1) == (2.0, 231.0, None, 7.0, None)


def test_gaps_of_ten_minutes_are_filled_and_longer_ones_are_not(line, bronze):
    filled = marked(bronze(line(1, 0, "1.0"), line(2, 11, "1.0")))
    assert filled["status"].to_list() == ["measured", *["interpolated"] * 10, "measured"]
    left = marked(bronze(line(1, 0, "1.0"), line(2, 12, "1.0")))
    missing = [(minute, 1, "missing", None, None, None) for minute in range(1, 12)]
    expected = frame((0, 1, "measured", 1.0, 1, 1), *missing, (12, 1, "measured", 1.0, 13, 2))
    assert_frame_equal(left, expected)


@pytest.mark.parametrize("others", [{}, {"meter_id": "m.Y"}], ids=["day", "meter"])
def test_a_gap_at_the_edge_of_a_meters_day_stays_missing(line, bronze, others):
    day = [line(1, 1438, None), line(2, 1439, "1.0"), line(3, 1437, "1.0")]
    after = line(4, 1440, None, **others), line(5, 1441, "2.0", **others)
    last_is_missing = [line(1, 1438, "1.0"), line(2, 1439, None)]
    assert marked(bronze(*day, *after))["status"].to_list() == [
        "measured",
        "interpolated",
        "measured",
        "missing",
        "measured",
    ]
    assert marked(bronze(*last_is_missing, *after))["status"].to_list() == [
        "measured",
        "missing",
        "missing",
        "measured",
    ]


def test_no_rows_are_made_up_where_the_clock_is_changed(line, bronze):
    winter = SUMMER | {"utc_offset_min": 60}
    rows = marked(bronze(line(1, 90, "1.0", **SUMMER), line(2, 240, "2.0", **winter)))
    assert rows["minute"].to_list() == [90, 240]


def test_a_reading_missing_in_the_second_showing_of_an_hour_is_not_filled_from_the_readings_around_it(line, bronze):
    # By its civil time 02:00 lies right before 03:00; an hour passed before it and another one after it.
    hours = [(120, "1.0"), (120, None), (180, "3.0")]
    lines = [line(n, minute, power, interval_min=60) for n, (minute, power) in enumerate(hours, 1)]
    expected = frame(
        (120, 1, "measured", 1.0, 180, 1), (120, 2, "missing", None, None, 2), (180, 1, "measured", 3.0, 240, 3)
    )
    assert_frame_equal(marked(bronze(*lines)), expected)


def test_second_showings_of_an_hour_are_filled_from_each_other(line, bronze):
    first = [(120, "1.0"), (125, "3.0"), (130, "1.0"), (175, "3.0")]
    second = [(120, "5.0"), (125, None), (130, "7.0")]
    lines = [line(n, minute, power, interval_min=5) for n, (minute, power) in enumerate([*first, *second], 1)]
    rows = marked(bronze(*lines)).filter(pl.col("occurrence") == 2)
    expected = frame(
        (120, 2, "measured", 5.0, 125, 5), (125, 2, "interpolated", 6.0, 135, 6), (130, 2, "measured", 7.0, 135, 7)
    )
    assert_frame_equal(rows, expected)


def test_other_energy_is_what_the_publishers_formula_says(line, bronze):
    sub_meters = {"raw_sub_metering_1": "0.000", "raw_sub_metering_2": "1.000", "raw_sub_metering_3": "17.000"}
    lines = (
        line(1, 0, "4.216", **sub_meters),
        line(2, 60, "4.216", interval_min=15, **sub_meters),
        line(3, 120, "4.216", **(sub_meters | {"raw_sub_metering_2": None})),
    )
    rows = clean_readings(bronze(*lines)).rows.filter(pl.col("status") == "measured")
    assert rows["other_wh"].to_list() == [4.216 * 1000 / 60 - 18, 4.216 * 1000 / 4 - 18, None]


def test_measured_rows_of_a_day_without_gaps_are_its_lines(line, bronze):
    lines = [line(minute + 1, minute, "1.5") for minute in range(1440)]
    rows = clean_readings(bronze(*lines)).rows
    start = pl.Series([text["interval_start"] for text in lines], dtype=pl.Datetime("us"))
    assert rows["interval_start"].equals(start)
    assert rows["available_at"].equals(start + timedelta(minutes=1))
    assert set(rows["status"]) == {"measured"}
