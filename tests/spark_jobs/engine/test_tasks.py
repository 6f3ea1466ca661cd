"""Work in Spark tasks: errors arrive in words, and how work is dealt out."""

from __future__ import annotations

import os

import polars as pl
import pytest

from lakehouse.errors import BadInputError
from spark_jobs.engine.tasks import deal, deal_rows, map_in_tasks, rows_per_task


def test_error_in_words_that_a_task_raises_arrives_as_itself(spark):
    def work(number: int) -> int:
        if number == 2:
            raise BadInputError("expected another number, found 2")
        return number * 10

    assert map_in_tasks(spark.sparkContext, [1, 3, 5], work) == [10, 30, 50]
    with pytest.raises(BadInputError, match=r"^expected another number, found 2$"):
        map_in_tasks(spark.sparkContext, [1, 2, 3], work)


def test_a_task_is_told_to_compute_in_one_thread(spark):
    def threads(_: int) -> tuple[int, str | None]:
        return pl.thread_pool_size(), os.environ.get("OPENBLAS_NUM_THREADS")

    assert map_in_tasks(spark.sparkContext, [1], threads) == [(1, "1")]


def test_deal_gives_the_largest_first_to_the_group_that_has_the_least():
    assert deal({"a": 5, "b": 9, "c": 4, "d": 5}, 2) == [["b", "c"], ["a", "d"]]
    assert deal({"b": 1, "a": 1}, 1) == [["a", "b"]]  # equal ones by name, whatever order they come in


def test_deal_rows_makes_tasks_of_at_most_about_so_many_rows():
    assert deal_rows({"a": 90, "b": 60, "c": 40}, 100) == [("a",), ("b", "c")]
    assert deal_rows({"a": 900}, 100) == [("a",)]  # a subject's rows are never split
    assert rows_per_task([1000, 1000], cores=4, limit=10_000) == 501
    assert rows_per_task([1000], cores=1, limit=100) == 100
