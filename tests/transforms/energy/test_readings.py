"""Readings: texts become numbers in silver's units, lines that break a rule are rejected with its name and words."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from lakehouse.tables.energy import (
    BRONZE_POWER_READINGS,
    MEASURES,
    SILVER_POWER_READINGS,
    SILVER_POWER_READINGS_REJECTED,
)
from transforms.energy.readings import COLUMNS, clean_readings, parse_measures


def test_lines_that_break_a_rule_are_rejected_with_its_name_and_words(line, bronze):
    judged = clean_readings(
        bronze(
            line(1, 0, "1.5"),
            line(2, 1, None),  # marked as missing: a reading without measures
            line(3, 2, "-2.5e-1"),  # a plant may feed in
            line(4, None, None, raw_line="14/1/20", raw_time=None),
            line(5, None, "1.0", raw_time="yesterday"),
            line(6, 3, "1,5"),
            line(7, 10, "1.0", raw_voltage="-1"),
            line(8, 11, "1.0", raw_sub_metering_2="x"),
            line(9, 12, "1.0", is_skipped_time=True, zone="Europe/Berlin"),
            line(10, 13, "1.0", interval_min=2),
            line(11, 14, "x", raw_voltage="-1"),  # the first rule names it
        )
    )
    kept = judged.rows.filter(pl.col("_source_line").is_not_null()).select("_source_line", "active_power_kw")
    assert_frame_equal(kept, pl.DataFrame({"_source_line": [1, 2, 3], "active_power_kw": [1.5, 0.625, -0.25]}))
    expected = pl.DataFrame(
        [
            (4, "malformed_line", "the line does not have the fields of its dialect"),
            (5, "unreadable_time", "'yesterday' is no time of the dialect's form"),
            (6, "unreadable_active_power", "'1,5' is no number"),
            (7, "negative_voltage", "voltage '-1' is negative"),
            (8, "unreadable_sub_metering_2", "'x' is no number"),
            (9, "skipped_time", "'2024-10-27 00:12:00' is a time that the clock of Europe/Berlin leaves out"),
            (10, "off_grid", "'2024-10-27 00:13:00' is no multiple of the interval, min: 2"),
            (11, "unreadable_active_power", "'x' is no number"),
        ],
        ["_source_line", "rule", "reason"],
        orient="row",
    )
    assert_frame_equal(judged.rejected.select(expected.columns), expected)
    assert judged.duplicates.is_empty()


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1", 1.0),
        ("1.", 1.0),
        (".5", 0.5),
        ("+1", 1.0),
        ("-0", -0.0),
        ("1e5", 1e5),
        ("1E+2", 100.0),
        ("1e-400", 0.0),
        ("0.30000000000000004", 0.30000000000000004),
        (None, None),
        ("", None),
        (" 1", None),
        ("1 ", None),
        ("1d", None),
        ("0x10", None),
        ("1_000", None),
        ("1,5", None),
        ("1e", None),
        (".", None),
        ("--1", None),
        ("NaN", None),
        ("inf", None),
        ("-Infinity", None),
        ("1e999", None),  # more than a double holds
    ],
)
def test_a_measure_is_a_finite_number_with_a_point_and_without_blanks(line, bronze, text, number):
    lines = bronze(line(1, 0, text))
    expected = lines.with_columns(pl.lit(None, pl.Float64).alias(COLUMNS[name]) for name in MEASURES)
    assert_frame_equal(parse_measures(lines), expected.with_columns(active_power_kw=pl.lit(number, pl.Float64)))


def test_measures_are_multiplied_to_silvers_units(line, bronze):
    raw = {f"raw_{name}": "2" for name in MEASURES}
    factors = {"active_power_factor": 1e-3, "reactive_power_factor": 4.0, "sub_metering_factor": 1e3}
    found = clean_readings(bronze(line(1, 0, **(raw | factors)))).rows.select(*COLUMNS.values())
    assert found.row(0) == (0.002, 8.0, 2.0, 2.0, 2000.0, 2000.0, 2000.0)


def test_rows_have_the_declared_columns_also_without_a_line(line, bronze, schema_of):
    for lines in (bronze(), bronze(line(1, 0), line(2, 0), line(3, 1, "x"), line(4, 0, "2.0"))):
        judged = clean_readings(lines)
        assert judged.rows.schema == schema_of(SILVER_POWER_READINGS)
        assert judged.rejected.schema == schema_of(SILVER_POWER_READINGS_REJECTED)
        assert judged.duplicates.schema == schema_of(BRONZE_POWER_READINGS)


def dirty_lines(line, meter, day):
    """Two hours of readings every 10 minutes: a line sent twice, a corrected one, a gap, a missing and a bad value."""
    of_meter = {"meter_id": meter, "interval_min": 10, "event_date": day, "delivery_date": day}
    offset = (day - date(2024, 10, 27)).days * 1440
    powers = ["1.0", None, "x", "2.5", "-1.0", "0.7", "3.1", None, None, "1.1", "1.2", "1.3"]
    lines = [line(2 * n + 1, offset + 10 * n, power, **of_meter) for n, power in enumerate(powers) if n != 5]
    twice = line(2 * 3 + 2, offset + 30, "2.5", **of_meter)
    corrected = line(2 * 6 + 2, offset + 60, "3.3", **of_meter)
    return [*lines, twice, corrected]


def test_many_meters_and_days_at_once_equal_each_alone(line, bronze):
    slices = [(meter, date(2024, 10, day)) for meter in ("m.A", "m.B") for day in (26, 27, 28)]
    alone = [clean_readings(bronze(*dirty_lines(line, *each))) for each in slices]
    lines = [text for each in slices for text in dirty_lines(line, *each)]
    at_once = clean_readings(bronze(*lines).sample(fraction=1, shuffle=True, seed=1))
    assert_frame_equal(at_once.rows, pl.concat([judged.rows for judged in alone]))
    assert_frame_equal(at_once.rejected, pl.concat([judged.rejected for judged in alone]).sort("meter_id", "sequence"))
    assert_frame_equal(at_once.duplicates, pl.concat([judged.duplicates for judged in alone]))
    assert (alone[0].rows.height, alone[0].rejected.height, alone[0].duplicates.height) == (12, 2, 1)
