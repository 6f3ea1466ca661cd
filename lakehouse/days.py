"""Whole days as text: half-open ranges from a command line, and the list of days in a snapshot's summary."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta

from lakehouse.errors import BadInputError

ONE_DAY = timedelta(days=1)
WHOLE_TABLE = (date.min,)
"""The "days" of a table that is replaced whole; no event ever has this one."""


def parse_day(text: str) -> date:
    """Read `2024-08-08`.

    Raises:
        BadInputError: the text is no such day.
    """
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise BadInputError(f"expected a day like 2024-08-08, found {text!r}") from None


def day_range(first: date, last_exclusive: date) -> list[date]:
    """Return the days of `[first, last_exclusive)`.

    Raises:
        BadInputError: the range holds no day.
    """
    if first >= last_exclusive:
        raise BadInputError(f"--from {first} --to {last_exclusive} holds no day; --to is the day after the last one")
    return [first + timedelta(days=number) for number in range((last_exclusive - first).days)]


def format_days(days: Iterable[date]) -> str:
    """Write days as ranges that include both ends: `2024-08-08..2024-08-10,2024-08-12`."""
    ranges: list[list[date]] = []
    for day in sorted(set(days)):
        if ranges and day - ranges[-1][1] == ONE_DAY:
            ranges[-1][1] = day
        else:
            ranges.append([day, day])
    return ",".join(str(first) if first == last else f"{first}..{last}" for first, last in ranges)


def describe_days(days: Iterable[date]) -> str:
    """Name what a run replaces, for a person."""
    named = tuple(days)
    return "the whole table" if named == WHOLE_TABLE else format_days(named)


def parse_days(text: str) -> list[date]:
    """Read what `format_days` wrote."""
    days: list[date] = []
    for part in text.split(",") if text else []:
        first, _, last = part.partition("..")
        ends = (date.fromisoformat(first).toordinal(), date.fromisoformat(last or first).toordinal())
        days += [date.fromordinal(number) for number in range(ends[0], ends[1] + 1)]
    return days
