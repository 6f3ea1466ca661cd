"""Ways to put rows onto an audit branch: data files that Spark tasks have written, or a Spark DataFrame.

Iceberg replaces whole partitions. If these hold rows that a run does not replace (the other days of a month, a part
that failed its audit), such rows are written again as they were: see kept.py.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import reduce
from operator import or_
from typing import Any

import polars as pl
from py4j.protocol import Py4JError
from pyiceberg.table import Table as IcebergTable
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_chain, wait_fixed

from lakehouse.config.settings import Settings
from lakehouse.lake.history import HELD_BACK, RUN_ID, RUN_KEY, SLICE_KEYS, SLICES, TRIED
from lakehouse.slices import UNDATED, Slice, days_of, format_slices, in_order, names_of
from lakehouse.tables import Table
from spark_jobs.engine.files import DataFile, Target, target_of

REFERENCE_PAUSES_S = (0.1, 0.3, 1.0, 3.0)
"""Between attempts; the other commit is over in a fraction of a second."""

HeldBack = Mapping[Slice, tuple[str, ...]]
"""Subjects by slice: the parts that failed their audit, of which `main` keeps the rows from before."""


@dataclass(frozen=True)
class Branch:
    """An audit branch of one table and what every snapshot on it says of its run."""

    spark: SparkSession
    settings: Settings
    table: Table
    base: IcebergTable
    """The table as it was loaded before the plan was made."""
    name: str
    run_id: str
    run_key: str
    slice_keys: Mapping[Slice, str]
    started_at: datetime
    """When the run began, UTC: what lies after it is not known yet."""

    @property
    def target(self) -> Target:
        """The table as tasks that write its files must know it."""
        return target_of(self.settings, self.table, self.base, self.run_id, self.started_at)

    def properties(self, slices: Sequence[Slice], held: HeldBack) -> dict[str, str]:
        """Return what a snapshot that replaces these slices says of itself; a held-back part leaves its slice due."""
        marks = {each: TRIED if each in held else "" for each in slices}
        keys = ",".join(f"{each}={marks[each]}{self.slice_keys[each]}" for each in in_order(slices))
        said = {RUN_KEY: self.run_key, RUN_ID: self.run_id, SLICES: format_slices(slices), SLICE_KEYS: keys}
        if held:
            said[HELD_BACK] = json.dumps({str(each): sorted(subjects) for each, subjects in held.items()})
        return said

    @property
    def writable_name(self) -> str:
        """What `writeTo`, DELETE and the like call the branch."""
        return f"{self.table.full_name}.branch_{self.name}"

    def read(self) -> DataFrame:
        """Return the table as the branch has it."""
        return self.spark.read.option("branch", self.name).table(self.table.full_name)

    def java_table(self) -> Any:
        """Return Iceberg's own table object, loaded afresh."""
        return self.spark._jvm.org.apache.iceberg.spark.Spark3Util.loadIcebergTable(
            self.spark._jsparkSession, self.table.full_name
        )


def change_references(change: Callable[[], Any]) -> None:
    """Change the references of a table, again if another program's commit came in between.

    Iceberg repeats a commit of data by itself, but not one of references: it fails on any change of the metadata.
    """
    Retrying(
        stop=stop_after_attempt(len(REFERENCE_PAUSES_S) + 1),
        wait=wait_chain(*map(wait_fixed, REFERENCE_PAUSES_S)),
        retry=retry_if_exception(is_commit_conflict),
        sleep=time.sleep,
        reraise=True,
    )(change)


def is_commit_conflict(error: BaseException) -> bool:
    """Return whether another program's commit to the table came first."""
    return isinstance(error, (Py4JError, PySparkException)) and "CommitFailedException" in str(error)


def stage_files(
    branch: Branch, files: Iterable[DataFile], slices: Sequence[Slice], *, replaces: bool, held: HeldBack | None = None
) -> Sequence[Slice]:
    """Add data files to the branch in one commit, in place of the slices' partitions if it `replaces` them.

    Their metrics come from the Parquet footers.
    """
    table = branch.java_table()
    iceberg = branch.spark._jvm.org.apache.iceberg
    metrics_config = iceberg.MetricsConfig.forTable(table)
    if replaces:
        change = table.newOverwrite().toBranch(branch.name).overwriteByRowFilter(java_condition(branch, slices))
        add = change.addFile
    else:
        change = table.newFastAppend().toBranch(branch.name)
        add = change.appendFile
    for key, value in branch.properties(slices, held or {}).items():
        change.set(key, value)
    for file in files:
        source = table.io().newInputFile(file.location)
        builder = iceberg.DataFiles.builder(table.spec()).withInputFile(source).withFormat("parquet")
        add(
            (builder.withPartitionPath(file.partition) if file.partition else builder)
            .withMetrics(iceberg.parquet.ParquetUtil.fileMetrics(source, metrics_config))
            .withSortOrder(table.sortOrder())
            .build()
        )
    change.commit()
    return slices


def stage_frame(branch: Branch, frame: DataFrame, slices: Sequence[Slice]) -> Sequence[Slice]:
    """Replace the slices on the branch by the frame's rows, also if it has none for a slice.

    In a table by month, the other days of the months are written again as they are.
    """
    rows, condition = frame.select(*branch.table.column_names), spark_condition(branch.table, slices)
    if branch.table.is_by_month:
        replaced, column = condition, F.col(str(branch.table.replaced_by))
        condition = in_months(column, slices)
        rows = rows.unionByName(branch.read().where(condition & ~F.coalesce(replaced, F.lit(False))))
        rows = rows.repartition(F.trunc(column, "month"))
    if branch.table.sorted_by:
        rows = rows.sortWithinPartitions(*dict.fromkeys((*partition_columns(branch.table), *branch.table.row_order)))
    writer = rows.writeTo(branch.writable_name)
    for key, value in branch.properties(slices, {}).items():
        writer = writer.option(f"snapshot-property.{key}", value)
    writer.overwrite(condition)
    return slices


def partition_columns(table: Table) -> tuple[str, ...]:
    """Return the columns that a table's partitions are made of."""
    return (str(table.replaced_by),) if table.is_by_month else table.partitioned_by


def spark_condition(table: Table, slices: Iterable[Slice]) -> Any:
    """Return Spark's condition that selects the rows of slices."""
    if table.replaced_by is None:
        return F.lit(True)
    column, given = F.col(table.replaced_by), tuple(slices)
    values = [*days_of(given), *(name for name in names_of(given) if name != UNDATED)]
    return column.isin(values) | column.isNull() if UNDATED in given else column.isin(values)


def in_months(column: Any, slices: Iterable[Slice]) -> Any:
    """Return the condition that selects the months that slices lie in; `column` is Spark's or Polars'."""
    given = tuple(slices)
    parts = [(column >= first) & (column < end) for first, end in month_ranges(days_of(given))]
    if UNDATED in given:
        parts.append(column.is_null() if isinstance(column, pl.Expr) else column.isNull())
    return reduce(or_, parts)


def month_ranges(days: Sequence[date]) -> list[tuple[date, date]]:
    """Return the first days of the months that days lie in, and of the months after them; those that adjoin as one."""
    months = {month_number(day) for day in days}
    begins = sorted(month for month in months if month - 1 not in months)
    ends = sorted(month + 1 for month in months if month + 1 not in months)
    return [(first_of(begin), first_of(end)) for begin, end in zip(begins, ends, strict=True)]


def month_number(day: date) -> int:
    """Count a day's month from January 1970, as Iceberg does."""
    return (day.year - 1970) * 12 + day.month - 1


def first_of(month: int) -> date:
    """Return the first day of such a month."""
    return date(1970 + month // 12, month % 12 + 1, 1)


def java_condition(branch: Branch, slices: Sequence[Slice]) -> Any:
    """Return the condition that selects the partitions of slices, as Iceberg's API takes it."""
    jvm = branch.spark._jvm
    expressions = jvm.org.apache.iceberg.expressions.Expressions
    column = branch.table.replaced_by
    if column is None:
        return expressions.alwaysTrue()
    parts = [expressions.isNull(column)] if UNDATED in slices else []
    if branch.table.is_by_month:
        at_least, below = expressions.greaterThanOrEqual, expressions.lessThan
        parts += [
            getattr(expressions, "and")(at_least(column, str(first)), below(column, str(end)))
            for first, end in month_ranges(days_of(slices))
        ]
    elif values := [str(each) for each in in_order(slices) if each != UNDATED]:
        listed = jvm.java.util.ArrayList()
        for value in values:
            listed.add(value)
        parts.append(getattr(expressions, "in")(column, listed))
    return reduce(getattr(expressions, "or"), parts)


def delete_rows(branch: Branch, columns: Sequence[str], keys: Sequence[Sequence[date | str]]) -> None:
    """Take the rows with these keys out of the branch; the first column is the table's partition."""
    if not keys:
        return
    listed = ", ".join(f"({', '.join(map(sql_literal, key))})" for key in keys)
    partitions = ", ".join(sorted({sql_literal(key[0]) for key in keys}))
    branch.spark.sql(
        f"DELETE FROM {branch.writable_name} WHERE {columns[0]} IN ({partitions}) "  # noqa: S608  # escaped literals
        f"AND ({', '.join(columns)}) IN ({listed})"
    )


def sql_literal(value: date | str) -> str:
    """Write a day or a text as Spark SQL reads it."""
    if isinstance(value, date):
        return f"DATE '{value}'"
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
