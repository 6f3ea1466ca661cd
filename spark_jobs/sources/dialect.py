"""What a meter's file looks like, as somebody declared it.

A file finds its dialect by its path, and must begin with exactly the header that the dialect states. docs/dialects.md
explains the keys.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Literal
from zoneinfo import ZoneInfo, available_timezones

from pydantic import Field, field_validator, model_validator

from lakehouse.reference.declaration import ContradictionError, Declared
from lakehouse.reference.yaml_document import Place
from lakehouse.tables.energy import MEASURES
from spark_jobs.sources.civil_time import DateForm

UNITS: Mapping[str, Mapping[str, float]] = {
    "active_power": {"W": 1e-3, "kW": 1.0, "MW": 1e3},
    "reactive_power": {"var": 1e-3, "kvar": 1.0, "Mvar": 1e3},
    "voltage": {"V": 1.0},
    "current": {"A": 1.0},
    "sub_metering": {"Wh": 1.0, "kWh": 1e3},
}
"""Factors to kW, kvar, V, A and Wh."""
ENERGY_UNITS: Mapping[str, Mapping[str, float]] = {
    "active_power": {"Wh": 1e-3, "kWh": 1.0, "MWh": 1e3},
    "reactive_power": {"varh": 1e-3, "kvarh": 1.0, "Mvarh": 1e3},
}
"""Factors to kWh and kvarh of an interval, which become power by its length."""
PLACEHOLDER = re.compile(r"\{([a-z][a-z_]*)\}")
PATTERN_PARTS = re.compile(r"\*\*/|\*|\?|\{[a-z][a-z_]*\}|[^*?{]+|.")


class TimeForm(Declared):
    """One way in which a file writes a time, and on which days of a month it does."""

    form: str
    days: tuple[int, int] = (1, 31)

    @field_validator("form")
    @classmethod
    def _is_form(cls, text: str) -> str:
        DateForm(text)
        return text

    @field_validator("days")
    @classmethod
    def _is_range(cls, days: tuple[int, int]) -> tuple[int, int]:
        if not 1 <= days[0] <= days[1] <= 31:
            raise ValueError(f"expected days from 1 to 31, the first not after the last, found {list(days)}")
        return days


class Clock(Declared):
    """Where a line has its time, and what the time means."""

    fields: tuple[str, ...] = Field(min_length=1)
    forms: tuple[TimeForm, ...] = Field(min_length=1)
    marks: Literal["start", "end"] = "start"
    midnight: Literal["begins", "ends", "24:00"] = "begins"
    zone: str | None = None

    @field_validator("zone")
    @classmethod
    def _is_zone(cls, name: str | None) -> str | None:
        if name is not None and name not in available_timezones():
            raise ValueError(f"{name!r} is not an IANA time zone such as Europe/Paris")
        return name


class Measure(Declared):
    """Which field holds a measure, and in which unit."""

    field: str
    unit: str


class Dialect(Declared):
    """One kind of meter file. `{name}` in a path pattern may be used again in the meter's id and in the header."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    doc: str = ""
    paths: tuple[str, ...] = Field(min_length=1)
    meter_id: str = Field(pattern=r"^[A-Za-z0-9_{}-]+(\.[A-Za-z0-9_{}-]+)+$")
    country: str
    interval_min: int = Field(ge=1, le=60)
    header: str = Field(min_length=1)
    separator: Literal[",", ";", "\t", "|"]
    quote: Literal['"', "'"] | None = None
    decimal_mark: Literal[".", ","] = "."
    missing: tuple[str, ...] = ("",)
    time: Clock
    measures: dict[str, Measure]

    @field_validator("country")
    @classmethod
    def _is_country(cls, code: str) -> str:
        import holidays  # here, because the tasks that read files need no holidays and its import takes 0.3 s

        if code not in holidays.list_supported_countries():
            raise ValueError(f"{code!r} is not a country with known public holidays, e.g. FR")
        return code

    @field_validator("interval_min")
    @classmethod
    def _divides_the_hour(cls, minutes: int) -> int:
        if 60 % minutes:
            raise ValueError(f"{minutes} minutes do not divide the hour")
        return minutes

    @model_validator(mode="after")
    def _is_coherent(self) -> Dialect:
        found = [*self._faults_of_measures(), *self._faults_of_fields(), *self._faults_of_placeholders()]
        if found:
            raise ContradictionError(found)
        return self

    def _faults_of_measures(self) -> Iterator[tuple[Place, str]]:
        if "active_power" not in self.measures:
            yield ("measures",), "active_power is missing"
        for name, measure in self.measures.items():
            if name not in MEASURES:
                yield ("measures", name), f"unknown measure; there are {', '.join(MEASURES)}"
                continue
            try:
                factor_of(name, measure.unit, self.interval_min)
            except ValueError as error:
                yield ("measures", name, "unit"), str(error)
        units = {self.measures[name].unit for name in self.measures if name.startswith("sub_metering")}
        if len(units) > 1:
            yield ("measures",), f"expected one unit for all sub-meters, found {', '.join(sorted(units))}"

    def _faults_of_fields(self) -> Iterator[tuple[Place, str]]:
        places: dict[Place, str] = {
            ("time", "fields", position): field for position, field in enumerate(self.time.fields)
        } | {("measures", name, "field"): measure.field for name, measure in self.measures.items()}
        seen: set[str] = set()
        for place, field in places.items():
            if field not in self.fields:
                yield place, f"the header has no field {field!r}"
            elif field in seen:
                yield place, f"field {field!r} is used twice"
            seen.add(field)
        for field in sorted({field for field in self.fields if self.fields.count(field) > 1}):
            yield ("header",), f"field {field!r} is given twice"

    def _faults_of_placeholders(self) -> Iterator[tuple[Place, str]]:
        known = set.intersection(*(set(PLACEHOLDER.findall(path)) for path in self.paths))
        for key, text in (("meter_id", self.meter_id), ("header", self.header)):
            for name in PLACEHOLDER.findall(text):
                if name not in known:
                    yield (key,), f"{{{name}}} is not in every path pattern"

    @cached_property
    def fields(self) -> tuple[str, ...]:
        """The header's fields, without their quotes."""
        quote = self.quote or ""
        return tuple(text.removeprefix(quote).removesuffix(quote) for text in self.header.split(self.separator))

    @cached_property
    def digest(self) -> str:
        """What changes with anything that the dialect says, except its description."""
        return hashlib.sha256(self.model_copy(update={"doc": ""}).model_dump_json().encode()).hexdigest()[:16]

    def match(self, path: str) -> dict[str, str] | None:
        """Return the placeholders' values where a path is of this dialect."""
        for pattern in self.paths:
            if found := re.fullmatch(path_regex(pattern), path):
                return found.groupdict()
        return None

    def resolve(self, values: Mapping[str, str]) -> Dialect:
        """Return the dialect of one file: placeholders replaced by what its path says."""

        def fill(text: str) -> str:
            return PLACEHOLDER.sub(lambda found: values[found[1]], text)

        if not values:
            return self
        measures = {
            name: measure.model_copy(update={"field": fill(measure.field)}) for name, measure in self.measures.items()
        }
        time = self.time.model_copy(update={"fields": tuple(map(fill, self.time.fields))})
        return Dialect.model_construct(
            **{
                **dict(self),
                "meter_id": fill(self.meter_id),
                "header": fill(self.header),
                "measures": measures,
                "time": time,
            }
        )

    def factor(self, measure: str) -> float:
        """What the file's numbers are to be multiplied with; 1 for a measure that it has not."""
        known = self.measures.get(measure)
        return factor_of(measure, known.unit, self.interval_min) if known else 1.0

    @property
    def zone(self) -> ZoneInfo | None:
        """The zone of the meter's clock."""
        return ZoneInfo(self.time.zone) if self.time.zone else None


def factor_of(measure: str, unit: str, interval_min: int) -> float:
    """Return the factor of a unit.

    Raises:
        ValueError: the measure has no such unit.
    """
    kind = "sub_metering" if measure.startswith("sub_metering") else measure
    if unit in UNITS[kind]:
        return UNITS[kind][unit]
    if unit in ENERGY_UNITS.get(kind, {}):
        return ENERGY_UNITS[kind][unit] * 60 / interval_min
    raise ValueError(f"{measure} in {unit!r}: expected {', '.join([*UNITS[kind], *ENERGY_UNITS.get(kind, {})])}")


def path_regex(pattern: str) -> str:
    """Turn a pattern into a regular expression: ** for folders, * and ? within a name, {name} for a word."""
    parts = []
    for part in PATTERN_PARTS.findall(pattern):
        if part == "**/":
            parts.append("(?:.*/)?")
        elif part == "{part}":
            parts.append(r"(?P<part>\d{1,4})")
        elif placeholder := PLACEHOLDER.fullmatch(part):
            parts.append(f"(?P<{placeholder[1]}>[A-Za-z0-9-]+)")
        else:
            parts.append({"*": "[^/]*", "?": "[^/]"}.get(part, re.escape(part)))
    return "".join(parts)
