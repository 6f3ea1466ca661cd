"""Sorting by a text and a time is sorting by the columns."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random

import polars as pl

from transforms.sorting import sort_rows

ORDER = ("instrument_id", "ts_event", "sequence")
SCHEMA = {"instrument_id": pl.String, "ts_event": pl.Datetime("us", "UTC"), "sequence": pl.Int64}


def test_sort_rows_puts_rows_into_the_order_of_the_columns():
    random = Random(3)
    noon = datetime(2024, 8, 8, 12, tzinfo=UTC)
    names = ["B.X", "B", "a.X", "Ä.X", "B.X2", ""]
    times = [noon + timedelta(microseconds=offset) for offset in (-(10**13), -1, 0, 0, 1, 86_400_000_000, 10**14)]
    rows = [(random.choice(names), random.choice(times), random.randrange(5)) for _ in range(500)]
    frame = pl.DataFrame(rows, SCHEMA, orient="row")
    assert sort_rows(frame, ORDER).equals(frame.sort(ORDER))
    assert sort_rows(frame.clear(), ORDER).equals(frame.clear())
    assert sort_rows(frame[:1], ORDER).equals(frame[:1])


def test_sort_rows_leaves_rows_that_lie_in_order_and_only_those():
    noon = datetime(2024, 8, 8, 12, tzinfo=UTC)
    later = noon + timedelta(seconds=1)
    rows = [("A", noon, 1), ("A", noon, 1), ("A", noon, 2), ("A", later, 0), ("B", noon, 0)]
    in_order = pl.DataFrame(rows, SCHEMA, orient="row")
    assert sort_rows(in_order, ORDER) is in_order
    for first, second in ((1, 2), (2, 3), (3, 4)):
        swapped = list(rows)
        swapped[first], swapped[second] = rows[second], rows[first]
        assert sort_rows(pl.DataFrame(swapped, SCHEMA, orient="row"), ORDER).equals(in_order)
    unnumbered = pl.DataFrame([("A", noon, 1), ("A", noon, None)], SCHEMA, orient="row")
    assert sort_rows(unnumbered, ORDER).equals(unnumbered.sort(ORDER))
