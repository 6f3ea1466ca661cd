"""The hours that a clock shows on civil days, and the public holidays among them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import polars as pl

HOURS = pl.Schema(
    [
        ("zone", pl.String),
        ("event_date", pl.Date),
        ("hour_start", pl.Datetime("us")),
        ("occurrence", pl.Int32),
        ("clock_hour", pl.Int64),
    ]
)
EPOCH = datetime(1970, 1, 1)
ONE_HOUR = timedelta(hours=1)

HolidaysOf = Callable[[str, Collection[int]], Collection[date]]
"""Returns the public holidays of a country, ISO 3166, in some years."""


def hours_frame(zones: Collection[str | None], days: Collection[date]) -> pl.DataFrame:
    """List the hours of each zone's days; `clock_hour` counts them: of UTC, or of a clock that has no zone."""
    rows = [(zone, day, *hour) for zone in zones for day in days for hour in hours_of_day(zone, day)]
    return pl.DataFrame(rows, HOURS, orient="row")


def hours_of_day(zone_name: str | None, day: date) -> Iterator[tuple[datetime, int, int]]:
    """Yield hour_start, occurrence and clock_hour of each hour that a clock shows on a civil day.

    They are 24, or 23 and 25 on the days on which the zone's clock is changed.
    """
    midnight = datetime.combine(day, time())
    zone = ZoneInfo(zone_name) if zone_name else None
    for number in range(24):
        start = midnight + number * ONE_HOUR
        offsets = [timedelta()] if zone is None else offsets_at(start, zone)
        for occurrence, offset in enumerate(offsets, start=1):
            yield start, occurrence, (start - offset - EPOCH) // ONE_HOUR


def offsets_at(local: datetime, zone: ZoneInfo) -> list[timedelta]:
    """Return the offsets from UTC that a local time has: none if the clock skips it, two if the clock repeats it."""
    first, second = (local.replace(tzinfo=zone, fold=fold).utcoffset() or timedelta() for fold in (0, 1))
    if first < second:
        return []
    return [first] if first == second else [first, second]


def holiday_frame(countries: Collection[str], years: Collection[int], holidays_of: HolidaysOf) -> pl.DataFrame:
    """List the public holidays of countries in some years: country and event_date."""
    rows = [(country, day) for country in countries for day in {*holidays_of(country, years)}]
    return pl.DataFrame(rows, {"country": pl.String, "event_date": pl.Date}, orient="row")
