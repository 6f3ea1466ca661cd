"""What every silver job shares: bronze lines become rows of the table or rejected rows, and the balance is kept.

A line belongs to one slice: its event day, also if its time is unreadable, or its image set. A run replaces slices, the
table's and the rejected rows' alike, so each line is judged by exactly one slice's run, in whatever order they run.

Spark tasks judge the lines of some subjects and write the data files themselves; a task holds all lines of a subject's
slice, so that copies, order and outliers are its own business. The driver stages what the tasks wrote in one commit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from lakehouse.lake.history import published_slices
from lakehouse.lake.scans import PinnedTable, pin_current
from lakehouse.slices import Slice
from lakehouse.tables import Table
from lakehouse.tables.manifest import BRONZE_FILES
from spark_jobs.engine import manifest
from spark_jobs.engine.files import DataFile, Target, write_rows
from spark_jobs.engine.job import Plan, Request, Summary, TableJob
from spark_jobs.engine.kept import replace_slices, staged_rows
from spark_jobs.engine.manifest import Entry
from spark_jobs.engine.pieces import Piece, cut_pieces, read_piece
from spark_jobs.engine.publish import Attempt, Published, Write
from spark_jobs.engine.stage import Branch, HeldBack
from spark_jobs.engine.tasks import map_in_tasks
from spark_jobs.layers.balance import Counts, accepted_lines, add_up, balance, file_part, hashes_of
from transforms.rules import Judged

LINES_PER_TASK = 500_000
"""About 1.2 kB of memory each while they are judged, in as many tasks at once as there are cores."""


@dataclass(frozen=True)
class Cleaning:
    """One silver table: `clean` sorts out the lines of whole subjects and slices.

    `prepare` may change the pieces before tasks start: cut them otherwise, and add what `clean` is given besides the
    lines. `declared` are texts by slice that change with the declarations that `clean` is given. `facts` counts what
    the audit asks for besides the balance, in the staged rows of the slices without the parts held back; `note` puts
    some of it into the run's last line.
    """

    table: Table
    rejected: Table
    bronze: Table
    clean: Callable[..., Judged]
    prepare: Callable[[Request, PinnedTable, Sequence[Piece]], Sequence[Piece]] = lambda request, bronze, pieces: pieces
    declared: Callable[[Request, Sequence[Slice]], Mapping[Slice, str]] = lambda request, slices: {}
    facts: Callable[[pl.LazyFrame], Mapping[str, Any]] = lambda rows: {}
    note: Callable[[Mapping[str, Any]], str] = lambda facts: ""


@dataclass(frozen=True)
class Written:
    """What came of a piece: data files of the table and of the rejected rows; copies by slice, subject and file."""

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


def silver_job(name: str, cleaning: Cleaning) -> TableJob:
    """Make the job that cleans one bronze table."""

    def build(request: Request, planned: Plan, attempt: Attempt) -> Sequence[Write]:
        return build_writes(request, planned, attempt, cleaning)

    return TableJob(
        name=name,
        table=cleaning.table,
        tables=(cleaning.rejected, cleaning.table),
        reads=(cleaning.bronze, BRONZE_FILES),
        made_by=(cleaning.clean,),
        plan=lambda request: plan_slices(request, cleaning),
        build=build,
        summarize=lambda request, planned, published: summarize(cleaning, published),
    )


def plan_slices(request: Request, cleaning: Cleaning) -> Plan:
    """Find the slices that accepted deliveries touch, and those that have rows although none does any more."""
    entries = manifest.accepted(manifest.read_manifest(request.settings), cleaning.bronze.name)
    inputs: dict[Slice, list[str]] = {}
    for table in (cleaning.table, cleaning.rejected):
        for each in published_slices(request.tables[table.identifier], str(table.replaced_by)):
            inputs.setdefault(each, [])
    for entry in entries:
        for each in entry.slices:
            inputs.setdefault(each, []).append(f"{manifest.describe(entry)} {entry.fingerprint}")
    asked = {each: sorted(texts) for each, texts in inputs.items() if request.slices is None or each in request.slices}
    lines = tuple(f"read for {each}: {text}" for each in asked for text in asked[each])
    declared = cleaning.declared(request, list(asked))
    keys = {each: [*texts, *([declared[each]] if each in declared else [])] for each, texts in asked.items()}
    return Plan(keys, tuple(sorted(lines)), entries)


def build_writes(request: Request, plan: Plan, attempt: Attempt, cleaning: Cleaning) -> Sequence[Write]:
    """Judge the lines and describe what is to be staged, rejected rows first."""
    written = judge_slices(request, plan, attempt, cleaning)
    duplicates = add_up(piece.duplicates for piece in written)

    def facts(branch: Branch, slices: Sequence[Slice], held: HeldBack) -> Mapping[str, Any]:
        balanced = balance(attempt, slices, cleaning, plan.state, duplicates, held)
        return {**balanced, **cleaning.facts(staged_rows(branch, slices, held))}

    rejected = [file for piece in written for file in piece.rejected]
    rows = [file for piece in written for file in piece.rows]
    return [
        Write(cleaning.rejected, plan.slices, lambda branch: replace_slices(branch, rejected, plan.slices)),
        Write(cleaning.table, plan.slices, lambda branch: replace_slices(branch, rows, plan.slices), facts),
    ]


def judge_slices(request: Request, plan: Plan, attempt: Attempt, cleaning: Cleaning) -> list[Written]:
    """Have Spark tasks judge the slices' lines and write their files, which no snapshot names yet."""
    context = request.spark.sparkContext
    bronze = pin_current(request.settings, cleaning.bronze)
    counts, hashes = expected_lines(plan.state, plan.slices)
    pieces = [
        Piece(
            piece.slices, piece.subjects, accepted_lines(cleaning.bronze, piece.slices, hashes_of(hashes, piece.slices))
        )
        for piece in cut_pieces(cleaning.table, counts, context.defaultParallelism, LINES_PER_TASK)
    ]
    rows, rejected = (attempt.branch(table).target for table in (cleaning.table, cleaning.rejected))
    task = Task(cleaning, bronze, rows, rejected)
    return map_in_tasks(context, cleaning.prepare(request, bronze, pieces), lambda piece: judge_piece(task, piece))


def expected_lines(
    entries: Sequence[Entry], slices: Sequence[Slice]
) -> tuple[dict[Slice, dict[str, int]], dict[Slice, set[str]]]:
    """Return about how many lines each subject has in each slice, and the files that these are in."""
    counts: dict[Slice, dict[str, int]] = {each: {} for each in slices}
    hashes: dict[Slice, set[str]] = {each: set() for each in slices}
    for entry in entries:
        for each in {*entry.slices} & {*slices}:
            lines, rows = counts[each], entry.rows // len(entry.slices) + 1 if entry.has_lines else 0
            lines[entry.line_subject] = lines.get(entry.line_subject, 0) + rows
            hashes[each].add(entry.source_sha256)
    return counts, hashes


def judge_piece(task: Task, piece: Piece) -> Written:
    """Judge one piece and write its files; if that fails, orphans may be left, which no snapshot names."""
    cleaning = task.cleaning
    lines = read_piece(task.bronze, cleaning.table, piece, cleaning.bronze.digest_columns)
    judged = cleaning.clean(lines, *piece.given)
    by = [pl.col(name).alias(f"key_{number}") for number, name in enumerate(file_part(cleaning.table))]
    counted = judged.duplicates.group_by(by).len().rows()
    return Written(
        write_rows(task.rows, judged.rows, piece.name),
        write_rows(task.rejected, judged.rejected.sort(cleaning.rejected.row_order), piece.name),
        {row[:-1]: row[-1] for row in counted},
    )


def summarize(cleaning: Cleaning, published: Sequence[Published]) -> Summary:
    """Return the balance as the run's numbers."""
    names = ("lines_in", "rows_out", "rows_rejected", "rows_duplicate")
    for item in published:
        if item.table == cleaning.table:
            rows_in, rows_out, rejected, duplicate = (item.facts[name] for name in names)
            return Summary(rows_in, rows_out, rejected, duplicate, note=cleaning.note(item.facts))
    return Summary()
