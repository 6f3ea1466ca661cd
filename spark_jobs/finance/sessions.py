"""When instruments trade on a UTC day, as frames and texts: the calendars of their venues, cut to the day."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

import polars as pl

from lakehouse.reference.instruments import describe_instrument, sessions
from lakehouse.slices import Slice, days_of
from spark_jobs.engine.job import Request
from transforms.finance.bars import SESSION_SCHEMA

LATER = datetime(9999, 12, 31, tzinfo=UTC)


def session_frame(instrument_ids: Collection[str], day: date, now: datetime) -> pl.DataFrame:
    """Say when instruments trade on a UTC day, until the minute of `now`; see `complete_minutes`."""
    parts = [
        (instrument_id, *part)
        for instrument_id in instrument_ids
        for part in session_parts(describe_instrument(instrument_id).calendar, day, now)
    ]
    return pl.DataFrame(parts, SESSION_SCHEMA, orient="row")


@lru_cache(maxsize=1024)  # most instruments share a calendar
def session_parts(calendar: str, day: date, now: datetime) -> tuple[tuple[int, int, int], ...]:
    """Cut the sessions that touch a UTC day to that day, and to what of it is over: start of the whole, begin, end."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    known_until = min(midnight + timedelta(days=1), now)
    parts = []
    for opened, closed in sessions(calendar, day, day):
        first_minute = whole_minutes(max(opened, midnight))
        end_minute = max(first_minute, whole_minutes(min(closed, known_until)))
        parts.append((whole_minutes(opened), first_minute, end_minute))
    return tuple(parts)


def whole_minutes(time: datetime) -> int:
    """Minutes since 1970-01-01 UTC."""
    return int(time.timestamp()) // 60


def describe_sessions(request: Request, subjects: Mapping[Slice, Sequence[str]]) -> dict[Slice, str]:
    """Return, for each day, a digest of its instruments' descriptions and of their sessions on it.

    A new version of a calendar changes the days on which it says something else, and no others.
    """
    return {day: _digest(day, tuple(subjects[day])) for day in days_of(subjects)}


def _digest(day: date, instrument_ids: tuple[str, ...]) -> str:
    found = [describe_instrument(instrument_id) for instrument_id in instrument_ids]
    said = [*map(repr, found), *(repr(session_parts(name, day, LATER)) for name in sorted({i.calendar for i in found}))]
    return "sessions " + hashlib.sha256("\n".join(said).encode()).hexdigest()[:16]
