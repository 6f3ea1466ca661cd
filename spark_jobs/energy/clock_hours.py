"""The hours of civil days as frames for Spark: what a clock shows on each day, and public holidays."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import holidays
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

HOURS = "zone string, event_date date, hour_start timestamp_ntz, occurrence int, clock_hour bigint"
HOLIDAYS = "country string, event_date date"
EPOCH = datetime(1970, 1, 1)
ONE_HOUR = timedelta(hours=1)


def hours_frame(spark: SparkSession, zones: Collection[str | None], days: Collection[date]) -> DataFrame:
    """List the hours of each zone's days; `clock_hour` counts them: of UTC, or of a clock that has no zone."""
    return _frame(spark, [hour for zone in zones for day in days for hour in hours_of_day(zone, day)], HOURS)


def hours_of_day(zone_name: str | None, day: date) -> Iterator[dict[str, Any]]:
    """Yield the hours that a clock shows on a civil day: 24, or 23 and 25 where the zone's clock is changed."""
    midnight = datetime.combine(day, time())
    zone = ZoneInfo(zone_name) if zone_name else None
    for number in range(24):
        start = midnight + number * ONE_HOUR
        offsets = [timedelta()] if zone is None else offsets_at(start, zone)
        for occurrence, offset in enumerate(offsets, start=1):
            yield {
                "zone": zone_name,
                "event_date": day,
                "hour_start": start,
                "occurrence": occurrence,
                "clock_hour": (start - offset - EPOCH) // ONE_HOUR,
            }


def offsets_at(local: datetime, zone: ZoneInfo) -> list[timedelta]:
    """Return the offsets from UTC that a local time has: none where the clock leaves it out, two where it repeats."""
    first, second = (local.replace(tzinfo=zone, fold=fold).utcoffset() or timedelta() for fold in (0, 1))
    if first < second:
        return []
    return [first] if first == second else [first, second]


def holiday_frame(spark: SparkSession, countries: Collection[str], days: Collection[date]) -> DataFrame:
    """List the public holidays of countries among the days."""
    years = {day.year for day in days}
    known = [(country, holidays.country_holidays(country, years=years)) for country in countries]
    rows = [{"country": country, "event_date": day} for country, off in known for day in sorted(days) if day in off]
    return _frame(spark, rows, HOLIDAYS)


def _frame(spark: SparkSession, rows: list[dict[str, Any]], schema: str) -> DataFrame:
    kinds = {"string": pa.string(), "date": pa.date32(), "timestamp_ntz": pa.timestamp("us"), "int": pa.int32()}
    fields = [part.split() for part in schema.split(", ")]
    arrow = pa.schema([(name, kinds.get(kind, pa.int64())) for name, kind in fields])
    return spark.createDataFrame(pa.Table.from_pylist(rows, arrow), schema)
