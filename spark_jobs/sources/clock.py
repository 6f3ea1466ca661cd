"""Times out of text: microseconds in UTC by integer arithmetic, null where a text is not a time.

Arrow's own conversion of a whole column is used where every text is plain; it stops at the first that is not, which is
why the plain ones are picked out first.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spark_jobs.sources.base import UnreadableFileError

TIMESTAMP = pa.timestamp("us", tz="UTC")
UNITS_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
UNIT_NAMES = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
READABLE_UNTIL = int(datetime(2200, 1, 1, tzinfo=UTC).timestamp())
"""Seconds. Epoch times from 1970 up to here are times; others are numbers of another kind."""
DAY_US = 86_400_000_000
HOUR_US = 3_600_000_000
LEAST_SHARE_NEAR = 0.01
"""A file with fewer of its times within a day of its own day has the wrong day or the wrong clock, not stray rows."""
DECIMAL_MS = r"^[0-9]{1,9}(\.[0-9]{1,15})?$"
ISO_8601 = r"^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}(:?\d{2})?)$"


def parse_day(text: str) -> date | None:
    """Read the day in a path, yyyy-mm-dd or yyyymmdd; None where the calendar has no such day."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def parse_integers(texts: pa.Array) -> pa.Array:
    """Read plain decimal integers up to 2^63; null where a text is anything else, a sign or a blank included."""
    plain = pc.fill_null(pc.ascii_is_decimal(texts), False)
    lengths = pc.binary_length(texts)
    # 19 digits below 8... fit into 63 bits; comparing the texts keeps longer numbers away from the conversion.
    fits = pc.or_(pc.less_equal(lengths, 18), pc.and_(pc.equal(lengths, 19), pc.less(texts, "8")))
    usable = pc.and_(plain, pc.fill_null(fits, False))
    if not pc.all(usable).as_py():
        texts = pc.if_else(usable, texts, pa.scalar(None, pa.string()))
    return pc.cast(texts, pa.int64())


def parse_epoch(integers: pa.Array, unit: str) -> pa.Array:
    """Turn integers since 1970 into UTC times; null where outside 1970 to 2199. Nanoseconds are cut."""
    per_second = UNITS_PER_SECOND[unit]
    usable = pc.and_(pc.greater_equal(integers, 0), pc.less(integers, READABLE_UNTIL * per_second))
    integers = pc.if_else(usable, integers, pa.scalar(None, pa.int64()))
    if per_second > 10**6:
        micros = pc.divide(integers, per_second // 10**6)
    else:
        micros = pc.multiply(integers, 10**6 // per_second)
    return pc.cast(micros, TIMESTAMP)


def parse_time_of_day(texts: pa.Array, day: date, zone: tzinfo) -> pa.Array:
    """Turn milliseconds since midnight on a wall clock, fractions included, into UTC times; null from 24:00 on.

    Where the clock is set back, its repeated hour is taken as the first one; where it is set forward, the hour that it
    leaves out is read with the offset before. Offsets change at full hours in every zone that a source here uses.
    """
    micros = _parse_milliseconds(texts)
    micros = pc.if_else(pc.less(micros, DAY_US), micros, pa.scalar(None, pa.int64()))
    midnight = datetime(day.year, day.month, day.day)
    offsets = np.array([_offset_us(midnight + timedelta(hours=hour), zone) for hour in range(24)])
    start = _epoch_us(midnight)
    if (offsets == offsets[0]).all():
        return pc.cast(pc.add(micros, int(start - offsets[0])), TIMESTAMP)
    hours = pc.divide(micros, HOUR_US)
    return pc.cast(pc.add(micros, pa.array(start - offsets).take(hours)), TIMESTAMP)


def parse_iso(texts: pa.Array) -> pa.Array:
    """Read ISO 8601 with a zone; null where a text is anything else. Nanoseconds are cut."""
    try:
        return pc.cast(texts, TIMESTAMP)
    except pa.ArrowInvalid:
        usable = pc.fill_null(pc.match_substring_regex(texts, ISO_8601), False)
        texts = pc.if_else(usable, texts, pa.scalar(None, pa.string()))
        texts = pc.replace_substring_regex(texts, r"(\.\d{6})\d+", r"\1")
    try:
        return pc.cast(texts, TIMESTAMP)
    except pa.ArrowInvalid:  # a 31 April somewhere: the rows of this block one by one
        return pa.array([_iso_or_none(text) for text in texts.to_pylist()], TIMESTAMP)


def days_since_epoch(times: pa.Array) -> pa.Array:
    """The UTC day of each time as date32."""
    return pc.cast(times, pa.date32())


class DayCheck:
    """Counts a file's times near its own day, and refuses the file that has almost none there."""

    def __init__(self, day: date) -> None:
        self.day = day
        self.rows = 0
        self.times = 0
        self.near = 0
        self.example: datetime | None = None

    def add(self, times: pa.Array) -> None:
        """Count the readable times of some rows."""
        self.rows += len(times)
        self.times += len(times) - times.null_count
        self.near += count_near(times, self.day)
        if self.example is None and times.null_count < len(times):
            self.example = pc.min(times).as_py()

    def finish(self) -> None:
        """Check the whole file; one without rows has no times to check.

        Raises:
            UnreadableFileError: no time could be read, or fewer than 1 % lie within a day of the file's day.
        """
        if not self.rows:
            return
        if not self.times:
            raise UnreadableFileError("no row has a readable time")
        if self.near < LEAST_SHARE_NEAR * self.times:
            raise UnreadableFileError(
                f"{self.near} of {self.times} times lie within a day of {self.day}, the file's own day; "
                f"one of the others is {self.example:%Y-%m-%d %H:%M:%S} UTC"
            )


class EpochColumn:
    """The epoch times of one file whose unit only the values tell; the unit is found once, for the whole file."""

    def __init__(self, day: date, units: Sequence[str]) -> None:
        self._units = units
        self._unit: str | None = None
        self._check = DayCheck(day)

    def parse(self, texts: pa.Array) -> pa.Array:
        """Read some rows' times.

        Raises:
            UnreadableFileError: there are numbers, but in no unit is any of them near the file's day.
        """
        integers = parse_integers(texts)
        if self._unit is None and integers.null_count < len(integers):
            self._unit = self._find_unit(integers)
        times = parse_epoch(integers, self._unit or self._units[0])
        self._check.add(times)
        return times

    def finish(self) -> None:
        """Check the whole file's times against its day, as `DayCheck.finish`."""
        self._check.finish()

    def _find_unit(self, integers: pa.Array) -> str:
        day = self._check.day
        near = {unit: count_near(parse_epoch(integers, unit), day) for unit in self._units}
        best = max(near, key=lambda unit: near[unit])
        if not near[best]:
            first = integers.drop_null()[0]
            readings = " and ".join(f"{_describe(first, unit)} as {UNIT_NAMES[unit]}" for unit in self._units)
            raise UnreadableFileError(f"no time lies within a day of {day}, the file's own day: {first} is {readings}")
        return best


def count_near(times: pa.Array, day: date) -> int:
    """Count the times that lie on the day before, on the day or on the day after."""
    start = pa.scalar(datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(days=1), TIMESTAMP)
    end = pa.scalar(start.as_py() + timedelta(days=3), TIMESTAMP)
    return int(pc.sum(pc.and_(pc.greater_equal(times, start), pc.less(times, end))).as_py() or 0)


def _describe(integer: pa.Scalar, unit: str) -> str:
    time = parse_epoch(pa.array([integer.as_py()], pa.int64()), unit)[0].as_py()
    return f"{time:%Y-%m-%d %H:%M:%S} UTC" if time else "no time from 1970 to 2199"


def _parse_milliseconds(texts: pa.Array) -> pa.Array:
    """Microseconds out of milliseconds with an optional fraction, which is cut behind the third digit."""
    if pc.all(pc.ascii_is_decimal(texts)).as_py() and (pc.max(pc.binary_length(texts)).as_py() or 0) <= 15:
        return pc.multiply(pc.cast(texts, pa.int64()), 1000)
    usable = pc.fill_null(pc.match_substring_regex(texts, DECIMAL_MS), False)
    exact = pc.cast(pc.if_else(usable, texts, pa.scalar(None, pa.string())), pa.decimal128(24, 15))
    cut = pc.cast(exact, pa.decimal128(12, 3), safe=False)
    return pc.cast(pc.multiply(cut, pa.scalar(1000, pa.decimal128(4, 0))), pa.int64())


def _offset_us(wall: datetime, zone: tzinfo) -> int:
    offset = zone.utcoffset(wall.replace(tzinfo=zone))
    if offset is None:
        raise ValueError(f"{zone} has no offset at {wall}")
    return offset // timedelta(microseconds=1)


def _epoch_us(wall: datetime) -> int:
    return (wall - datetime(1970, 1, 1)) // timedelta(microseconds=1)


def _iso_or_none(text: str | None) -> datetime | None:
    try:
        return datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
