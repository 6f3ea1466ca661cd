"""What a run replaces, as text: half-open ranges of days from a command line, and the list in a snapshot's summary.

Most tables are replaced by whole days, those of images by whole sets, which have a name instead of a day.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any, TypeAlias

from lakehouse.errors import BadInputError

Unit: TypeAlias = Any
"""What a run replaces whole: a day (`date`) or the name of an image set (`str`, beginning with a letter).

Not a union: a job knows which of the two its own are, and the machinery that it shares with others treats them alike.
"""

ONE_DAY = timedelta(days=1)
WHOLE_TABLE = (date.min,)
"""The "days" of a table that is replaced whole; no event ever has this one."""
NO_DAY = date(1970, 1, 1)
"""The day, in the manifest, of deliveries that have none: image sets, and files whose day could not be read."""


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


def format_days(days: Iterable[Unit]) -> str:
    """Write days as ranges that include both ends, names as they are: `2024-08-08..2024-08-10,2024-08-12,mnist`."""
    units = set(days)
    names = sorted(unit for unit in units if isinstance(unit, str))
    ranges: list[list[date]] = []
    for day in sorted(units.difference(names)):
        if ranges and day - ranges[-1][1] == ONE_DAY:
            ranges[-1][1] = day
        else:
            ranges.append([day, day])
    return ",".join([*(str(first) if first == last else f"{first}..{last}" for first, last in ranges), *names])


def describe_days(days: Iterable[Unit]) -> str:
    """Name what a run replaces, for a person; beside named sets, the manifest's NO_DAY says nothing."""
    named = tuple(days)
    if any(isinstance(unit, str) for unit in named):
        named = tuple(unit for unit in named if unit != NO_DAY)
    return "the whole table" if named == WHOLE_TABLE else format_days(named)


def parse_days(text: str) -> list[Unit]:
    """Read what `format_days` wrote."""
    days: list[Unit] = []
    for part in text.split(",") if text else []:
        if part[0].isalpha():
            days.append(part)
            continue
        first, _, last = part.partition("..")
        ends = (date.fromisoformat(first).toordinal(), date.fromisoformat(last or first).toordinal())
        days += [date.fromordinal(number) for number in range(ends[0], ends[1] + 1)]
    return days
