"""What every gold job shares: days whose upstream changed are computed again, and state is carried over midnight.

A day that depends only on its own upstream rows is replaced alone. Where a table carries state from day to day (the
last close, exponential means), a changed day recomputes the later published days, too, until the state at a day's end
is again what `main` has: from there on nothing can differ. Where a table looks back a fixed number of days, a day is
made from these days, too, so each of them that changes makes it due.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from types import ModuleType
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.config.settings import Settings
from lakehouse.lake.catalog import day_fingerprints, load, published_days
from lakehouse.lake.scans import PinnedTable, pin, pin_current
from lakehouse.tables import Table
from spark_jobs.engine.job import Job, Plan, Request
from spark_jobs.engine.publish import Attempt, Write
from spark_jobs.engine.stage import Branch, DataFile, stage_files, stage_frame

Stage = Callable[["Inputs", Branch, Sequence[date]], None]
Facts = Callable[["Inputs", Branch, Sequence[date]], Mapping[str, Any]]


@dataclass(frozen=True)
class Derivation:
    """One gold table made from one upstream table, day by day.

    `stage` puts the rows of some days, ascending and without a published day between them, onto the run's branch, where
    carried state is read: see `by_spark` and `by_tasks`. `read_state` returns that state at the end of a day
    per instrument, as values that can be compared; None where the table carries none. With `look_back_days`, the
    upstream rows reach back that far before each day, as far as there are any, and state is not needed.
    With `grows_by_itself`, a day that is not over is due again in every run: time alone adds rows to it.
    """

    table: Table
    upstream: Table
    stage: Stage
    read_state: Callable[[PinnedTable, date], Mapping[str, Any]] | None = None
    facts: Facts = lambda inputs, branch, days: {}
    look_back_days: int = 0
    grows_by_itself: bool = False

    def days_read(self, days: Iterable[date]) -> set[date]:
        """Return the upstream days that some days are made from."""
        return {day - timedelta(days=number) for day in days for number in range(self.look_back_days + 1)}


@dataclass(frozen=True)
class Inputs:
    """What a run makes a gold table from; `upstream` is pinned as the plan saw it, whose state the days' keys name."""

    settings: Settings
    derivation: Derivation
    upstream: PinnedTable


def by_spark(transform: Callable[[DataFrame, Branch, Sequence[date]], DataFrame]) -> Stage:
    """Stage what Spark's functions make of a frame with the days' upstream rows."""

    def stage(inputs: Inputs, branch: Branch, days: Sequence[date]) -> None:
        upstream = branch.spark.table(inputs.derivation.upstream.full_name)
        read = sorted(inputs.derivation.days_read(days))
        rows = transform(upstream.where(F.col("event_date").isin(read)), branch, days)
        stage_frame(branch, rows.withColumn("_ingested_at", F.lit(branch.started_at)), days)

    return stage


def by_tasks(write: Callable[[Inputs, Branch, Sequence[date]], Sequence[DataFile]]) -> Stage:
    """Stage the data files that Spark tasks wrote, in place of the days' rows."""

    def stage(inputs: Inputs, branch: Branch, days: Sequence[date]) -> None:
        stage_files(branch, write(inputs, branch, days), days, replaces=True)

    return stage


def gold_job(name: str, derivation: Derivation, code: tuple[ModuleType, ...]) -> Job:
    """Make the job of one gold table."""

    def plan(request: Request) -> Plan:
        return plan_days(request, derivation)

    def build(request: Request, planned: Plan, attempt: Attempt) -> Sequence[Write]:
        return build_writes(request, planned, attempt, derivation)

    return Job(
        name=name,
        table=derivation.table,
        tables=(derivation.table,),
        reads=(derivation.upstream,),
        code=code,
        plan=plan,
        build=build,
    )


def plan_days(request: Request, derivation: Derivation) -> Plan:
    """Find the days that the upstream table has, and those that only this table still has.

    Days that this table has after them are in the plan's `later`: a carried state may reach them, or a run that died
    has changed their upstream rows.
    """
    upstream = load(request.settings, derivation.upstream)
    published = set(published_days(load(request.settings, derivation.table), "event_date"))
    days = published | set(published_days(upstream, "event_date"))
    prints = day_fingerprints(upstream, "event_date", days)
    inputs = {day: describe_inputs(derivation, prints, day) for day in days}
    if derivation.grows_by_itself:
        now = request.started_at
        inputs |= {day: (*inputs[day], f"known until {now:%H:%M}") for day in days if day == now.date()}
    asked = {day: texts for day, texts in inputs.items() if request.days is None or day in request.days}
    later = {day: inputs[day] for day in published - set(asked) if asked and day > min(asked)}
    lines = [f"read {derivation.upstream.identifier} of {day}" for day in sorted(asked)]
    lines += [f"replace {day}, too, if what it is made from has changed" for day in sorted(later)]
    return Plan(asked, tuple(lines), pin(upstream, request.settings), later)


def describe_inputs(derivation: Derivation, prints: Mapping[date, str], day: date) -> tuple[str, ...]:
    """Tell a day's upstream rows, and those of each day that it looks back on."""
    earlier = sorted(derivation.days_read([day]) - {day})
    return (prints.get(day, "no rows"), *(f"{other}: {prints[other]}" for other in earlier if other in prints))


def build_writes(request: Request, plan: Plan, attempt: Attempt, derivation: Derivation) -> Sequence[Write]:
    """Describe what is to be staged: the days that are due, and the later ones that their state reaches."""
    inputs = Inputs(request.settings, derivation, plan.state)

    def stage(branch: Branch) -> Sequence[date]:
        if derivation.read_state is None:
            derivation.stage(inputs, branch, plan.days)
            return plan.days
        return stage_with_state(inputs, branch, plan)

    def facts(branch: Branch, days: Sequence[date]) -> Mapping[str, Any]:
        return derivation.facts(inputs, branch, days)

    return [Write(derivation.table, plan.days, stage, facts)]


def stage_with_state(inputs: Inputs, branch: Branch, plan: Plan) -> Sequence[date]:
    """Stage the days in order; go on with later published days until the state that they start from is unchanged."""
    derivation = inputs.derivation
    read_state = derivation.read_state
    if read_state is None:
        raise ValueError(f"{derivation.table.identifier} carries no state")
    table = derivation.table
    due, later, staged = list(plan.days), sorted(plan.later), []
    while due:
        batch = [due.pop(0)]
        while due and not any(batch[-1] < day < due[0] for day in later):
            batch.append(due.pop(0))
        derivation.stage(inputs, branch, batch)
        staged += batch
        later = [day for day in later if day > batch[-1]]
        if later and (not due or later[0] < due[0]):
            before, now = (pin_current(inputs.settings, table, name) for name in ("main", branch.name))
            if read_state(now, batch[-1]) != read_state(before, batch[-1]):
                due.insert(0, later.pop(0))
    return staged
