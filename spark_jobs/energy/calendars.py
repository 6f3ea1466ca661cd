"""What a meter's rows take from calendars: the public holidays of its country and the hours that its clock shows."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from datetime import date, timedelta
from functools import lru_cache

import holidays
import polars as pl

from lakehouse.lake.scans import pin_current
from lakehouse.slices import Slice, days_of
from lakehouse.tables.energy import SILVER_POWER_READINGS
from spark_jobs.engine.job import Request
from transforms.energy.hours import hours_of_day
from transforms.energy.load_features import LOOK_BACK_DAYS


def public_holidays(country: str, years: Collection[int]) -> Collection[date]:
    """Return the public holidays of a country, ISO 3166, in some years."""
    return set(holidays.country_holidays(country, years=years))


def describe_calendars(request: Request, subjects: Mapping[Slice, Sequence[str]]) -> dict[Slice, str]:
    """Return, for each day, a digest of what calendars say of its meters.

    A new version of a calendar makes those days due again of which it says something else, and no others.
    """
    days = days_of(subjects)
    if not days:
        return {}
    of_days = pin_current(request.settings, SILVER_POWER_READINGS).rows(
        pl.col("event_date").is_between(days[0], days[-1])
    )
    seen = of_days.select("event_date", "zone", "country").unique().collect(engine="streaming")
    found: dict[date, set[str]] = {}
    years = range(days[0].year, days[-1].year + 1)
    off = {country: public_holidays(country, years) for country in seen["country"].unique()}
    for day, zone, country in seen.rows():
        found.setdefault(day, set()).add(f"{country} {day in off[country]} {describe_clock(zone, day)}")
    texts = {day: "\n".join(sorted(said)) for day, said in found.items()}
    return {day: f"calendars {hashlib.sha256(texts[day].encode()).hexdigest()[:16]}" for day in days if day in texts}


def describe_clock(zone: str | None, day: date) -> str:
    """Describe the hours that a clock shows on a day and on those that its features look back on."""
    return f"{zone} " + " ".join(
        clock_digest(zone, day - timedelta(days=number)) for number in range(LOOK_BACK_DAYS + 1)
    )


@lru_cache(maxsize=100_000)
def clock_digest(zone: str | None, day: date) -> str:
    """Return a digest of the hours that a clock shows on a day."""
    return hashlib.sha256(repr(list(hours_of_day(zone, day))).encode()).hexdigest()[:16]
