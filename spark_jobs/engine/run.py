"""One run of one job: plan, skip what is done, publish, replan where another run was faster, record the outcome.

A job says what it would do (`plan`) and how (`build`); everything else that a run must get right is here.
"""

from __future__ import annotations

import getpass
import hashlib
import logging
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from sqlalchemy.exc import OperationalError

from lakehouse.config.settings import Settings
from lakehouse.errors import ConflictError, ExitCode, LakehouseError, first_line
from lakehouse.lake.catalog import append_log, last_replacements, load
from lakehouse.lake.migration import require_tables
from lakehouse.slices import WHOLE_TABLE, Unit, describe_days
from lakehouse.tables import Table
from lakehouse.tables.logs import CALLER, CHECK_RESULTS, FILE_BALANCES, RUNS
from spark_jobs.engine.job import Job, Outcome, Plan, Request
from spark_jobs.engine.publish import (
    Attempt,
    MainMovedError,
    Published,
    drop_old_branches,
    main_snapshot,
    publish,
)

logger = logging.getLogger(__name__)

KEY_LENGTH = 32
"""Hex digits of a key: 128 bits, so that two different inputs never meet."""

AWAY = (
    "java.net.ConnectException",
    "java.net.SocketException",
    "java.net.SocketTimeoutException",
    "java.net.UnknownHostException",
    "java.sql.SQLTransient",
    "UncheckedSQLException",
    "SQLITE_BUSY",
    "SdkClientException",
    "CommitStateUnknownException",
)
"""Java's and Iceberg's names for a store or database that does not answer."""
COMMIT_CONFLICT = "org.apache.iceberg.exceptions.CommitFailedException"

OUTCOMES = {
    ExitCode.CRASH: "crash",
    ExitCode.BAD_INPUT: "bad input",
    ExitCode.AUDIT_FAILED: "audit failed",
    ExitCode.CONFLICT: "conflict",
    ExitCode.QUARANTINED: "quarantined",
    ExitCode.UNAVAILABLE: "unavailable",
}


def day_keys(job: Job, plan: Plan) -> dict[Unit, str]:
    """Hash, for each day, what determines its rows: code, declarations, the day and what is read for it."""
    common = hashlib.sha256(job.code_digest.encode())
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
        if not request.is_dry_run:
            drop_old_branches(request.spark, request.settings, job.tables)
        outcome = run_unrecorded(job, request)
    except LakehouseError as error:
        outcome = Outcome(job, OUTCOMES[error.exit_code], error.exit_code, str(error))
        if not request.is_dry_run:
            record_failure(request, outcome, time.monotonic() - begin)
        return outcome
    except Exception as error:
        if is_away(error):
            why = f"the store or the catalog is away ({first_line(error)}); run the same again"
            outcome = Outcome(job, "unavailable", ExitCode.UNAVAILABLE, why)
            record_failure(request, outcome, time.monotonic() - begin)
            return outcome
        outcome = Outcome(job, "crash", ExitCode.CRASH, f"{type(error).__name__}: {first_line(error)}")
        record_failure(request, outcome, time.monotonic() - begin)
        raise
    if not request.is_dry_run:
        record(request, outcome, time.monotonic() - begin)
    return outcome


def is_away(error: Exception) -> bool:
    """Say whether an error means that the store or the catalog can't be reached, in Python or in the JVM."""
    if isinstance(error, (OSError, OperationalError)):
        return True
    return isinstance(error, (Py4JError, PySparkException)) and any(mark in str(error) for mark in AWAY)


def run_unrecorded(job: Job, request: Request) -> Outcome:
    """Plan and publish the days that are due, again from the plan where another run published first.

    Raises:
        ConflictError: that happened too often.
    """
    before: list[Published] = []  # by attempts that found a later table moved
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
            published = [*before, *publish(attempt, job.build(request, plan, attempt))]
        except MainMovedError as error:
            before += error.published
            logger.warning("%s; planning again", error)
            continue
        except (Py4JError, PySparkException) as error:
            if COMMIT_CONFLICT not in str(error):
                raise
            logger.warning("%s: another run committed at the same moment; planning again", job.name)
            continue
        finally:
            # Iceberg's tables are equal to Spark where their names are: a kept frame could answer for newer rows
            request.spark.catalog.clearCache()
        days = tuple(sorted({day for item in published for day in item.days}, key=str))
        summary = job.summarize(request, plan, published)
        outcome = OUTCOMES.get(summary.exit_code, "published")
        message = f"published {describe_days(days)}" + (f"; {summary.note}" if summary.note else "")
        return Outcome(job, outcome, summary.exit_code, message, days, summary, attempt.run_key)
    attempts = request.settings.publish_attempts
    raise ConflictError(f"{job.name}: other runs published first {attempts} times; run it again when they are through")


def combine_keys(keys: Mapping[Unit, str], days: Sequence[Unit]) -> str:
    """Return the run's key, which stands for the keys of its days."""
    text = "\n".join(f"{day}={keys[day]}" for day in sorted(days, key=str))
    return hashlib.sha256(text.encode()).hexdigest()[:KEY_LENGTH]


def due_days(settings: Settings, tables: Sequence[Table], keys: Mapping[Unit, str]) -> tuple[Unit, ...]:
    """Return the days that some of the tables does not have yet as these keys say."""
    due: set[Unit] = set()
    for table in tables:
        last = last_replacements(load(settings, table))
        due |= {day for day, key in keys.items() if day not in last or last[day].day_key != key}
    return tuple(sorted(due, key=str))


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
        "days": recorded_days(outcome.days or request.days or ()),
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
        "run_by": run_by(request),
    }
    logger.info(
        "%s: %s (in %s, out %s, rejected %s, duplicates %s, %.1f s, snapshot %s)",
        *(outcome.job.name, outcome.message, summary.rows_in, summary.rows_out, summary.rows_rejected),
        *(summary.rows_duplicate, seconds, snapshot_id),
    )
    append_log(request.settings, RUNS, [row])


def recorded_days(units: Sequence[Unit]) -> list[date]:
    """Return what ops.runs lists: days alone, and none for a run of image sets, which its message names."""
    if any(isinstance(unit, str) for unit in units):
        return []
    return [day for day in units if day not in WHOLE_TABLE]


def record_failure(request: Request, outcome: Outcome, seconds: float) -> None:
    """Log a failure; where that fails, too, the reason of the first one is what a person needs."""
    try:
        record(request, outcome, seconds)
    except LakehouseError as error:
        logger.warning("this run is not in %s: %s", RUNS.identifier, error)


def run_by(request: Request) -> str:
    """Name who runs this process: the login, and who called it where it said so with `--conf spark.lakehouse.caller=…`.

    A setting of Spark reaches the driver wherever that runs; an environment does not.
    """
    called_by = request.spark.sparkContext.getConf().get(CALLER, "")
    return f"{getpass.getuser()} for {called_by}" if called_by else getpass.getuser()
