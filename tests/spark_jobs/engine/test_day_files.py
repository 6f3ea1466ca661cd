"""What tasks share that write files: their errors arrive in words, their sorting is that of the columns."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random

import polars as pl
import pytest

from lakehouse.errors import BadInputError
from spark_jobs.engine.day_files import map_in_tasks
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


def test_error_in_words_that_a_task_raises_arrives_as_itself(spark):
    def work(number: int) -> int:
        if number == 2:
            raise BadInputError("expected another number, found 2")
        return number * 10

    assert map_in_tasks(spark.sparkContext, [1, 3, 5], work) == [10, 30, 50]
    with pytest.raises(BadInputError, match=r"^expected another number, found 2$"):
        map_in_tasks(spark.sparkContext, [1, 2, 3], work)
