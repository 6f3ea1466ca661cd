"""What audits of energy's tables are told: nothing if all is there, and how much of which meter's day if not."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from types import SimpleNamespace

import polars as pl
import pytest

from lakehouse.lake.catalog import load
from lakehouse.lake.migration import require_tables
from lakehouse.lake.scans import pin_current
from lakehouse.lake.schema import arrow_schema
from lakehouse.tables.energy import GOLD_LOAD_HOURLY, SILVER_POWER_READINGS
from spark_jobs.energy import calendars
from spark_jobs.energy.calendars import describe_calendars, public_holidays
from spark_jobs.energy.load_hourly import compare_readings
from spark_jobs.energy.silver_power_readings import count_absent
from transforms.energy.load_features import hourly_loads

DAY = date(2024, 10, 26)
NEXT = date(2024, 10, 27)
BERLIN = {"zone": "Europe/Berlin", "utc_offset_min": 120}


def readings(day, hours, meter="m.X", **others):
    """Measured half hours of a meter's day; `hours` are those that have both of theirs."""
    starts = [
        datetime(day.year, day.month, day.day, hour) + timedelta(minutes=minute) for hour in hours for minute in (0, 30)
    ]
    return pl.DataFrame(
        [
            {
                "meter_id": meter,
                "event_date": day,
                "interval_start": start,
                "occurrence": 1,
                "status": "measured",
                "available_at": start + timedelta(minutes=30),
                "active_power_kw": 1.0,
                "interval_min": 30,
                "country": "DE",
                **others,
            }
            for start in starts
        ],
        pl.DataFrame(arrow_schema(SILVER_POWER_READINGS).empty_table()).schema,
    )


def publish(settings, table, rows):
    """Put rows in place of all rows of a table."""
    schema = arrow_schema(table)
    require_tables(settings, [table])
    missing = [name for name in schema.names if name not in rows.columns]
    rows = rows.with_columns(pl.lit(None).alias(name) for name in missing).select(schema.names)
    load(settings, table).overwrite(rows.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(schema))


@pytest.fixture
def compare(spark_free_settings):
    """compare(silver, gold, held) is what the audit of gold is told of both days."""

    def run(silver, gold, held=None):
        publish(spark_free_settings, SILVER_POWER_READINGS, silver)
        publish(spark_free_settings, GOLD_LOAD_HOURLY, gold)
        branch = SimpleNamespace(name="main", table=GOLD_LOAD_HOURLY, settings=spark_free_settings)
        inputs = SimpleNamespace(upstream=pin_current(spark_free_settings, SILVER_POWER_READINGS))
        return compare_readings(inputs, branch, [DAY, NEXT], held or {})

    return run


def test_intervals_without_a_row_are_counted_by_meter_and_day():
    whole = readings(DAY, range(24))
    holed = readings(DAY, [*range(9), *range(12, 24)], "m.Y")  # six half hours lack a row
    late = readings(NEXT, range(8, 24), "m.Y")  # begins late: there is nothing before a day's first line
    changed = readings(NEXT, range(24), "m.Z", **BERLIN)
    first = pl.col("interval_start") < datetime(2024, 10, 27, 3)
    changed = changed.filter(pl.col("interval_start").dt.hour() != 2).with_columns(
        utc_offset_min=pl.when(first).then(120).otherwise(60).cast(pl.Int32)
    )
    rows = pl.concat([whole, holed, late, changed]).lazy()
    assert count_absent(rows) == {"absent_intervals": {(DAY, "m.Y"): 6}}
    assert count_absent(whole.lazy()) == {"absent_intervals": {}}


def test_hours_of_the_clock_and_measured_hours_are_compared_by_meter_and_day(compare):
    silver = pl.concat([readings(DAY, range(24)), readings(NEXT, range(24), "m.Y", **BERLIN)])
    gold = hourly_loads(silver, [DAY, NEXT], public_holidays)
    assert gold.height == 24 + 25
    parts = {(DAY, "m.X"): 0, (NEXT, "m.Y"): 0}
    assert compare(silver, gold) == {"hour_gaps": parts, "measured_hours_difference": parts}

    without = gold.filter(pl.col("hour") != 4)
    lacking = {(DAY, "m.X"): 1, (NEXT, "m.Y"): 1}
    assert compare(silver, without) == {"hour_gaps": lacking, "measured_hours_difference": lacking}
    held = {DAY: ("m.X",)}
    lacking = {(NEXT, "m.Y"): 1}
    assert compare(silver, without, held) == {"hour_gaps": lacking, "measured_hours_difference": lacking}


def test_a_clock_without_a_zone_shows_again_what_its_readings_have_twice(compare):
    first = readings(NEXT, range(24))
    again = readings(NEXT, [2]).with_columns(occurrence=pl.lit(2, pl.Int32))
    silver = pl.concat([first, again])
    gold = hourly_loads(silver, [NEXT], public_holidays)
    assert gold.height == 25
    assert compare(silver, gold)["hour_gaps"] == {(NEXT, "m.X"): 0}
    assert compare(silver, gold.filter(pl.col("occurrence") == 1))["hour_gaps"] == {(NEXT, "m.X"): 1}


def test_hours_of_a_day_without_readings_are_too_many(compare):
    silver = readings(DAY, range(24))
    gold = hourly_loads(silver, [DAY], public_holidays)
    of_nobody = gold.with_columns(event_date=pl.lit(NEXT), hour_start=pl.col("hour_start") + timedelta(days=1))
    found = compare(silver, pl.concat([gold, of_nobody]))
    assert found["hour_gaps"] == {(DAY, "m.X"): 0, (NEXT, "m.X"): 24}
    assert found["measured_hours_difference"] == {(DAY, "m.X"): 0, (NEXT, "m.X"): 24}


def test_a_days_key_changes_with_its_own_holidays_and_clocks_alone(spark_free_settings, monkeypatch):
    silver = pl.concat([readings(DAY, [0]), readings(NEXT, [0], "m.Y", **BERLIN)])
    publish(spark_free_settings, SILVER_POWER_READINGS, silver)
    request = SimpleNamespace(settings=spark_free_settings)
    days = {DAY: ["m.X"], NEXT: ["m.Y"], date(2024, 10, 28): []}
    before = describe_calendars(request, days)
    assert before == describe_calendars(request, days)
    assert sorted(before) == [DAY, NEXT]

    monkeypatch.setattr(calendars, "public_holidays", lambda country, years: {NEXT} if country == "DE" else set())
    holiday = describe_calendars(request, days)
    assert (holiday[DAY] == before[DAY], holiday[NEXT] == before[NEXT]) == (True, False)
    monkeypatch.undo()

    digest = calendars.clock_digest
    monkeypatch.setattr(calendars, "clock_digest", lambda zone, day: "other" if zone else digest(zone, day))
    clock = describe_calendars(request, days)
    assert (clock[DAY] == before[DAY], clock[NEXT] == before[NEXT]) == (True, False)


def test_public_holidays_are_those_of_the_country():
    assert date(2007, 7, 14) in public_holidays("FR", [2007])
    assert date(2007, 7, 14) not in public_holidays("DE", [2007])
