from __future__ import annotations

from collections.abc import Callable
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
