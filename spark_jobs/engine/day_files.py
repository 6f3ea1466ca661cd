"""What Spark tasks share that make a day's rows in Polars: their share of the rows, and writing data files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import TypeVar

import polars as pl
from pyspark import SparkContext

from lakehouse.errors import LakehouseError
from lakehouse.lake.schema import arrow_schema
from spark_jobs.engine.stage import DataFile
from spark_jobs.layers.convert import ROW_GROUP_ROWS, TASKS_PER_CORE, FileWriter, Target, deal, settle_worker

Item = TypeVar("Item")
Result = TypeVar("Result")


def rows_per_task(days: Iterable[Mapping[str, int]], cores: int, limit: int) -> int:
    """Say how many rows a task may have: at most the limit, and so many that every core has a task.

    `days` are rows by instrument. Those of an instrument's day are never split: where it has more than the limit, its
    task takes as much more memory.
    """
    return min(limit, sum(sum(rows.values()) for rows in days) // cores + 1)


def deal_rows(rows: Mapping[str, int], most: int) -> list[tuple[str, ...]]:
    """Deal a day's instruments out to tasks of at most about so many rows."""
    groups = deal(rows, min(len(rows), sum(rows.values()) // most + 1))
    return [tuple(sorted(group)) for group in groups]


def map_in_tasks(context: SparkContext, items: Sequence[Item], work: Callable[[Item], Result]) -> list[Result]:
    """Do the work for each item, one after another in some Spark tasks; the results come in the order of the items.

    Raises:
        LakehouseError: what a task raised; Spark would make a crash of it, with its own traceback.
    """
    if not items:
        return []

    def work_through(share: Iterator[Item]) -> Iterator[Result | LakehouseError]:
        settle_worker()
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


def write_rows(target: Target, day: date, rows: pl.DataFrame) -> tuple[DataFile, ...]:
    """Write a task's rows, made for a day, as one data file per partition of the table.

    Where that fails, orphans may be left, which no snapshot names.
    """
    table = target.table
    loaded = rows.with_columns(pl.lit(target.ingested_at).alias("_ingested_at")).select(table.column_names)
    writer = FileWriter(target, str(day))
    try:
        for values, part in loaded.partition_by(*table.partitioned_by, as_dict=True, maintain_order=True).items():
            partition = "/".join(f"{name}={value}" for name, value in zip(table.partitioned_by, values, strict=True))
            schema = arrow_schema(table)
            batch = part.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(schema)
            writer.writer(partition, schema).write_table(batch, row_group_size=ROW_GROUP_ROWS)
        return writer.close()
    except BaseException:
        writer.discard()
        raise
