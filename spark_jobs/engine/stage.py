"""Ways to put rows onto an audit branch: a Spark DataFrame, or data files that Spark tasks have written already."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import reduce
from operator import or_
from typing import Any

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.lake.catalog import DAY_KEYS, DAYS, RUN_ID, RUN_KEY
from lakehouse.slices import Unit, format_days
from lakehouse.tables import Table

REFERENCE_PAUSES_S = (0.1, 0.3, 1.0, 3.0)
"""Between attempts; the other commit is over in a fraction of a second."""

PARTITIONS_PER_DAY, MOST_PARTITIONS = 4, 128
"""A day's partition is chosen by hash: with one per day, some tasks would get three days and others none."""


@dataclass(frozen=True)
class DataFile:
    """A Parquet file in the table's folder that no snapshot names yet.

    `partition` is Iceberg's `column=value` path, empty where the table has no partitions.
    """

    location: str
    partition: str


@dataclass(frozen=True)
class Branch:
    """An audit branch of one table and what every snapshot on it says of its run."""

    spark: SparkSession
    table: Table
    name: str
    run_id: str
    run_key: str
    day_keys: Mapping[Unit, str]
    started_at: datetime
    """When the run began, UTC: what lies after it is not known yet."""

    def properties(self, days: Sequence[Unit]) -> dict[str, str]:
        """What a snapshot that replaces these days says of itself."""
        keys = ",".join(f"{day}={self.day_keys[day]}" for day in sorted(days))
        return {RUN_KEY: self.run_key, RUN_ID: self.run_id, DAYS: format_days(days), DAY_KEYS: keys}

    @property
    def writable_name(self) -> str:
        """What `writeTo`, DELETE and the like call the branch."""
        return f"{self.table.full_name}.branch_{self.name}"

    def read(self) -> DataFrame:
        """The table as the branch has it."""
        return self.spark.read.option("branch", self.name).table(self.table.full_name)

    def read_days(self, days: Iterable[Unit]) -> DataFrame:
        """The rows of the days that a write replaced; all rows of a table that is replaced whole."""
        return self.read().where(replaced(self.table, days))

    def java_table(self) -> Any:
        """Iceberg's own table object, loaded afresh."""
        return self.spark._jvm.org.apache.iceberg.spark.Spark3Util.loadIcebergTable(
            self.spark._jsparkSession, self.table.full_name
        )


def change_references(change: Callable[[], Any]) -> None:
    """Change the references of a table, again where another program's commit came in between.

    Iceberg repeats a commit of data by itself, but not one of references: it fails on any change of the metadata.
    """
    for pause_s in (*REFERENCE_PAUSES_S, None):
        try:
            change()
            return
        except (Py4JError, PySparkException) as error:
            if pause_s is None or "CommitFailedException" not in str(error):
                raise
            time.sleep(pause_s)


def replaced(table: Table, days: Iterable[Unit]) -> Any:
    """The condition that selects what a write of these days replaces."""
    return F.lit(True) if table.replaced_by is None else F.col(table.replaced_by).isin(sorted(days))


def distribute(frame: DataFrame, table: Table, days: Sequence[date]) -> DataFrame:
    """Lay rows out and sort them once for everything that follows: windows within a day, and one file per task and day.

    Many days are spread by day, so that each day becomes one file; few days by instrument, too, to use every core.
    """
    partitions = int(frame.sparkSession.conf.get("spark.sql.shuffle.partitions", "8"))
    day = str(table.replaced_by)
    if len(days) >= partitions:
        laid_out = frame.repartition(min(PARTITIONS_PER_DAY * len(days), MOST_PARTITIONS), day)
    else:
        laid_out = frame.repartition(day, table.sorted_by[0])
    return laid_out.sortWithinPartitions(*dict.fromkeys((day, *table.sorted_by, *table.primary_key)))


def stage_frame(branch: Branch, frame: DataFrame, days: Sequence[Unit], *, is_sorted: bool = False) -> Sequence[Unit]:
    """Replace the days on the branch by the frame's rows, also where it has none for a day.

    Iceberg replaces whole files: where those hold months, their other days are written again as they are. `is_sorted`
    says that the rows come sorted by day and in the table's order: Spark forgets that behind Python.
    """
    rows, condition = frame.select(*branch.table.column_names), replaced(branch.table, days)
    if branch.table.is_by_month:
        condition, others = whole_months(F.col(str(branch.table.replaced_by)), days), ~condition
        rows = rows.unionByName(branch.read().where(condition & others))
        rows = rows.repartition(F.trunc(str(branch.table.replaced_by), "month"))
    writer = rows.writeTo(branch.writable_name)
    if is_sorted and not branch.table.is_by_month:
        writer = writer.option("use-table-distribution-and-ordering", "false")
    for key, value in branch.properties(days).items():
        writer = writer.option(f"snapshot-property.{key}", value)
    writer.overwrite(condition)
    return days


def whole_months(day: Any, days: Sequence[date]) -> Any:
    """The condition that selects the months of the days; `day` is the column, of Spark or of Polars."""
    return reduce(or_, [(day >= first) & (day < end) for first, end in month_ranges(days)])


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


def stage_files(
    branch: Branch, files: Iterable[DataFile], days: Sequence[Unit], *, replaces: bool = False
) -> Sequence[Unit]:
    """Add data files to the branch in one commit, in place of the days' rows where it `replaces` them.

    Their metrics come from the Parquet footers.
    """
    table = branch.java_table()
    iceberg = branch.spark._jvm.org.apache.iceberg
    metrics_config = iceberg.MetricsConfig.forTable(table)
    if replaces:
        change = table.newOverwrite().toBranch(branch.name).overwriteByRowFilter(java_condition(branch, days))
        add = change.addFile
    else:
        change = table.newFastAppend().toBranch(branch.name)
        add = change.appendFile
    for key, value in branch.properties(days).items():
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
    return days


def java_condition(branch: Branch, days: Sequence[Unit]) -> Any:
    """The condition that selects what a write of these days replaces, or whole months, as Iceberg's API takes it."""
    jvm = branch.spark._jvm
    expressions = jvm.org.apache.iceberg.expressions.Expressions
    column = branch.table.replaced_by
    if branch.table.is_by_month:
        at_least, below = expressions.greaterThanOrEqual, expressions.lessThan
        ranges = [
            getattr(expressions, "and")(at_least(column, str(first)), below(column, str(end)))
            for first, end in month_ranges(days)
        ]
        return reduce(getattr(expressions, "or"), ranges)
    listed = jvm.java.util.ArrayList()
    for day in sorted(days):
        listed.add(str(day))
    return getattr(expressions, "in")(column, listed)


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
