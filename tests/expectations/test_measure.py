from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from expectations.batch import Batch
from expectations.measure import surplus_copies
from expectations.rules import Suite
from lakehouse.tables import Column, Table

KEYS = Table(
    layer="silver",
    name="keys",
    doc="Rows of a name and a number.",
    columns=(Column("name", "string", "A name."), Column("number", "bigint", "A number.")),
    primary_key=("name", "number"),
)
TIMES = Table(
    layer="silver",
    name="times",
    doc="Rows of a name, a time and a number.",
    columns=(
        Column("name", "string", "A name."),
        Column("moment", "timestamp_ntz", "A time."),
        Column("number", "int", "A number."),
    ),
    primary_key=("name", "moment", "number"),
)
LARGEST = 2**63 - 1


@pytest.mark.parametrize(
    ("numbers", "surplus"),
    [
        pytest.param([], 0, id="no rows"),
        pytest.param([0, 1, 63, 64, 65, 127, 128], 0, id="both sides of a word's edge"),
        pytest.param([-1, -64, -65, 0, LARGEST, -LARGEST - 1], 0, id="negative and largest numbers"),
        pytest.param([-1, 63], 0, id="equal bits of different words"),
        pytest.param([5, 5, 5, 69], 2, id="three copies are two too many"),
        pytest.param([LARGEST, LARGEST, -LARGEST, -LARGEST], 2, id="copies at the ends of the range"),
        pytest.param([None, 0], 0, id="no number is not zero"),
        pytest.param([None, None, 1], 1, id="no number twice is the same key twice"),
    ],
)
def test_surplus_copies_counts_rows_beyond_one_per_key(
    numbers: list[int | None], surplus: int, make_batch: Callable[..., Batch]
) -> None:
    rows: list[dict[str, Any]] = [{"name": "a", "number": number} for number in numbers]
    others: list[dict[str, Any]] = [{"name": "b", "number": number} for number in dict.fromkeys(numbers)]
    batch = make_batch(KEYS, rows + others)
    assert surplus_copies(Suite(KEYS, ()), batch, ("name", "number")) == surplus
    assert surplus_copies(Suite(KEYS, ()), batch, ("name",)) == max(len(rows) - 1, 0) + max(len(others) - 1, 0)


EPOCH = datetime(1970, 1, 1)


@pytest.mark.parametrize(
    ("minutes", "surplus"),
    [
        pytest.param([0, 1, 63, 64, 65], 0, id="both sides of a word's edge"),
        pytest.param([-1, 0, 1, -64, -65, -0.5, 0.5], 0, id="before 1970, and within a minute"),
        pytest.param([7, 7.25, 7.5, 7 + 1 / 60e6], 0, id="parts of one minute"),
        pytest.param([7, 7, -3.5, -3.5, -3.5], 3, id="copies on both sides of 1970"),
        pytest.param([None, None, 0], 1, id="no time twice is the same key twice"),
    ],
)
def test_surplus_copies_of_keys_with_a_time_are_counted_to_the_microsecond(
    minutes: list[float | None], surplus: int, make_batch: Callable[..., Batch]
) -> None:
    times = [None if minute is None else EPOCH + timedelta(minutes=minute) for minute in minutes]
    rows = [{"name": "a", "moment": time, "number": 1} for time in times]
    others = [
        {"name": name, "moment": time, "number": number} for time in {*times} for name, number in (("a", 2), ("b", 1))
    ]
    batch = make_batch(TIMES, rows + others)
    assert surplus_copies(Suite(TIMES, ()), batch, TIMES.primary_key) == surplus
