"""Ways to make a gold table's rows: each is one line of a job.

`by_slices`: tasks call a transform for some subjects' rows of some days. `by_state`: the transform also takes and
returns the state that a subject carries from day to day. `by_spark`: a Spark DataFrame, for what joins rows across
subjects in Spark SQL. Tasks are several times as fast (benchmarks/README.md), and batch, stream and request can call
the same transform; a Spark DataFrame spills to disk, so that no slice has to fit a task's memory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any, Generic, TypeVar

import polars as pl
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.lake.scans import PinnedTable, pin_current
from lakehouse.slices import Slice, days_of, in_order
from spark_jobs.engine.files import DataFile, Target, write_rows
from spark_jobs.engine.kept import not_held, replace_slices
from spark_jobs.engine.pieces import Counts, Piece, count_rows, cut_pieces, read_piece, rows_of_subjects
from spark_jobs.engine.stage import Branch, spark_condition, stage_frame
from spark_jobs.engine.tasks import deal, map_in_tasks
from spark_jobs.layers.gold import Inputs, Making

State = TypeVar("State")
Given = Callable[[Sequence[str], Sequence[Slice], datetime], tuple[Any, ...]]
"""For subjects, slices and the moment at which the run began, UTC: what a transform is given besides rows."""


def nothing_given(subjects: Sequence[str], slices: Sequence[Slice], now: datetime) -> tuple[Any, ...]:
    """Give a transform the rows alone."""
    return ()


def by_slices(
    transform: Callable[..., pl.DataFrame],
    columns: Sequence[str],
    *,
    given: Given = nothing_given,
    rows_per_piece: int = 500_000,
    cut: Callable[[Inputs, Sequence[Piece]], Sequence[Piece]] = lambda inputs, pieces: pieces,
) -> Making:
    """Call `transform(rows, *given)` for some subjects' rows of some days, with the days that these look back on.

    `columns` are those of the upstream table that the transform reads; of what it returns, rows of other days are left
    out. `cut` may change the pieces, as for rows that combine two groups of subjects.
    """

    def stage(inputs: Inputs, branch: Branch, slices: Sequence[Slice]) -> None:
        context, making = branch.spark.sparkContext, inputs.derivation
        counts = count_rows(inputs.upstream, making.table, slices)
        pieces = cut(inputs, cut_pieces(making.table, counts, context.defaultParallelism, rows_per_piece))
        pieces = [
            replace(piece, given=(*piece.given, *given(piece.subjects, piece.slices, branch.started_at)))
            for piece in pieces
        ]
        work = partial(make_piece, inputs, transform, tuple(columns), branch.target)
        written = map_in_tasks(context, pieces, work)
        replace_slices(branch, [file for files in written for file in files], slices)

    return Making(stage, made_by=(transform,))


def make_piece(
    inputs: Inputs,
    transform: Callable[..., pl.DataFrame],
    columns: Sequence[str],
    target: Target,
    piece: Piece,
) -> tuple[DataFile, ...]:
    """Make one piece's rows and write their files."""
    derivation = inputs.derivation
    read = in_order(derivation.slices_read(piece.slices))
    rows = read_piece(inputs.upstream, target.table, piece, columns, read)
    if inputs.held:
        rows = rows.filter(not_held(str(target.table.replaced_by), target.table.subject, inputs.held))
    made = transform(rows, *piece.given)
    if derivation.look_back_days:
        made = made.filter(pl.col(str(target.table.replaced_by)).is_in(piece.slices))
    return write_rows(target, made, piece.name)


@dataclass(frozen=True)
class CarryReader(Generic[State]):
    """What a subject carries from day to day.

    `read` returns each subject's state by the end of a day, from the rows that the table has up to it; a subject whose
    state is too old to start from is left out. With `survey`, the state at the end of a day is found without the
    state before it (None if the day leaves the state as it is), so that days are made side by side.
    """

    read: Callable[[PinnedTable, date], Mapping[str, State]]
    maximum_age: timedelta
    day_of: Callable[[State], date]
    survey: Callable[[pl.LazyFrame, date], Mapping[str, State | None]] | None = None

    def start(self, states: Mapping[str, State], subjects: Sequence[str], day: date) -> dict[str, State]:
        """Return the states that a day may start from."""
        found = {name: states[name] for name in subjects if name in states}
        return {name: state for name, state in found.items() if day - self.day_of(state) <= self.maximum_age}


def by_state(
    transform: Callable[..., tuple[pl.DataFrame, Mapping[str, State]]],
    columns: Sequence[str],
    carry: CarryReader[State],
    *,
    given: Given = nothing_given,
    rows_per_piece: int = 1_000_000,
) -> Making:
    """Call `transform(rows, states, *given)` for some subjects' rows of one day; it returns rows and the states after.

    Any cut of a day's rows in time, with the states handed on, gives the same bits.
    """

    def stage(inputs: Inputs, branch: Branch, slices: Sequence[Slice]) -> None:
        context, table, days = branch.spark.sparkContext, inputs.derivation.table, days_of(slices)
        before = min(days) - timedelta(days=1)
        states = carry.read(pin_current(inputs.settings, table, branch.name), before)
        counts = count_rows(inputs.upstream, table, days)
        if carry.survey is None:
            pieces = cut_by_subject(counts, days, context.defaultParallelism, rows_per_piece)
            starts = [{name: states[name] for name in piece.subjects if name in states} for piece in pieces]
        else:
            surveys = map_in_tasks(context, list(days), partial(survey_day, inputs.upstream, carry.survey))
            pieces = cut_pieces(table, counts, context.defaultParallelism, rows_per_piece)
            starts = start_days(carry, states, dict(zip(days, surveys, strict=True)), pieces)
        chain = Chain(inputs.upstream, branch.target, transform, tuple(columns), carry, given, branch.started_at)
        written = map_in_tasks(context, list(zip(pieces, starts, strict=True)), chain.make)
        replace_slices(branch, [file for files in written for file in files], days)

    return Making(stage, made_by=(transform, carry.read, *filter(None, [carry.survey])), read_state=carry.read)


def cut_by_subject(counts: Counts, days: Sequence[date], cores: int, least: int) -> list[Piece]:
    """Cut days into one piece per group of subjects, whose days a task makes one after another.

    A task holds one day at a time and each group reads every day's file, so that there are no more groups than cores,
    and none for fewer rows than `least`.
    """
    rows = rows_of_subjects(counts, days)
    if not rows:
        return []
    groups = deal(rows, min(len(rows), cores, sum(rows.values()) // least + 1))
    return [Piece(tuple(days), tuple(sorted(group))) for group in groups]


def survey_day(
    upstream: PinnedTable, survey: Callable[[pl.LazyFrame, date], Mapping[str, Any]], day: date
) -> Mapping[str, Any]:
    """Find each subject's state at the end of a day from the day's rows."""
    return survey(upstream.rows(pl.col("event_date") == day), day)


def start_days(
    carry: CarryReader[State],
    states: Mapping[str, State],
    surveys: Mapping[date, Mapping[str, State | None]],
    pieces: Sequence[Piece],
) -> list[dict[str, State]]:
    """Return the states that each piece of one day starts from; `states` are those before all the days."""
    latest, of_day = dict(states), {}
    for day in sorted(surveys):
        of_day[day] = dict(latest)
        latest |= {name: state for name, state in surveys[day].items() if state is not None}
    return [carry.start(of_day[day], piece.subjects, day) for piece in pieces for day in days_of(piece.slices)]


@dataclass(frozen=True)
class Chain(Generic[State]):
    """Everything that an executor needs to make some subjects' days, one after another."""

    upstream: PinnedTable
    target: Target
    transform: Callable[..., tuple[pl.DataFrame, Mapping[str, State]]]
    columns: Sequence[str]
    carry: CarryReader[State]
    given: Given
    now: datetime

    def make(self, piece_and_states: tuple[Piece, Mapping[str, State]]) -> list[DataFile]:
        """Make a piece's rows, day by day, and write their files."""
        piece, states = piece_and_states
        latest, files = dict(states), list[DataFile]()
        for day in days_of(piece.slices):
            rows = read_piece(self.upstream, self.target.table, piece, self.columns, [day])
            given = self.given(piece.subjects, [day], self.now)
            made, after = self.transform(rows, self.carry.start(latest, piece.subjects, day), *given)
            latest |= after
            files += write_rows(self.target, made, str(day))
        return files


def by_spark(transform: Callable[[DataFrame, Sequence[Slice]], DataFrame]) -> Making:
    """Call `transform(upstream, days)` once, with a Spark DataFrame of the days' upstream rows."""

    def stage(inputs: Inputs, branch: Branch, slices: Sequence[Slice]) -> None:
        derivation = inputs.derivation
        upstream = branch.spark.table(derivation.upstream.full_name)
        rows = upstream.where(spark_condition(derivation.table, derivation.slices_read(slices)))
        for each, subjects in inputs.held.items():
            is_held = spark_condition(derivation.table, [each]) & F.col(derivation.upstream.subject).isin([*subjects])
            rows = rows.where(~is_held)
        stage_frame(branch, transform(rows, slices).withColumn("_ingested_at", F.lit(branch.started_at)), slices)

    return Making(stage, made_by=(transform,))
