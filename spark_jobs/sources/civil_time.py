"""Civil times out of text, in forms that a dialect declares, and what a zone's clock does around them.

A form is written with d m yy yyyy H M S, where two letters stand for two digits: d/m/yyyy H:MM:SS reads 1/12/2006
9:05:00. Times are NumPy's datetime64[s] without a zone; NaT where a text is not of the form.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Times = npt.NDArray[np.datetime64]
Flags = npt.NDArray[np.bool_]

DIGITS = {
    "yyyy": r"(?P<year>\d{4})",
    "yy": r"(?P<year>\d{2})",
    "mm": r"(?P<month>\d{2})",
    "m": r"(?P<month>[1-9]\d?)",
    "dd": r"(?P<day>\d{2})",
    "d": r"(?P<day>[1-9]\d?)",
    "HH": r"(?P<hour>\d{2})",
    "H": r"(?P<hour>\d|[1-9]\d)",
    "MM": r"(?P<minute>\d{2})",
    "SS": r"(?P<second>\d{2})",
}
TOKEN = re.compile("|".join(DIGITS) + r"|[^A-Za-z]|.")
ONE_DAY = np.timedelta64(1, "D")


@dataclass(frozen=True)
class DateForm:
    """A declared form of times.

    Raises:
        ValueError: the form lacks a part, has one twice, or has a letter that stands for nothing.
    """

    form: str

    def __post_init__(self) -> None:
        parts = [token for token in TOKEN.findall(self.form) if token[0].isalpha()]
        unknown = [part for part in parts if part not in DIGITS]
        letters = "".join(part[0] for part in parts)
        if unknown or len(set(letters)) != len(letters) or not set("dmyHM") <= set(letters):
            raise ValueError(f"{self.form!r} is not a form of times such as d/m/yyyy HH:MM:SS")

    @cached_property
    def regex(self) -> str:
        """The form as a regular expression with a group per part."""
        tokens = TOKEN.findall(self.form)
        return "^" + "".join(DIGITS.get(token) or re.escape(token) for token in tokens) + "$"

    def parse(self, texts: pa.Array, has_24: bool = False) -> tuple[Times, Flags, npt.NDArray[np.int64]]:
        """Return the times, which texts are of the form (maybe of a day that no calendar has), and days of the month.

        24:00 is the end of its day where `has_24`, and no time elsewhere.
        """
        groups = pc.extract_regex(texts, pattern=self.regex)
        matches = pc.is_valid(groups).to_numpy(zero_copy_only=False)
        names = [field.name for field in groups.type]
        parts = {name: _integers(pc.struct_field(groups, name)) for name in names}
        year = parts["year"] + (2000 if "yyyy" not in self.form else 0)
        month, day, hour, minute = (parts[name] for name in ("month", "day", "hour", "minute"))
        second = parts.get("second", np.zeros(len(texts), dtype=np.int64))
        is_end = has_24 & (hour == 24) & (minute == 0) & (second == 0)
        possible = matches & (month >= 1) & (month <= 12) & (day >= 1)
        possible &= ((hour <= 23) | is_end) & (minute <= 59) & (second <= 59)
        months = (year - 1970) * 12 + np.where(possible, month, 1) - 1
        first = months.astype("datetime64[M]")
        days = first.astype("datetime64[D]") + (day - 1)
        possible &= days.astype("datetime64[M]") == first
        seconds = days.astype("datetime64[s]") + (hour * 3600 + minute * 60 + second)
        return np.where(possible, seconds, np.datetime64("NaT", "s")), matches, day


def _integers(texts: pa.Array) -> npt.NDArray[np.int64]:
    integers: npt.NDArray[np.int64] = pc.fill_null(pc.cast(texts, pa.int64()), 0).to_numpy(zero_copy_only=False)
    return integers


@dataclass(frozen=True)
class ZoneTimes:
    """What a zone's clock says of local times: offsets in minutes; `second` is NaN-like -1 where there is only one."""

    first: npt.NDArray[np.int64]
    second: npt.NDArray[np.int64]
    is_repeated: Flags
    skipped_s: npt.NDArray[np.int64]
    """Seconds that the clock jumps over where it leaves the time out, else 0."""


def zone_times(times: Times, zone: ZoneInfo) -> ZoneTimes:
    """Look local times up; each quarter of an hour once, since no zone changes its offset elsewhere."""
    quarters = times.astype("datetime64[s]").astype(np.int64) // 900
    known, places = np.unique(quarters, return_inverse=True)
    looked_up = np.array([_offsets(int(quarter), zone) for quarter in known], dtype=np.int64).reshape(-1, 3)[places]
    first, second, skipped = looked_up[:, 0], looked_up[:, 1], looked_up[:, 2]
    return ZoneTimes(first, second, first != second, skipped)


def _offsets(quarter: int, zone: ZoneInfo) -> tuple[int, int, int]:
    """Return the offsets in minutes of the first and the second time, and the seconds skipped."""
    local = datetime(1970, 1, 1) + timedelta(minutes=15 * quarter)
    first, second = (local.replace(tzinfo=zone, fold=fold).utcoffset() or timedelta() for fold in (0, 1))
    if second > first:  # the clock jumps over it: Python gives the offset before and the one after
        return _minutes(first), _minutes(first), int((second - first).total_seconds())
    return _minutes(first), _minutes(second), 0


def _minutes(offset: timedelta) -> int:
    return int(offset.total_seconds()) // 60


def steps_by_months(times: Times, before: np.datetime64 | None) -> tuple[int, int]:
    """Count midnights after which the day goes on by one, and those after which the month does and the day does not.

    The second kind alone is what 1/2/2007 looks like when it is read with day and month swapped.
    """
    days = times[~np.isnat(times)].astype("datetime64[D]")
    if before is not None:
        days = np.concatenate(([before.astype("datetime64[D]")], days))
    changes = np.flatnonzero(days[1:] != days[:-1])
    earlier, later = days[:-1][changes], days[1:][changes]
    by_day = int((later - earlier == ONE_DAY).sum())
    months = later.astype("datetime64[M]").astype(np.int64) - earlier.astype("datetime64[M]").astype(np.int64)
    same_day = (later - later.astype("datetime64[M]")) == (earlier - earlier.astype("datetime64[M]"))
    return by_day, int(((months == 1) & same_day).sum())
