"""Pieces: what one Spark task makes of a table, cut so that it fits a task's memory and gives every core some."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import and_
from typing import Any

import polars as pl

from lakehouse.lake.scans import PinnedTable
from lakehouse.slices import Slice, in_order
from lakehouse.tables import Table
from spark_jobs.engine.kept import in_slices
from spark_jobs.engine.tasks import deal_rows, rows_per_task

Counts = Mapping[Slice, Mapping[str, int]]
"""Rows to read by slice and subject."""


@dataclass(frozen=True)
class Piece:
    """Some subjects' rows of some slices; `conditions` select what is read, `given` is handed to the transform."""

    slices: tuple[Slice, ...]
    subjects: tuple[str, ...]
    conditions: tuple[pl.Expr, ...] = ()
    given: tuple[Any, ...] = ()

    @property
    def name(self) -> str:
        """A readable part of the names of its files."""
        return str(self.slices[0])


def cut_pieces(table: Table, counts: Counts, cores: int, limit: int) -> list[Piece]:
    """Cut slices into pieces of at most about `limit` rows each, and into as many as there are cores.

    Of a table partitioned by day, each day is a piece or several, by subject: a file per day. Of a table by month,
    which has few rows a day, consecutive days are a piece together. A subject's slice is never split: if it has more
    rows than the limit, its task takes as much more memory.
    """
    most = rows_per_task((sum(rows.values()) for rows in counts.values()), cores, limit)
    groups: list[list[Slice]] = []
    size = 0
    for each in in_order(counts):
        rows = sum(counts[each].values())
        if table.is_by_month and groups and size + rows <= most:
            groups[-1].append(each)
            size += rows
        else:
            groups.append([each])
            size = rows
    return [
        Piece(tuple(group), subjects)
        for group in groups
        for subjects in deal_rows(rows_of_subjects(counts, group), most)
    ]


def rows_of_subjects(counts: Counts, slices: Sequence[Slice]) -> dict[str, int]:
    """Add up the rows of each subject over some slices."""
    rows: dict[str, int] = {}
    for each in slices:
        for subject, number in counts[each].items():
            rows[subject] = rows.get(subject, 0) + number
    return rows


def read_piece(
    source: PinnedTable, made: Table, piece: Piece, columns: Sequence[str], slices: Sequence[Slice] | None = None
) -> pl.DataFrame:
    """Read the rows that a piece of a table is made from; `slices` are more than its own if the table looks back.

    The source has the slices and subjects of the table that is made in columns of the same names.
    """
    conditions = [in_slices(made.replaced_by, piece.slices if slices is None else slices), *piece.conditions]
    if piece.subjects:
        conditions.append(pl.col(made.subject).is_in(piece.subjects))
    return source.rows(reduce(and_, conditions)).select(columns).collect()


def count_rows(source: PinnedTable, made: Table, slices: Sequence[Slice]) -> Counts:
    """Count the rows that a table is made from, by slice and subject; a slice without rows has no subject."""
    by = (pl.col(str(made.replaced_by)).alias("slice"), pl.col(made.subject).alias("subject"))  # one column of images
    counted = source.rows(in_slices(made.replaced_by, slices)).group_by(by).len().collect(engine="streaming")
    counts: dict[Slice, dict[str, int]] = {each: {} for each in slices}
    for each, subject, rows in counted.rows():
        counts[each][subject] = rows
    return counts
