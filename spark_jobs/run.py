"""One run of one job: plan, skip what is done, publish, replan where another run was faster, record the outcome.

A job says what it would do (`plan`) and how (`build`); everything else that a run must get right is here.
"""

from __future__ import annotations

import getpass
import hashlib
import inspect
import logging
import os
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from types import ModuleType
from typing import Any

from pyspark.sql import SparkSession

from lakehouse.catalog import append_log, last_replacements, load, require_tables
from lakehouse.days import WHOLE_TABLE, describe_days
from lakehouse.errors import ConflictError, ExitCode, LakehouseError
from lakehouse.settings import Settings
from lakehouse.tables import Table
from lakehouse.tables.logs import CHECK_RESULTS, FILE_BALANCES, RUNS
from spark_jobs.publish import Attempt, MainMovedError, Published, Write, main_snapshot, publish

logger = logging.getLogger(__name__)

KEY_LENGTH = 32
"""Hex digits of a key: 128 bits, so that two different inputs never meet."""

OUTCOMES = {
    ExitCode.CRASH: "crash",
    ExitCode.BAD_INPUT: "bad input",
    ExitCode.AUDIT_FAILED: "audit failed",
    ExitCode.CONFLICT: "conflict",
    ExitCode.QUARANTINED: "quarantined",
    ExitCode.UNAVAILABLE: "unavailable",
}


@dataclass(frozen=True)
class Request:
    """What the caller asked for. `days` None means every day that the landing folder or the upstream table has."""

    spark: SparkSession
    settings: Settings
    days: tuple[date, ...] | None
    landing: str
    is_replacing: bool = False
    is_strict: bool = False
    is_dry_run: bool = False
    run_id: str = field(default_factory=lambda: secrets.token_hex(8))
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass(frozen=True)
class Plan:
    """What a run would do. `inputs` tells, for each day, what its rows are made from, as texts that change with it.

    `later` are the inputs of published days that nobody asked for: they are replaced, too, where they are outdated, and
    a carried state may reach them. `lines` are for a person; `state` is handed to `build`.
    """

    inputs: Mapping[date, Sequence[str]]
    lines: tuple[str, ...] = ()
    state: Any = None
    later: Mapping[date, Sequence[str]] = field(default_factory=dict)

    @property
    def days(self) -> tuple[date, ...]:
        """The days that the run replaces, ascending."""
        return tuple(sorted(self.inputs))


@dataclass(frozen=True)
class Summary:
    """A published run in numbers, None where a job has no such rows, and whether it ended with more than success."""

    rows_in: int | None = None
    rows_out: int | None = None
    rows_rejected: int | None = None
    rows_duplicate: int | None = None
    exit_code: ExitCode = ExitCode.DONE
    note: str = ""


def count_rows_out(request: Request, plan: Plan, published: Sequence[Published]) -> Summary:
    """Summarize a job that writes one table and rejects nothing."""
    return Summary(rows_out=sum(item.rows_added for item in published))


@dataclass(frozen=True)
class Job:
    """A job of one domain: `table` is what it is named after, `tables` all that it writes, in the order of publishing.

    `code` is what its rows depend on: a change there makes every day due again.
    """

    name: str
    table: Table
    tables: tuple[Table, ...]
    reads: tuple[Table, ...]
    code: tuple[ModuleType, ...]
    plan: Callable[[Request], Plan]
    build: Callable[[Request, Plan, Attempt], Sequence[Write]]
    summarize: Callable[[Request, Plan, Sequence[Published]], Summary] = count_rows_out


@dataclass(frozen=True)
class Outcome:
    """How a run ended; `days` are those that were published now, not those that were done already."""

    job: Job
    outcome: str
    exit_code: ExitCode
    message: str
    days: tuple[date, ...] = ()
    summary: Summary = field(default_factory=Summary)
    run_key: str = ""


def day_keys(job: Job, plan: Plan) -> dict[date, str]:
    """Hash, for each day, what determines its rows: code, declarations, the day and what is read for it."""
    common = hashlib.sha256()
    for module in job.code:
        common.update(inspect.getsource(module).encode())
    for table in job.tables:
        common.update(repr(table).encode())
    keys = {}
    for day, inputs in {**plan.later, **plan.inputs}.items():
        digest = common.copy()
        digest.update("\n".join((str(day), *inputs)).encode())
        keys[day] = digest.hexdigest()[:KEY_LENGTH]
    return keys


def run(job: Job, request: Request) -> Outcome:
    """Run the job, record what came of it and return it; errors of a known kind become outcomes.

    Raises:
        Exception: whatever nobody foresaw, after it was recorded as a crash.
    """
    begin = time.monotonic()
    request = replace(request, run_id=secrets.token_hex(8), started_at=datetime.now(UTC))
    try:
        require_tables(request.settings, (*job.reads, *job.tables, RUNS, CHECK_RESULTS, FILE_BALANCES))
        outcome = run_unrecorded(job, request)
    except LakehouseError as error:
        outcome = Outcome(job, OUTCOMES[error.exit_code], error.exit_code, str(error))
        if not request.is_dry_run:
            record_failure(request, outcome, time.monotonic() - begin)
        return outcome
    except Exception as error:
        outcome = Outcome(job, "crash", ExitCode.CRASH, f"{type(error).__name__}: {error}".splitlines()[0])
        record_failure(request, outcome, time.monotonic() - begin)
        raise
    if not request.is_dry_run:
        record(request, outcome, time.monotonic() - begin)
    return outcome


def run_unrecorded(job: Job, request: Request) -> Outcome:
    """Plan and publish the days that are due, again from the plan where another run published first.

    Raises:
        ConflictError: that happened too often.
    """
    for _ in range(request.settings.publish_attempts):
        bases = {table.identifier: main_snapshot(request.settings, table) for table in job.tables}
        plan = job.plan(request)
        keys = day_keys(job, plan)
        due = due_days(request.settings, job.tables, keys)
        if not due:
            what = f"done already: {describe_days(plan.days)}" if plan.days else "nothing to do"
            return Outcome(job, "done already", ExitCode.DONE, what)
        inputs = {**plan.inputs, **plan.later}
        plan = replace(
            plan,
            inputs={day: inputs[day] for day in due},
            later={day: texts for day, texts in inputs.items() if day not in due},
        )
        attempt = Attempt(
            request.spark, request.settings, request.run_id, combine_keys(keys, due), keys, request.started_at, bases
        )
        if request.is_dry_run:
            message = "\n".join((f"{job.name} would replace {describe_days(due)}", *plan.lines))
            return Outcome(job, "dry run", ExitCode.DONE, message, due, run_key=attempt.run_key)
        try:
            published = publish(attempt, job.build(request, plan, attempt))
        except MainMovedError as error:
            logger.warning("%s; planning again", error)
            continue
        days = tuple(sorted({day for item in published for day in item.days}))
        summary = job.summarize(request, plan, published)
        outcome = OUTCOMES.get(summary.exit_code, "published")
        message = f"published {describe_days(days)}" + (f"; {summary.note}" if summary.note else "")
        return Outcome(job, outcome, summary.exit_code, message, days, summary, attempt.run_key)
    attempts = request.settings.publish_attempts
    raise ConflictError(f"{job.name}: other runs published first {attempts} times; run it again when they are through")


def combine_keys(keys: Mapping[date, str], days: Sequence[date]) -> str:
    """Return the run's key, which stands for the keys of its days."""
    text = "\n".join(f"{day}={keys[day]}" for day in sorted(days))
    return hashlib.sha256(text.encode()).hexdigest()[:KEY_LENGTH]


def due_days(settings: Settings, tables: Sequence[Table], keys: Mapping[date, str]) -> tuple[date, ...]:
    """Return the days that some of the tables does not have yet as these keys say."""
    due: set[date] = set()
    for table in tables:
        last = last_replacements(load(settings, table))
        due |= {day for day, key in keys.items() if day not in last or last[day].day_key != key}
    return tuple(sorted(due))


def record(request: Request, outcome: Outcome, seconds: float) -> None:
    """Log the outcome: one line for a person, one row in ops.runs."""
    table = outcome.job.table
    summary = outcome.summary
    try:
        snapshot_id = main_snapshot(request.settings, table)
    except LakehouseError:
        snapshot_id = None
    row = {
        "run_id": request.run_id,
        "run_key": outcome.run_key,
        "job": outcome.job.name,
        "table_name": table.identifier,
        "days": [day for day in outcome.days or request.days or () if day not in WHOLE_TABLE],
        "outcome": outcome.outcome,
        "exit_code": int(outcome.exit_code),
        "message": outcome.message,
        "rows_in": summary.rows_in,
        "rows_out": summary.rows_out,
        "rows_rejected": summary.rows_rejected,
        "rows_duplicate": summary.rows_duplicate,
        "seconds": seconds,
        "snapshot_id": snapshot_id,
        "started_at": request.started_at,
        "run_by": caller(),
    }
    logger.info(
        "%s: %s (in %s, out %s, rejected %s, duplicates %s, %.1f s, snapshot %s)",
        *(outcome.job.name, outcome.message, summary.rows_in, summary.rows_out, summary.rows_rejected),
        *(summary.rows_duplicate, seconds, snapshot_id),
    )
    append_log(request.settings, RUNS, [row])


def record_failure(request: Request, outcome: Outcome, seconds: float) -> None:
    """Log a failure; where that fails, too, the reason of the first one is what a person needs."""
    try:
        record(request, outcome, seconds)
    except LakehouseError as error:
        logger.warning("this run is not in %s: %s", RUNS.identifier, error)


def caller() -> str:
    """Name who runs this process: the login, and the Airflow task where there is one."""
    task = os.environ.get("AIRFLOW_CTX_TASK_ID")
    login = getpass.getuser()
    return f"{login} for {os.environ.get('AIRFLOW_CTX_DAG_ID')}.{task}" if task else login
