"""Times out of text, to the microsecond, whatever the text."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest

from spark_jobs.sources.base import UnreadableFileError
from spark_jobs.sources.clock import DayCheck, EpochColumn, parse_epoch, parse_integers, parse_iso, parse_time_of_day

DAY = date(2024, 8, 8)
NEW_YORK = ZoneInfo("America/New_York")


def texts(*values):
    return pa.array(values, pa.string())


def utc(*parts):
    return datetime(*parts, tzinfo=UTC)


def test_parse_integers_takes_plain_digits_alone():
    odd = (
        "",
        " 1",
        "-1",
        "+1",
        "1.0",
        "1e3",
        "0x1F",
        "1_0",
        "\N{ARABIC-INDIC DIGIT ONE}",
        "9223372036854775808",
        "10000000000000000000000",
        None,
    )
    assert parse_integers(texts("0", "007", "7999999999999999999", *odd)).to_pylist() == [
        *(0, 7, 7_999_999_999_999_999_999),
        *[None] * len(odd),
    ]


@pytest.mark.parametrize(
    ("unit", "integer", "time"),
    [
        ("s", 1_723_161_255, utc(2024, 8, 8, 23, 54, 15)),
        ("ms", 1_723_161_255_342, utc(2024, 8, 8, 23, 54, 15, 342_000)),
        ("us", 1_723_161_255_342_567, utc(2024, 8, 8, 23, 54, 15, 342_567)),
        pytest.param("ns", 1_723_161_255_342_567_999, utc(2024, 8, 8, 23, 54, 15, 342_567), id="ns are cut"),
        pytest.param("s", 7_258_118_399, utc(2199, 12, 31, 23, 59, 59), id="last readable"),
        pytest.param("s", 7_258_118_400, None, id="2200"),
        pytest.param("ms", 7_999_999_999_999_999_999, None, id="too large to multiply"),
        pytest.param("ms", None, None, id="no integer"),
    ],
)
def test_parse_epoch_is_null_outside_1970_to_2199(unit, integer, time):
    assert parse_epoch(pa.array([integer], pa.int64()), unit).to_pylist() == [time]


@pytest.mark.parametrize(
    ("text", "day", "zone", "time"),
    [
        pytest.param("0", DAY, UTC, utc(2024, 8, 8), id="midnight"),
        pytest.param("86399999", DAY, UTC, utc(2024, 8, 8, 23, 59, 59, 999_000), id="last millisecond"),
        pytest.param("86400000", DAY, UTC, None, id="24:00 is no time of day"),
        pytest.param("62.2662", DAY, UTC, utc(2024, 8, 8, 0, 0, 0, 62_266), id="fraction is cut, not rounded"),
        pytest.param("75558727.39129999", DAY, UTC, utc(2024, 8, 8, 20, 59, 18, 727_391), id="long fraction"),
        *[
            pytest.param(text, DAY, UTC, None, id=f"no time: {text!r}")
            for text in ("", "-1", "1e3", ".5", "5.", "1,5", "x", " 1", "12345678901234567890", None)
        ],
        pytest.param("34200000", date(2013, 1, 7), NEW_YORK, utc(2013, 1, 7, 14, 30), id="New York winter"),
        pytest.param("34200000", date(2013, 7, 8), NEW_YORK, utc(2013, 7, 8, 13, 30), id="New York summer"),
        # 2013-03-10: 02:00 becomes 03:00; 2013-11-03: 02:00 becomes 01:00
        pytest.param("7199999", date(2013, 3, 10), NEW_YORK, utc(2013, 3, 10, 6, 59, 59, 999_000), id="before spring"),
        pytest.param("9000000", date(2013, 3, 10), NEW_YORK, utc(2013, 3, 10, 7, 30), id="in the hour left out"),
        pytest.param("34200000", date(2013, 3, 10), NEW_YORK, utc(2013, 3, 10, 13, 30), id="after spring"),
        pytest.param("5400000", date(2013, 11, 3), NEW_YORK, utc(2013, 11, 3, 5, 30), id="in the repeated hour"),
        pytest.param("34200000", date(2013, 11, 3), NEW_YORK, utc(2013, 11, 3, 14, 30), id="after autumn"),
        pytest.param("0", DAY, timezone(timedelta(hours=-5)), utc(2024, 8, 8, 5), id="fixed UTC-05"),
    ],
)
def test_parse_time_of_day_reads_a_wall_clock(text, day, zone, time):
    assert parse_time_of_day(texts(text), day, zone).to_pylist() == [time]
    # Beside a fraction the column is read in another way.
    assert parse_time_of_day(texts(text, "1.5"), day, zone).to_pylist()[0] == time


NOON = utc(2024, 8, 8, 12)


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2024-08-08T12:00:00Z", NOON),
        ("2024-08-08 12:00:00+00:00", NOON),
        ("2024-08-08T14:00:00+0200", NOON),
        ("2024-08-08T06:30:00-05:30", NOON),
        ("2024-08-08T12:00:00.5Z", NOON + timedelta(milliseconds=500)),
        ("2024-08-08T12:00:00.123456999Z", NOON + timedelta(microseconds=123_456)),
        ("2024-08-08T12:00:00", None),  # no zone
        ("2024-08-08", None),
        ("2024-13-08T12:00:00Z", None),
        ("2024-02-31T12:00:00Z", None),
        ("2024-08-08T25:00:00Z", None),
        ("1723118400", None),
        ("", None),
        (None, None),
    ],
)
def test_parse_iso_needs_a_zone(text, time):
    for column in (texts(text), texts("2024-08-08T12:00:00Z", "x", text), texts("2024-04-31T12:00:00Z", text)):
        assert parse_iso(column).to_pylist()[-1] == time


def test_epoch_column_finds_the_unit_once_for_the_file():
    column = EpochColumn(DAY, ("ms", "us"))
    assert column.parse(texts("x", None)).to_pylist() == [None, None]  # nothing to tell the unit from yet
    assert column.parse(texts("1723161255342567", "1723161255342", "1723161255342567")).to_pylist() == [
        utc(2024, 8, 8, 23, 54, 15, 342_567),
        utc(1970, 1, 20, 22, 39, 21, 255_342),  # of the other unit: read in the file's, so silver rejects it
        utc(2024, 8, 8, 23, 54, 15, 342_567),
    ]
    assert column.parse(texts("1723161255342568")).to_pylist() == [utc(2024, 8, 8, 23, 54, 15, 342_568)]
    column.finish()


def test_epoch_column_refuses_a_file_of_another_day_with_both_readings():
    with pytest.raises(UnreadableFileError) as caught:
        EpochColumn(DAY, ("ms", "us")).parse(texts("1570752011620"))
    assert caught.value.reason == (
        "no time lies within a day of 2024-08-08, the file's own day: 1570752011620 is 2019-10-11 00:00:11 UTC as "
        "milliseconds and 1970-01-19 04:19:12 UTC as microseconds"
    )


@pytest.mark.parametrize(("near", "far", "is_refused"), [(1, 99, False), (1, 100, True), (0, 0, False)])
def test_day_check_refuses_a_file_with_almost_no_time_near_its_day(near, far, is_refused):
    check = DayCheck(DAY)
    check.add(pa.array([utc(2024, 8, 9, 23, 59)] * near + [utc(2024, 8, 10)] * far, pa.timestamp("us", "UTC")))
    if is_refused:
        with pytest.raises(UnreadableFileError, match="1 of 101 times lie within a day of 2024-08-08"):
            check.finish()
    else:
        check.finish()


def test_day_check_refuses_a_file_without_a_readable_time():
    check = DayCheck(DAY)
    check.add(pa.array([None], pa.timestamp("us", "UTC")))
    with pytest.raises(UnreadableFileError, match="no row has a readable time"):
        check.finish()
