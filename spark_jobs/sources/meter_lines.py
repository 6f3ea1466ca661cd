"""The lines of one meter file in bronze's columns, checked against the file's dialect as they are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.tables.energy import MEASURES
from spark_jobs.sources.base import Rows, UnreadableFileError
from spark_jobs.sources.civil_time import ONE_DAY, DateForm, Times, ZoneTimes, steps_by_months, zone_times
from spark_jobs.sources.dialect import Dialect
from spark_jobs.sources.lines import Lines

NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
SHOWN = 200
"""Characters of a line in a reason."""


@dataclass
class MeterLines:
    """Reads the lines of one file in one dialect."""

    dialect: Dialect
    has_whole_line: bool = False
    last_time: np.datetime64 | None = None
    steps_by_day: int = 0
    steps_by_month: int = 0
    forms: list[tuple[DateForm, tuple[int, int]]] = field(init=False)

    def __post_init__(self) -> None:
        self.forms = [(DateForm(form.form), form.days) for form in self.dialect.time.forms]

    def check_header(self, fields: Sequence[str]) -> tuple[tuple[str, ...], bool]:
        """Take the first line of a member for the header that it must be."""
        found = self.dialect.separator.join(fields)
        if found != self.dialect.header:
            raise UnreadableFileError(f"line 1: expected {self.dialect.header!r}, found {found[:SHOWN]!r}")
        return self.dialect.fields, True

    def rows(self, lines: Lines) -> Rows:
        """Turn lines into bronze's columns."""
        dialect = self.dialect
        texts = pc.binary_join_element_wise(*(lines.fields[name] for name in dialect.time.fields), " ")
        times = self.parse_times(texts, lines)
        raw = {f"raw_{name}": self.measure(name, lines) for name in MEASURES if name in dialect.measures}
        self.check_first_line(lines, texts, times, raw)
        starts, clock = self.intervals(times)
        count = len(texts)
        columns = {"raw_time": texts, **raw, **clock}
        columns["raw_line"] = lines.raw_line if lines.raw_line is not None else pa.nulls(count, pa.string())
        columns |= {
            name: pa.repeat(pa.scalar(value, kind), count)
            for name, value, kind in (
                ("dialect", dialect.name, pa.string()),
                ("interval_min", dialect.interval_min, pa.int32()),
                ("zone", dialect.time.zone, pa.string()),
                ("country", dialect.country, pa.string()),
                ("active_power_factor", dialect.factor("active_power"), pa.float64()),
                ("reactive_power_factor", dialect.factor("reactive_power"), pa.float64()),
                ("sub_metering_factor", self.sub_metering_factor, pa.float64()),
            )
        }
        return Rows(
            member=lines.member.name,
            member_index=lines.member.index,
            lines=lines.numbers,
            ts_event=_as_arrow(starts),
            subject=dialect.meter_id,
            raw=columns,
        )

    @property
    def sub_metering_factor(self) -> float:
        """The sub-meters' one factor."""
        return next((self.dialect.factor(name) for name in self.dialect.measures if name.startswith("sub")), 1.0)

    def parse_times(self, texts: pa.Array, lines: Lines) -> Times:
        """Read the times; NaT where a text is of none of the forms.

        Raises:
            UnreadableFileError: a text is of a form and of no calendar, or months go by at midnight.
        """
        times = np.full(len(texts), np.datetime64("NaT", "s"))
        for form, (first_day, last_day) in self.forms:
            found, matches, days = form.parse(texts, self.dialect.time.midnight == "24:00")
            matches &= (days >= first_day) & (days <= last_day) | np.isnat(found)
            impossible = matches & np.isnat(found)
            if impossible.any():
                place = int(np.flatnonzero(impossible)[0])
                raise UnreadableFileError(
                    f"line {lines.numbers[place]}: expected a time of the form {form.form!r}, found "
                    f"{texts[place].as_py()!r}, which no calendar has: the order of day and month may be another"
                )
            times = np.where(matches, found, times)
        by_day, by_month = steps_by_months(times, self.last_time)
        self.steps_by_day += by_day
        self.steps_by_month += by_month
        if self.steps_by_month and not self.steps_by_day:
            raise UnreadableFileError(
                f"line {lines.numbers[0]} and after: midnight comes and the month goes on by one, never the day: "
                f"expected times of the form {self.forms[0][0].form!r}, found day and month the other way round"
            )
        readable = times[~np.isnat(times)]
        self.last_time = readable[-1] if readable.size else self.last_time
        return times

    def measure(self, name: str, lines: Lines) -> pa.Array:
        """Return a measure's texts with a point for the decimal mark, null where one of the missing marks stands."""
        texts = lines.fields[self.dialect.measures[name].field]
        is_missing = pc.is_in(texts, pa.array(self.dialect.missing, pa.string()))
        if pc.any(is_missing).as_py():
            texts = pc.if_else(is_missing, pa.scalar(None, pa.string()), texts)
        if self.dialect.decimal_mark == ",":
            # A point would be a mark of thousands, which nothing declares: it must not pass for a decimal one.
            texts = pc.replace_substring(pc.replace_substring(texts, ".", "'"), ",", ".")
        return texts

    def check_first_line(self, lines: Lines, texts: pa.Array, times: Times, raw: dict[str, pa.Array]) -> None:
        """Hold the first whole line of the file against the dialect.

        Raises:
            UnreadableFileError: its time or one of its measures is not as declared.
        """
        is_whole = pc.is_valid(texts).to_numpy(zero_copy_only=False)
        if self.has_whole_line or not is_whole.any():
            return
        self.has_whole_line = True
        place = int(np.flatnonzero(is_whole)[0])
        where = f"line {lines.numbers[place]}"
        if np.isnat(times[place]):
            forms = " or ".join(repr(form.form) for form, _ in self.forms)
            raise UnreadableFileError(f"{where}: expected a time of the form {forms}, found {texts[place].as_py()!r}")
        for name, measure in self.dialect.measures.items():
            value = raw[f"raw_{name}"][place]
            if value.is_valid and not pc.match_substring_regex(value, NUMBER).as_py():
                raise UnreadableFileError(
                    f"{where}: expected a number with {self.dialect.decimal_mark!r} as its decimal mark in "
                    f"{measure.field}, found {lines.fields[measure.field][place].as_py()!r}"
                )

    def intervals(self, times: Times) -> tuple[Times, dict[str, pa.Array]]:
        """Return the starts of the readings' intervals, and what the zone's clock says of them."""
        rule, zone = self.dialect.time, self.dialect.zone
        starts = times
        if rule.midnight == "ends":
            is_midnight = times == times.astype("datetime64[D]")
            starts = np.where(is_midnight, times + ONE_DAY, times)
        if rule.marks == "end":
            starts = starts - np.timedelta64(self.dialect.interval_min, "m")
        readable = ~np.isnat(starts)
        nothing = pa.nulls(len(starts), pa.int32())
        if zone is None:
            flags = pa.repeat(pa.scalar(False), len(starts))
            return starts, {"utc_offset_min": nothing, "second_utc_offset_min": nothing, "is_skipped_time": flags}
        clock = zone_times(np.where(readable, starts, np.datetime64(0, "s")), zone)
        if rule.marks == "end" and (clock.skipped_s > 0).any():
            # An interval that ends as the clock jumps began before the jump.
            starts = starts - clock.skipped_s.astype("timedelta64[s]")
            clock = zone_times(np.where(readable, starts, np.datetime64(0, "s")), zone)
        return starts, _clock_columns(clock, readable)


def _clock_columns(clock: ZoneTimes, readable: np.ndarray) -> dict[str, pa.Array]:
    return {
        "utc_offset_min": pa.array(clock.first.astype(np.int32), mask=~readable),
        "second_utc_offset_min": pa.array(clock.second.astype(np.int32), mask=~(readable & clock.is_repeated)),
        "is_skipped_time": pa.array((clock.skipped_s > 0) & readable),
    }


def _as_arrow(times: Times) -> pa.Array:
    return pa.array(times.astype("datetime64[us]"), pa.timestamp("us"), from_pandas=True)
