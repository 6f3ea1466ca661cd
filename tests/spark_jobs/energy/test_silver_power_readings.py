"""Silver power readings: rejected lines, copies, the hour that is shown twice, and what gaps become."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest
from spark_jobs.energy.gaps import mark_gaps

from lakehouse.lake.schema import spark_schema
from lakehouse.tables.energy import BRONZE_POWER_READINGS
from spark_jobs.energy.silver_power_readings import judge

DAY = date(2024, 10, 27)
MIDNIGHT = datetime(2024, 10, 27)
NAMES = BRONZE_POWER_READINGS.digest_columns
LINE = spark_schema(BRONZE_POWER_READINGS, NAMES)


def line(number, time, power="1.0", interval=1, **others):
    """One bronze line; `time` is minutes after midnight, or None."""
    start = None if time is None else MIDNIGHT + timedelta(minutes=time)
    values = {
        "source": "power_readings",
        "meter_id": "m.X",
        "delivery_date": DAY,
        "event_date": DAY,
        "interval_start": start,
        "sequence": number,
        "dialect": "d",
        "interval_min": interval,
        "country": "DE",
        "is_skipped_time": False,
        "raw_time": str(start),
        "raw_active_power": power,
        "active_power_factor": 1.0,
        "reactive_power_factor": 1.0,
        "sub_metering_factor": 1.0,
        "_source_file": "f.csv",
        "_source_member": "",
        "_source_line": number,
        "_source_sha256": "5" * 64,
        **others,
    }
    return tuple(values.get(name) for name in NAMES)


def judged(spark, *lines):
    result = judge(spark.createDataFrame(list(lines), LINE))
    rows = result.rows.select("interval_start", "occurrence", "active_power_kw", "_source_line").collect()
    kept = sorted(((row[0] - MIDNIGHT).seconds // 60, row[1], row[2], row[3]) for row in rows)
    rejected = {row["_source_line"]: row["rule"] for row in result.rejected.collect()}
    duplicates = sorted(row["_source_line"] for row in result.duplicates.collect())
    assert len(kept) + len(rejected) + len(duplicates) == len(lines)
    return kept, rejected, duplicates


def test_lines_that_break_a_rule_are_rejected_with_its_name(spark):
    kept, rejected, duplicates = judged(
        spark,
        line(1, 0, "1.5"),
        line(2, 1, None),  # marked as missing: a reading without measures
        line(3, 2, "-2.5e-1"),  # a plant may feed in
        line(4, None, None, raw_line="14/1/20"),
        line(5, None, "1.0", raw_time="yesterday"),
        line(6, 3, "1,5"),
        line(7, 4, "NaN"),
        line(8, 5, " 1"),
        line(9, 6, "1d"),
        line(10, 7, "1.0", raw_voltage="-1"),
        line(11, 8, "1.0", raw_sub_metering_2="x"),
        line(12, 9, "1.0", is_skipped_time=True, zone="Europe/Berlin"),
        line(13, 11, "1.0", interval=2),
    )
    assert kept == [(0, 1, 1.5, 1), (1, 1, None, 2), (2, 1, -0.25, 3)]
    assert rejected == {
        4: "malformed_line",
        5: "unreadable_time",
        6: "unreadable_active_power",
        7: "unreadable_active_power",
        8: "unreadable_active_power",
        9: "unreadable_active_power",
        10: "negative_voltage",
        11: "unreadable_sub_metering_2",
        12: "skipped_time",
        13: "off_grid",
    }
    assert duplicates == []


def test_a_line_sent_twice_is_a_copy_and_a_corrected_one_is_superseded(spark):
    kept, rejected, duplicates = judged(
        spark,
        line(1, 0, "1.0"),
        line(2, 0, "1.0"),
        line(3, 1, "1.0"),
        line(4, 1, "2.0"),
        line(5, 2, None),
        line(6, 2, None),
        line(7, 3, "1.0"),
        line(8, 3, None),
    )
    assert kept == [(0, 1, 1.0, 1), (1, 1, 2.0, 4), (2, 1, None, 5), (3, 1, None, 8)]
    assert rejected == {3: "superseded", 7: "superseded"}
    assert duplicates == [2, 6]


def test_the_hour_that_a_zones_clock_shows_twice_has_two_readings_also_where_they_are_equal(spark):
    zoned = {"zone": "Europe/Berlin", "utc_offset_min": 120, "second_utc_offset_min": 60, "interval": 30}
    kept, rejected, duplicates = judged(
        spark,
        line(1, 120, "1.0", **zoned),
        line(2, 150, "2.0", **zoned),
        line(3, 120, "1.0", **zoned),
        line(4, 150, "3.0", **zoned),
        line(5, 150, "3.0", **zoned),  # a third time is a copy of the second
        line(6, 180, "4.0", **(zoned | {"utc_offset_min": 60, "second_utc_offset_min": None})),
    )
    assert kept == [(120, 1, 1.0, 1), (120, 2, 1.0, 3), (150, 1, 2.0, 2), (150, 2, 3.0, 4), (180, 1, 4.0, 6)]
    assert (rejected, duplicates) == ({}, [5])


@pytest.mark.parametrize(
    ("times", "powers", "occurrences"),
    [
        pytest.param((120, 150, 120, 150, 180), "12341", [1, 1, 2, 2, 1], id="the file steps back by the hour"),
        pytest.param((120, 150, 120, 150, 180), "12121", [1, 1, 1], id="an hour sent again is equal"),
        pytest.param((120, 150, 180, 120, 150), "12345", [1, 1, 1], id="another step back is a correction"),
    ],
)
def test_a_clock_without_a_zone_repeats_an_hour_where_the_file_steps_back_by_it(spark, times, powers, occurrences):
    lines = [line(n, time, power, interval=30) for n, (time, power) in enumerate(zip(times, powers, strict=True), 1)]
    kept, _, _ = judged(spark, *lines)
    assert [row[1] for row in sorted(kept, key=lambda row: row[3])] == occurrences


def marked(spark, *lines):
    rows = mark_gaps(judge(spark.createDataFrame(list(lines), LINE)).rows).collect()
    found = [
        (
            (row["interval_start"] - MIDNIGHT).seconds // 60,
            row["status"],
            row["active_power_kw"],
            row["available_at"] and (row["available_at"] - MIDNIGHT).seconds // 60,
            row["_source_line"],
        )
        for row in rows
    ]
    return sorted(found)


def test_a_short_gap_is_interpolated_whether_its_lines_are_marked_or_not_there(spark):
    assert marked(spark, line(1, 0, "1.0"), line(2, 1, None), line(3, 4, "5.0")) == [
        (0, "measured", 1.0, 1, 1),
        (1, "interpolated", 2.0, 5, 2),
        (2, "interpolated", 3.0, 5, None),
        (3, "interpolated", 4.0, 5, None),
        (4, "measured", 5.0, 5, 3),
    ]


def test_gaps_of_ten_minutes_are_filled_and_longer_ones_are_not(spark):
    filled = marked(spark, line(1, 0, "1.0"), line(2, 11, "1.0"))
    assert [row[1] for row in filled] == ["measured", *["interpolated"] * 10, "measured"]
    left = marked(spark, line(1, 0, "1.0"), line(2, 12, "1.0"))
    assert [row[1:4] for row in left[1:-1]] == [("missing", None, None)] * 11


def test_a_gap_at_the_edge_of_the_day_stays_missing(spark):
    rows = marked(spark, line(1, 0, None), line(2, 1, "1.0"), line(3, 2, None))
    assert [row[1] for row in rows] == ["missing", "measured", "missing"]


def test_no_rows_are_made_up_where_the_clock_is_changed(spark):
    summer = {"zone": "Europe/Berlin", "utc_offset_min": 120, "interval": 30}
    rows = marked(spark, line(1, 90, "1.0", **summer), line(2, 240, "2.0", **(summer | {"utc_offset_min": 60})))
    assert [row[0] for row in rows] == [90, 240]


def test_other_energy_is_what_the_publishers_formula_says(spark):
    one = line(1, 0, "4.216", raw_sub_metering_1="0.000", raw_sub_metering_2="1.000", raw_sub_metering_3="17.000")
    row = mark_gaps(judge(spark.createDataFrame([one], LINE)).rows).first()
    assert row["other_wh"] == pytest.approx(4.216 * 1000 / 60 - 18)
    assert (row["voltage_v"], row["sub_metering_3_wh"], row["country"]) == (None, 17.0, "DE")
