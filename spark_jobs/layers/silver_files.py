"""Silver tables with many rows: Spark tasks judge the lines of a day in Polars and write the data files themselves.

A task holds all lines of some instruments of one event day, so that copies, order and outliers are its own business,
and lines go from Parquet to Parquet as columns. Rows of some twenty columns, half of them texts, cost Spark's own
functions many times that (benchmarks/README.md). The driver stages what the tasks wrote in one commit; the balance is
counted in bronze and in what lies on the branch, so that no task vouches for itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from types import ModuleType
from typing import Any

import polars as pl

from lakehouse.lake.scans import PinnedTable, pin_current
from spark_jobs.engine.day_files import deal_rows, map_in_tasks, rows_per_task, write_rows
from spark_jobs.engine.job import Job, Plan, Request
from spark_jobs.engine.publish import Attempt, Write
from spark_jobs.engine.stage import Branch, DataFile, stage_files
from spark_jobs.layers import silver
from spark_jobs.layers.convert import Target, target_of
from spark_jobs.layers.manifest import Entry
from spark_jobs.layers.silver import FILE_DAY, Counts, SilverTables, accepted_lines

LINES_PER_TASK = 500_000
"""About 1.2 kB of memory each while they are judged, in as many tasks at once as there are cores."""


@dataclass(frozen=True)
class Judged:
    """Bronze lines with their verdict: rows for the table in its order, and lines that are rejected or equal copies."""

    rows: pl.DataFrame
    rejected: pl.DataFrame
    duplicates: pl.DataFrame


@dataclass(frozen=True)
class Cleaning(SilverTables):
    """One silver table that tasks make, and how the lines of whole instruments and one event day are judged."""

    judge: Callable[[pl.DataFrame], Judged]


@dataclass(frozen=True)
class Piece:
    """What one task judges: lines of accepted files, of some instruments and one event day."""

    day: date
    instrument_ids: tuple[str, ...]
    hashes: tuple[str, ...]


@dataclass(frozen=True)
class Written:
    """What came of a piece: data files of the table and of the rejected rows, and how many lines were copies."""

    rows: tuple[DataFile, ...]
    rejected: tuple[DataFile, ...]
    duplicates: Counts


@dataclass(frozen=True)
class Task:
    """Everything that an executor needs to know: bronze as it is, and the tables that it writes for."""

    cleaning: Cleaning
    bronze: PinnedTable
    rows: Target
    rejected: Target


def silver_files_job(name: str, cleaning: Cleaning, code: tuple[ModuleType, ...]) -> Job:
    """Make the job that cleans one bronze table."""

    def build(request: Request, planned: Plan, attempt: Attempt) -> Sequence[Write]:
        return build_writes(request, planned, attempt, cleaning)

    return silver.job_of(name, cleaning, build, code)


def build_writes(request: Request, plan: Plan, attempt: Attempt, cleaning: Cleaning) -> Sequence[Write]:
    """Judge the lines and describe what is to be staged, rejected rows first."""
    written = judge_days(request, plan, attempt, cleaning)
    duplicates = add_up(piece.duplicates for piece in written)

    def stage(branch: Branch, files: Sequence[DataFile]) -> Sequence[date]:
        return stage_files(branch, files, plan.days, replaces=True)

    def facts(branch: Branch, days: Sequence[date]) -> Mapping[str, Any]:
        return silver.balance(attempt, days, cleaning, plan.state, duplicates)

    rejected = [file for piece in written for file in piece.rejected]
    rows = [file for piece in written for file in piece.rows]
    return [
        Write(cleaning.rejected, plan.days, lambda branch: stage(branch, rejected)),
        Write(cleaning.table, plan.days, lambda branch: stage(branch, rows), facts),
    ]


def judge_days(request: Request, plan: Plan, attempt: Attempt, cleaning: Cleaning) -> list[Written]:
    """Have Spark tasks judge the days' lines and write their files, which no snapshot names yet."""
    context = request.spark.sparkContext
    pieces = cut_pieces(plan.state, plan.days, context.defaultParallelism)
    if not pieces:
        return []
    rows, rejected = (
        target_of(request.settings, table, attempt.run_id, attempt.started_at)
        for table in (cleaning.table, cleaning.rejected)
    )
    task = Task(cleaning, pin_current(request.settings, cleaning.bronze), rows, rejected)
    return map_in_tasks(context, pieces, lambda piece: judge_piece(task, piece))


def cut_pieces(entries: Sequence[Entry], days: Sequence[date], cores: int) -> list[Piece]:
    """Cut the days' lines into pieces that fit a task, and into as many as there are cores."""
    expected: dict[date, dict[str, int]] = {day: {} for day in days}
    hashes: dict[date, set[str]] = {day: set() for day in days}
    for entry in entries:
        for day in {*entry.event_dates} & {*days}:
            lines = expected[day]
            lines[entry.instrument_id] = lines.get(entry.instrument_id, 0) + entry.rows // len(entry.event_dates) + 1
            hashes[day].add(entry.source_sha256)
    most = rows_per_task(expected.values(), cores, LINES_PER_TASK)
    return [
        Piece(day, group, tuple(sorted(hashes[day])))
        for day, lines in expected.items()
        for group in deal_rows(lines, most)
    ]


def judge_piece(task: Task, piece: Piece) -> Written:
    """Judge one piece and write its files; where that fails, orphans may be left, which no snapshot names."""
    judged = task.cleaning.judge(read_piece(task, piece))
    counted = judged.duplicates.group_by(FILE_DAY).len().rows()
    return Written(
        write_rows(task.rows, piece.day, judged.rows),
        write_rows(task.rejected, piece.day, judged.rejected.sort(task.cleaning.rejected.row_order)),
        {(day, sha256): lines for day, sha256, lines in counted},
    )


def read_piece(task: Task, piece: Piece) -> pl.DataFrame:
    """Read the piece's lines."""
    of_piece = pl.col("instrument_id").is_in(piece.instrument_ids)
    lines = task.bronze.rows(*accepted_lines([piece.day], piece.hashes), of_piece)
    return lines.select(task.cleaning.bronze.digest_columns).collect()


def add_up(counts: Iterator[Counts]) -> Counts:
    """Add up counts of several pieces."""
    total: dict[tuple[Any, ...], int] = {}
    for piece in counts:
        for key, lines in piece.items():
            total[key] = total.get(key, 0) + lines
    return total
