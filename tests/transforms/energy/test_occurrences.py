"""Lines with one time: hours that a clock shows twice, copies, and corrections."""

from __future__ import annotations

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from transforms.energy.readings import clean_readings

ZONED = {"zone": "Europe/Berlin", "utc_offset_min": 120, "second_utc_offset_min": 60, "interval_min": 30}


def kept(judged):
    """Line, minute after midnight, occurrence, offset and power of the rows that stand on a line."""
    start = pl.col("interval_start")
    return judged.rows.filter(pl.col("_source_line").is_not_null()).select(
        "_source_line",
        (start - start.dt.truncate("1d")).dt.total_minutes().alias("minute"),
        "occurrence",
        "utc_offset_min",
        "active_power_kw",
    )


def frame(*rows):
    schema = {
        "_source_line": pl.Int64,
        "minute": pl.Int64,
        "occurrence": pl.Int32,
        "utc_offset_min": pl.Int32,
        "active_power_kw": pl.Float64,
    }
    return pl.DataFrame(rows, schema, orient="row")


def test_a_line_sent_twice_is_a_copy_and_a_corrected_one_is_superseded(line, bronze):
    judged = clean_readings(
        bronze(
            line(1, 0, "1.0"),
            line(2, 0, "1.0"),
            line(3, 20, "1.0"),
            line(4, 20, "2.0"),
            line(5, 40, None),
            line(6, 40, None),
            line(7, 60, "1.0"),
            line(8, 60, None),  # taken back
            line(9, 80, "1.0"),
            line(10, 80, "2.0"),
            line(11, 80, "1.0"),  # the last one's values were there first
        )
    )
    expected = frame(
        (1, 0, 1, None, 1.0),
        (4, 20, 1, None, 2.0),
        (5, 40, 1, None, None),
        (8, 60, 1, None, None),
        (9, 80, 1, None, 1.0),
    )
    assert_frame_equal(kept(judged), expected)
    rejected = pl.DataFrame(
        {
            "_source_line": [3, 7, 10],
            "rule": ["superseded"] * 3,
            "reason": [
                f"a later line has the time '2024-10-27 0{time}:00' with other values"
                for time in ("0:20", "1:00", "1:20")
            ],
        }
    )
    assert_frame_equal(judged.rejected.select(rejected.columns), rejected)
    assert judged.duplicates["_source_line"].to_list() == [2, 6, 11]


def test_lines_are_compared_by_every_measure_and_a_missing_one_is_a_value(line, bronze):
    judged = clean_readings(
        bronze(
            line(1, 0, "1.0", raw_sub_metering_3=None),
            line(2, 0, "1.0", raw_sub_metering_3=None),
            line(3, 1, "1.0", raw_sub_metering_3=None),
            line(4, 1, "1.0", raw_sub_metering_3="0"),
        )
    )
    assert kept(judged)["_source_line"].to_list() == [1, 4]
    assert judged.rejected["_source_line"].to_list() == [3]
    assert judged.duplicates["_source_line"].to_list() == [2]


def test_the_hour_that_a_zones_clock_shows_twice_has_two_readings_also_if_they_are_equal(line, bronze):
    judged = clean_readings(
        bronze(
            line(1, 120, "1.0", **ZONED),
            line(2, 150, "2.0", **ZONED),
            line(3, 120, "1.0", **ZONED),
            line(4, 150, "3.0", **ZONED),
            line(5, 150, "3.0", **ZONED),  # a third time is a copy of the second
            line(6, 180, "4.0", **(ZONED | {"utc_offset_min": 60, "second_utc_offset_min": None})),
        )
    )
    expected = frame(
        (1, 120, 1, 120, 1.0), (3, 120, 2, 60, 1.0), (2, 150, 1, 120, 2.0), (4, 150, 2, 60, 3.0), (6, 180, 1, 60, 4.0)
    )
    assert_frame_equal(kept(judged), expected)
    assert judged.rejected.is_empty()
    assert judged.duplicates["_source_line"].to_list() == [5]


@pytest.mark.parametrize(
    ("times", "powers", "occurrences"),
    [
        pytest.param((120, 150, 120, 150, 180), "12341", [1, 1, 2, 2, 1], id="the file steps back by the hour"),
        pytest.param((120, 150, 120, 150, 180), "12121", [1, 1, 1], id="an hour sent again is equal"),
        pytest.param((120, 150, 180, 120, 150), "12345", [1, 1, 1], id="another step back is a correction"),
    ],
)
def test_a_clock_without_a_zone_repeats_an_hour_if_the_file_steps_back_by_it(line, bronze, times, powers, occurrences):
    numbered = enumerate(zip(times, powers, strict=True), 1)
    judged = clean_readings(bronze(*(line(n, time, power, interval_min=30) for n, (time, power) in numbered)))
    assert kept(judged).sort("_source_line")["occurrence"].to_list() == occurrences


def test_an_hour_that_one_meter_repeats_is_not_repeated_by_another(line, bronze):
    orders = {"m.X": (120, 150, 120, 150, 180), "m.Y": (120, 150, 180, 120, 150)}
    lines = [
        line(n, time, str(n), interval_min=30, meter_id=meter)
        for meter, times in orders.items()
        for n, time in enumerate(times)
    ]
    latest = clean_readings(bronze(*lines)).rows.group_by("meter_id").agg(pl.col("occurrence").max()).sort("meter_id")
    assert latest.rows() == [("m.X", 2), ("m.Y", 1)]
