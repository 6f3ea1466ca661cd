"""Rows that a write leaves as they were, although Iceberg replaces the partition that they lie in.

Two kinds: the other days of a month, in tables by month; and parts that failed their audit, which keep the rows that
`main` has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import reduce
from operator import or_

import polars as pl

from lakehouse.lake.scans import PinnedTable, pin_current
from lakehouse.slices import UNDATED, Slice, days_of, in_order, names_of
from spark_jobs.engine.files import DataFile, Target, write_rows
from spark_jobs.engine.stage import Branch, HeldBack, first_of, in_months, month_number, stage_files
from spark_jobs.engine.tasks import map_in_tasks


def in_slices(column_name: str | None, slices: Iterable[Slice]) -> pl.Expr:
    """Return the condition that selects the rows of slices; all rows if the table is replaced whole.

    It is as plain as it can be, so that Iceberg understands it and files without such a row are not opened. It may be
    null for rows whose slice is null.
    """
    if column_name is None:
        return pl.lit(True)
    column, given = pl.col(column_name), tuple(slices)
    names = tuple(name for name in names_of(given) if name != UNDATED)
    parts = [column.is_in(values) for values in (days_of(given), names) if values]
    if UNDATED in given:
        parts.append(column.is_null())
    return reduce(or_, parts) if parts else column.is_in([])


def not_held(column_name: str, subject: str, held: HeldBack) -> pl.Expr:
    """Return the condition that leaves the parts out that are held back."""
    parts = [in_slices(column_name, [each]) & pl.col(subject).is_in(names) for each, names in held.items()]
    return ~reduce(or_, parts).fill_null(False) if parts else pl.lit(True)


def staged_rows(branch: Branch, slices: Sequence[Slice], held: HeldBack | None = None) -> pl.LazyFrame:
    """Return the rows that a branch has of some slices, without the parts that are held back."""
    table = branch.table
    rows = pin_current(branch.settings, table, branch.name).rows(in_slices(table.replaced_by, slices))
    return rows.filter(not_held(str(table.replaced_by), table.subject, held)) if held else rows


def replace_slices(branch: Branch, files: Iterable[DataFile], slices: Sequence[Slice]) -> Sequence[Slice]:
    """Replace slices on the branch by data files; in a table by month, the other days of the months stay."""
    kept: list[DataFile] = []
    if branch.table.is_by_month:
        pinned, target = pin_current(branch.settings, branch.table, branch.name), branch.target
        kept = write_by_partition(branch, slices, lambda part: keep_other_days(pinned, target, part, slices))
    return stage_files(branch, [*files, *kept], slices, replaces=True)


def stage_rows(branch: Branch, rows: pl.DataFrame, slices: Sequence[Slice]) -> Sequence[Slice]:
    """Replace slices on the branch by a few rows, which the driver writes by itself, without a Spark task."""
    table, target = branch.table, branch.target
    kept: Sequence[DataFile] = ()
    if table.is_by_month:
        pinned = pin_current(branch.settings, table, branch.name)
        kept = keep_other_days(pinned, target, slices, slices)
    files = write_rows(target, rows.sort(table.row_order, maintain_order=True), "rows")
    return stage_files(branch, [*files, *kept], slices, replaces=True)


def keep_other_days(
    pinned: PinnedTable, target: Target, part: Sequence[Slice], slices: Sequence[Slice]
) -> Sequence[DataFile]:
    """Write the rows of some months again that are not of the slices."""
    table = target.table
    months = in_months(pl.col(str(table.replaced_by)), part)
    rows = (
        pinned.rows(months & ~in_slices(table.replaced_by, slices).fill_null(False))
        .select(table.column_names)
        .collect()
    )
    return write_rows(target, rows.sort(table.row_order, maintain_order=True), "kept")


def hold_back(branch: Branch, held: HeldBack) -> None:
    """Put the rows that `main` has of some parts in place of what the run staged of them."""
    staged = pin_current(branch.settings, branch.table, branch.name)
    main = pin_current(branch.settings, branch.table)
    target, slices = branch.target, in_order(held)
    files = write_by_partition(branch, slices, lambda part: put_back(staged, main, target, part, held))
    stage_files(branch, files, slices, replaces=True, held=held)


def put_back(
    staged: PinnedTable, main: PinnedTable, target: Target, part: Sequence[Slice], held: HeldBack
) -> Sequence[DataFile]:
    """Write the partitions of some slices: held-back parts as `main` has them, all other rows as they were staged."""
    table = target.table
    replaced = (
        in_months(pl.col(str(table.replaced_by)), part) if table.is_by_month else in_slices(table.replaced_by, part)
    )
    is_held = ~not_held(str(table.replaced_by), table.subject, {each: held[each] for each in part})
    others = staged.rows(replaced & ~is_held).select(table.column_names)
    before = main.rows(is_held).select(table.column_names)
    rows = pl.concat([others, before]).collect()
    return write_rows(target, rows.sort(table.row_order, maintain_order=True), "held")


def write_by_partition(
    branch: Branch, slices: Sequence[Slice], write: Callable[[Sequence[Slice]], Sequence[DataFile]]
) -> list[DataFile]:
    """Have Spark tasks write the partitions that slices lie in, one after another each."""
    groups: dict[Slice, list[Slice]] = {}
    for each in slices:
        first = each if each == UNDATED or not branch.table.is_by_month else month_of(each)
        groups.setdefault(first, []).append(each)
    written = map_in_tasks(branch.spark.sparkContext, list(groups.values()), write)
    return [file for files in written for file in files]


def month_of(day: Slice) -> Slice:
    """Return the first day of a day's month."""
    return first_of(month_number(day)) if not isinstance(day, str) else day
