"""Slices: what a run replaces whole in a table, and how slices are written as text.

A slice is a day (a `date`: the event's UTC day, a delivery day, or a meter's civil day), the name of an image set, or
one of two constants: ALL, for a table that is replaced whole, and UNDATED, for the rows whose day is null, such as the
manifest's rows of image sets.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from typing import TypeAlias

from lakehouse.errors import BadInputError

Slice: TypeAlias = date | str

ONE_DAY = timedelta(days=1)
ALL = "*"
"""The one slice of a table that is replaced whole."""
UNDATED = "-"
"""The rows of a table of days whose day is null."""


def parse_day(text: str) -> date:
    """Read `2024-08-08`.

    Raises:
        BadInputError: the text is not such a day.
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


def days_of(slices: Iterable[Slice]) -> tuple[date, ...]:
    """Return the slices that are days, ascending, each once."""
    return tuple(sorted({each for each in slices if isinstance(each, date)}))


def names_of(slices: Iterable[Slice]) -> tuple[str, ...]:
    """Return the slices that are not days, ascending, each once."""
    return tuple(sorted({each for each in slices if isinstance(each, str)}))


def in_order(slices: Iterable[Slice]) -> tuple[Slice, ...]:
    """Return each slice once: days ascending, then names ascending."""
    given = tuple(slices)
    return (*days_of(given), *names_of(given))


def format_slices(slices: Iterable[Slice]) -> str:
    """Write days as ranges that include both ends, names as they are: `2024-08-08..2024-08-10,2024-08-12,mnist`."""
    given = tuple(slices)
    ranges: list[list[date]] = []
    for day in days_of(given):
        if ranges and day - ranges[-1][1] == ONE_DAY:
            ranges[-1][1] = day
        else:
            ranges.append([day, day])
    days = (str(first) if first == last else f"{first}..{last}" for first, last in ranges)
    return ",".join((*days, *names_of(given)))


def describe_slices(slices: Iterable[Slice]) -> str:
    """Name slices for a person; image sets stand for their deliveries, which have no day."""
    given = tuple(slices)
    if ALL in given:
        return "the whole table"
    named = format_slices(each for each in given if each != UNDATED)
    parts = (named, "deliveries without a day" if names_of(given) == (UNDATED,) else "")
    return ", ".join(part for part in parts if part)


def parse_slices(text: str) -> list[Slice]:
    """Read what `format_slices` wrote."""
    slices: list[Slice] = []
    for part in text.split(",") if text else []:
        if part in (ALL, UNDATED) or part[0].isalpha():
            slices.append(part)
            continue
        first, _, last = part.partition("..")
        ends = (date.fromisoformat(first).toordinal(), date.fromisoformat(last or first).toordinal())
        slices += [date.fromordinal(number) for number in range(ends[0], ends[1] + 1)]
    return slices
