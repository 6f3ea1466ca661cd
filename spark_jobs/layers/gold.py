"""What every gold job shares: days whose upstream changed are computed again, and state is carried over midnight.

A day that depends only on its own upstream rows is replaced alone. If a table carries state from day to day (the last
close, exponential means), a changed day recomputes the later published days, too, until the state at a day's end is
again what `main` has: from there on nothing can differ. If a table looks back a fixed number of days, a day is made
from these days, too, so each of them that changes makes it due.

How rows are made is one line of a job, in derive.py: by tasks that call a transform, or by a Spark DataFrame.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from typing import Any

import polars as pl

from lakehouse.config.settings import Settings
from lakehouse.lake.catalog import load
from lakehouse.lake.history import held_back, published_slices, slice_fingerprints
from lakehouse.lake.scans import PinnedTable, pin, pin_current
from lakehouse.slices import Slice, days_of, in_order
from lakehouse.tables import Table
from spark_jobs.engine.job import Plan, Request, Summary, TableJob
from spark_jobs.engine.kept import in_slices, stage_rows
from spark_jobs.engine.manifest import accepted, read_manifest
from spark_jobs.engine.publish import Attempt, Published, Write
from spark_jobs.engine.stage import Branch, HeldBack

Declared = Callable[[Request, Mapping[Slice, Sequence[str]]], Mapping[Slice, str]]
"""For slices and their subjects, texts that change with the calendars and declarations that a slice's rows rest on."""
Facts = Callable[["Inputs", Branch, Sequence[Slice], HeldBack], Mapping[str, Any]]


@dataclass(frozen=True)
class Inputs:
    """What a run makes a gold table from; `upstream` is pinned as the plan saw it, whose state the days' keys name.

    `held` are parts of the upstream that failed their audit there: it has their rows from before.
    """

    settings: Settings
    derivation: Derivation
    upstream: PinnedTable
    held: HeldBack


@dataclass(frozen=True)
class Making:
    """How a table's rows are made; see derive.py.

    `stage` puts the rows of some days, ascending and without a published day between them, onto the run's branch, from
    which carried state is read. `made_by` are the functions that make the rows. `read_state` returns the state that a
    table carries at the end of a day, by subject, as values that can be compared; None if it carries none.
    """

    stage: Callable[[Inputs, Branch, Sequence[Slice]], None]
    made_by: tuple[Any, ...]
    read_state: Callable[[PinnedTable, date], Mapping[str, Any]] | None = None


@dataclass(frozen=True)
class Also:
    """A small table that the driver makes beside another one, from `columns` of the same upstream rows."""

    table: Table
    columns: Sequence[str]
    make: Callable[[pl.DataFrame], pl.DataFrame]


@dataclass(frozen=True)
class Derivation:
    """One gold table made from one upstream table, day by day.

    With `look_back_days`, the upstream rows reach back that far before each day, as far as there are any. With
    `grows_by_itself`, a day that is not over is due again in every run: time alone adds rows to it. With
    `combines_parts`, a row is made of several subjects: those that failed their audit upstream are left out of their
    day, and the run says so. `only` are the slices of a table that is made for some alone, such as one image set.
    """

    table: Table
    upstream: Table
    making: Making
    facts: Facts = lambda inputs, branch, days, held: {}
    declared: Declared | None = None
    look_back_days: int = 0
    grows_by_itself: bool = False
    combines_parts: bool = False
    only: tuple[Slice, ...] | None = None
    also: tuple[Also, ...] = ()

    def slices_read(self, slices: Iterable[Slice]) -> set[Slice]:
        """Return the upstream slices that some slices are made from."""
        given = set(slices)
        days = days_of(given)
        return given | {day - timedelta(days=number) for day in days for number in range(self.look_back_days + 1)}


def gold_job(name: str, derivation: Derivation) -> TableJob:
    """Make the job of one gold table."""

    def plan(request: Request) -> Plan:
        return plan_slices(request, derivation)

    def build(request: Request, planned: Plan, attempt: Attempt) -> Sequence[Write]:
        return build_writes(planned, derivation)

    def summarize(request: Request, planned: Plan, published: Sequence[Published]) -> Summary:
        made = [item for item in published if item.table == derivation.table]
        facts = made[0].facts if made else {}
        return Summary(
            rows_in=facts.get("lines_in"),
            rows_out=sum(item.rows_added for item in made),
            rows_rejected=facts.get("rows_rejected"),
            rows_duplicate=facts.get("rows_duplicate"),
            note=note_left_out(planned.state),
        )

    return TableJob(
        name=name,
        table=derivation.table,
        tables=(derivation.table, *(also.table for also in derivation.also)),
        reads=(derivation.upstream,),
        made_by=(*derivation.making.made_by, *(also.make for also in derivation.also)),
        plan=plan,
        build=build,
        summarize=summarize,
    )


def plan_slices(request: Request, derivation: Derivation) -> Plan:
    """Find the slices that the upstream table has, and those that only this table still has.

    Days that this table has after them are in the plan's `later`: a carried state may reach them, or a run that died
    has changed their upstream rows.
    """
    settings, column = request.settings, str(derivation.table.replaced_by)
    upstream = load(settings, derivation.upstream)
    published = set(published_slices(request.tables[derivation.table.identifier], column))
    slices = published | set(published_slices(upstream, column))
    if derivation.only is not None:
        slices &= {*derivation.only}
    prints = slice_fingerprints(upstream, column, slices)
    inputs = {each: describe_inputs(derivation, prints, each) for each in slices}
    held = held_back(upstream, slices) if derivation.combines_parts else {}
    inputs |= {each: (*inputs[each], f"without {', '.join(held[each])}") for each in held}
    if derivation.declared is not None:
        subjects = subjects_of_slices(settings, derivation.upstream.name, slices)
        texts = derivation.declared(request, subjects)
        inputs |= {each: (*inputs[each], texts[each]) for each in slices if each in texts}
    if derivation.grows_by_itself:
        now = request.started_at
        inputs |= {day: (*inputs[day], f"known until {now:%H:%M}") for day in slices if day == now.date()}
    asked: dict[Slice, Sequence[str]] = {
        each: texts for each, texts in inputs.items() if request.slices is None or each in request.slices
    }
    first = min(days_of(asked), default=None)
    later: dict[Slice, Sequence[str]] = {
        day: inputs[day] for day in days_of(published) if first is not None and day > first and day not in asked
    }
    lines = [f"read {derivation.upstream.identifier} of {each}" for each in in_order(asked)]
    lines += [f"replace {day}, too, if what it is made from has changed" for day in days_of(later)]
    return Plan(asked, tuple(lines), Inputs(settings, derivation, pin(upstream, settings), held), later)


def subjects_of_slices(settings: Settings, dataset: str, slices: Iterable[Slice]) -> dict[Slice, list[str]]:
    """Return the subjects that were delivered for each slice, as the manifest has them."""
    subjects: dict[Slice, set[str]] = {each: set() for each in slices}
    for entry in accepted(read_manifest(settings), dataset):
        for each in entry.slices:
            if each in subjects:
                subjects[each].add(entry.line_subject)
    return {each: sorted(names) for each, names in subjects.items()}


def describe_inputs(derivation: Derivation, prints: Mapping[Slice, str], each: Slice) -> tuple[str, ...]:
    """Describe a slice's upstream rows, and those of each day that it looks back on."""
    earlier = days_of(derivation.slices_read([each]) - {each})
    return (prints.get(each, "no rows"), *(f"{other}: {prints[other]}" for other in earlier if other in prints))


def note_left_out(inputs: Inputs) -> str:
    """Name the parts that were left out since they failed their audit upstream; empty if there are none."""
    parts = [f"{subject} of {each}" for each in inputs.held for subject in inputs.held[each]]
    upstream = inputs.derivation.upstream.identifier
    return f"left out {', '.join(parts)}, held back in {upstream}" if parts else ""


def build_writes(plan: Plan, derivation: Derivation) -> Sequence[Write]:
    """Describe what is to be staged: the days that are due, and the later ones that their state reaches."""
    inputs: Inputs = plan.state

    def stage(branch: Branch) -> Sequence[Slice]:
        if derivation.making.read_state is None:
            derivation.making.stage(inputs, branch, plan.slices)
            return plan.slices
        return stage_with_state(inputs, branch, plan)

    def facts(branch: Branch, slices: Sequence[Slice], held: HeldBack) -> Mapping[str, Any]:
        return derivation.facts(inputs, branch, slices, held)

    return [
        Write(derivation.table, plan.slices, stage, facts),
        *(Write(also.table, plan.slices, partial(stage_also, inputs, also, plan.slices)) for also in derivation.also),
    ]


def stage_also(inputs: Inputs, also: Also, slices: Sequence[Slice], branch: Branch) -> Sequence[Slice]:
    """Make a small table from the upstream rows of some slices."""
    rows = inputs.upstream.rows(in_slices(also.table.replaced_by, slices)).select(also.columns).collect()
    made = also.make(rows).with_columns(_ingested_at=pl.lit(branch.started_at))
    return stage_rows(branch, made, slices)


def stage_with_state(inputs: Inputs, branch: Branch, plan: Plan) -> Sequence[date]:
    """Stage the days in order; go on with later published days until the state that they start from is unchanged."""
    making, table = inputs.derivation.making, inputs.derivation.table
    if making.read_state is None:
        raise ValueError(f"{table.identifier} carries no state")
    due, later = list(days_of(plan.slices)), list(days_of(plan.later))
    staged: list[date] = []
    while due:
        batch = [due.pop(0)]
        while due and not any(batch[-1] < day < due[0] for day in later):
            batch.append(due.pop(0))
        making.stage(inputs, branch, batch)
        staged += batch
        later = [day for day in later if day > batch[-1]]
        if later and (not due or later[0] < due[0]):
            before, now = (pin_current(inputs.settings, table, name) for name in ("main", branch.name))
            if making.read_state(now, batch[-1]) != making.read_state(before, batch[-1]):
                due.insert(0, later.pop(0))
    return staged
