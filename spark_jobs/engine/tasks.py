"""Work in Spark tasks: how it is dealt out, what an executor's process needs first, and how errors come back."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar
from zipimport import zipimporter

import pyarrow as pa
from pyspark import SparkContext

from lakehouse.errors import LakehouseError

Item = TypeVar("Item")
Result = TypeVar("Result")

TASKS_PER_CORE = 4
"""Enough for an even load; more cost more starts than they balance."""


def map_in_tasks(context: SparkContext, items: Sequence[Item], work: Callable[[Item], Result]) -> list[Result]:
    """Do the work for each item, one after another in some Spark tasks; the results come in the order of the items.

    Raises:
        LakehouseError: what a task raised; Spark would make a crash of it, with its own traceback.
    """
    if not items:
        return []

    def work_through(share: Iterator[Item]) -> Iterator[Result | LakehouseError]:
        prepare_worker()
        for item in share:
            try:
                yield work(item)
            except LakehouseError as error:
                yield error

    tasks = min(len(items), TASKS_PER_CORE * context.defaultParallelism)
    done = context.parallelize(items, tasks).mapPartitions(work_through).collect()
    for result in done:
        if isinstance(result, LakehouseError):
            raise result
    return [result for result in done if not isinstance(result, LakehouseError)]


def deal(sizes: Mapping[str, int], groups: int) -> list[list[str]]:
    """Deal things out, largest first, each to the group that has the least so far."""
    dealt: list[list[str]] = [[] for _ in range(groups)]
    totals = [0] * groups
    for item in sorted(sizes, key=lambda key: (-sizes[key], key)):
        smallest = totals.index(min(totals))
        dealt[smallest].append(item)
        totals[smallest] += sizes[item] + 1
    return dealt


def deal_rows(rows: Mapping[str, int], most: int) -> list[tuple[str, ...]]:
    """Deal subjects out to tasks of at most about so many rows; `rows` are counted per subject."""
    groups = deal(rows, min(len(rows), sum(rows.values()) // most + 1))
    return [tuple(sorted(group)) for group in groups]


def rows_per_task(rows: Iterable[int], cores: int, limit: int) -> int:
    """Return how many rows a task may have: at most the limit, and so many that every core has a task."""
    return min(limit, sum(rows) // cores + 1)


def prepare_worker() -> None:
    """Make the Python process of a task one core's, and quick to begin its next task.

    Between tasks Spark collects garbage, among all objects that libraries have made, and has Python list anew what
    can be imported: in zip archives, of which Spark's own is one, thousands of names per folder. Each was 0.1 s a
    task. Finders of archives are made again where an import needs them.
    """
    pa.set_cpu_count(1)  # Arrow's own threads would take the others' cores
    gc.freeze()
    for path, finder in list(sys.path_importer_cache.items()):
        if isinstance(finder, zipimporter):
            del sys.path_importer_cache[path]
