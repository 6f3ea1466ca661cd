"""What the tests of the energy transforms share: bronze lines of 27 October 2024, and frames with declared types."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from lakehouse.lake.schema import arrow_schema
from lakehouse.tables import Table
from lakehouse.tables.energy import BRONZE_POWER_READINGS

MIDNIGHT = datetime(2024, 10, 27)

Line = dict[str, Any]


def declared_schema(table: Table) -> pl.Schema:
    """The declared columns except _ingested_at, as Polars has them."""
    return pl.Schema(pl.DataFrame(arrow_schema(table, table.digest_columns).empty_table()).schema)


def make_line(number: int, minute: int | None, power: str | None = "1.0", **others: Any) -> Line:
    """One bronze line; `minute` counts from MIDNIGHT, None for a time that can't be read."""
    start = None if minute is None else MIDNIGHT + timedelta(minutes=minute)
    day = (start or MIDNIGHT).date()
    return {
        "source": "power_readings",
        "meter_id": "m.X",
        "delivery_date": day,
        "delivery_part": "",
        "event_date": day,
        "interval_start": start,
        "sequence": number,
        "dialect": "d",
        "interval_min": 1,
        "country": "DE",
        "is_skipped_time": False,
        "raw_time": str(start),
        "raw_active_power": power,
        "active_power_factor": 1.0,
        "reactive_power_factor": 1.0,
        "sub_metering_factor": 1.0,
        "_source_file": "f.csv",
        "_source_member": "",
        "_source_line": number,
        "_source_sha256": "5" * 64,
        **others,
    }


@pytest.fixture(scope="session")
def line() -> Callable[..., Line]:
    """line(number, minute, power, **others) makes a line of one meter."""
    return make_line


@pytest.fixture(scope="session")
def bronze() -> Callable[..., pl.DataFrame]:
    """bronze(*lines) makes the frame that a transform reads."""

    def make(*lines: Mapping[str, Any]) -> pl.DataFrame:
        return pl.DataFrame(list(lines), declared_schema(BRONZE_POWER_READINGS))

    return make


@pytest.fixture(scope="session")
def schema_of() -> Callable[[Table], pl.Schema]:
    """schema_of(table) is what rows of a transform must have."""
    return declared_schema


@pytest.fixture(scope="session")
def readings() -> Callable[..., pl.DataFrame]:
    """readings(start, loads, **others) makes silver rows, measured unless the load is None, one after the other."""

    def make(start: datetime, loads: Sequence[float | None], interval_min: int = 60, **others: Any) -> pl.DataFrame:
        starts = [start + timedelta(minutes=interval_min * number) for number in range(len(loads))]
        rows = [
            {
                "meter_id": "m.X",
                "event_date": at.date(),
                "interval_start": at,
                "occurrence": 1,
                "status": "missing" if load is None else "measured",
                "available_at": None if load is None else at + timedelta(minutes=interval_min),
                "active_power_kw": load,
                "interval_min": interval_min,
                "zone": None,
                "country": "DE",
                **others,
            }
            for at, load in zip(starts, loads, strict=True)
        ]
        names = tuple(rows[0])
        return pl.DataFrame(rows, {name: kind for name, kind in declared_silver().items() if name in names})

    return make


def declared_silver() -> pl.Schema:
    """The types of silver.power_readings."""
    from lakehouse.tables.energy import SILVER_POWER_READINGS

    return declared_schema(SILVER_POWER_READINGS)


@pytest.fixture(scope="session")
def days_from() -> Callable[[date, int], list[date]]:
    """days_from(first, count) lists days."""
    return lambda first, count: [first + timedelta(days=number) for number in range(count)]
