"""One run of one job: plan, skip what is done, publish, replan where another run was faster, record the outcome.

A job says what it would do (`plan`) and how (`build`); everything else that a run must get right is here.
"""

from __future__ import annotations

import contextlib
import getpass
import hashlib
import logging
import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from py4j.protocol import Py4JError
from pyiceberg.table import Table as IcebergTable
from pyspark.errors import PySparkException
from sqlalchemy.exc import OperationalError

from lakehouse.errors import ConflictError, ExitCode, LakehouseError, first_line
from lakehouse.lake.catalog import append_log, load
from lakehouse.lake.history import last_replacements
from lakehouse.lake.migration import require_tables
from lakehouse.slices import Slice, days_of, describe_slices, in_order
from lakehouse.tables import Table
from lakehouse.tables.logs import CALLER, CHECK_RESULTS, FILE_BALANCES, HELD_PARTS, RUNS
from lakehouse.tables.manifest import BRONZE_FILES
from spark_jobs.engine.audits import HeldPart
from spark_jobs.engine.branches import drop_old_branches, main_of, main_snapshot
from spark_jobs.engine.job import Outcome, Plan, Request, Summary, TableJob
from spark_jobs.engine.manifest import files_of, read_manifest
from spark_jobs.engine.publish import Attempt, MainMovedError, Publication, Published, publish
from spark_jobs.engine.stage import is_commit_conflict

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

OUTCOMES = {
    ExitCode.CRASH: "crash",
    ExitCode.BAD_INPUT: "bad input",
    ExitCode.AUDIT_FAILED: "audit failed",
    ExitCode.CONFLICT: "conflict",
    ExitCode.QUARANTINED: "quarantined",
    ExitCode.UNAVAILABLE: "unavailable",
}


def slice_keys(job: TableJob, plan: Plan) -> dict[Slice, str]:
    """Hash, for each slice, what determines its rows: code, declarations, the slice and what is read for it."""
    common = hashlib.sha256(job.code_digest.encode())
    for table in job.tables:
        common.update(describe_table(table).encode())
    keys = {}
    for each, inputs in {**plan.later, **plan.inputs}.items():
        digest = common.copy()
        digest.update("\n".join((str(each), *inputs)).encode())
        keys[each] = digest.hexdigest()[:KEY_LENGTH]
    return keys


def run(job: TableJob, request: Request) -> Outcome:
    """Run the job, record what came of it and return it; errors of a known kind become outcomes.

    Raises:
        Exception: whatever nobody foresaw, after it was recorded as a crash.
    """
    begin = time.monotonic()
    request = replace(request, run_id=secrets.token_hex(8), started_at=datetime.now(UTC))
    try:
        logs = (RUNS, CHECK_RESULTS, FILE_BALANCES, HELD_PARTS)
        loaded = require_tables(request.settings, (*job.reads, *job.tables, *logs, BRONZE_FILES))
        tables = {table: loaded[table.identifier] for table in job.tables}
        if not request.is_dry_run:
            drop_old_branches(request.spark, request.settings, tables)
        request = replace(request, tables={table.identifier: iceberg for table, iceberg in tables.items()})
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


def run_unrecorded(job: TableJob, request: Request) -> Outcome:
    """Plan and publish the slices that are due, again from the plan if another run published first.

    Raises:
        ConflictError: that happened too often.
    """
    before: list[Published] = []  # by attempts that found a later table moved
    for _ in range(request.settings.publish_attempts):
        plan, keys, due, bases = find_due(job, request)
        if not due:
            what = f"done already: {describe_slices(plan.slices)}" if plan.slices else "nothing to do"
            return Outcome(job, "done already", ExitCode.DONE, what, snapshot_id=main_of(bases[job.table.identifier]))
        inputs = {**plan.inputs, **plan.later}
        plan = replace(
            plan,
            inputs={each: inputs[each] for each in due},
            later={each: texts for each, texts in inputs.items() if each not in due},
        )
        attempt = Attempt(
            request.spark, request.settings, request.run_id, combine_keys(keys, due), keys, request.started_at, bases
        )
        if request.is_dry_run:
            message = "\n".join((f"{job.name} would replace {describe_slices(due)}", *plan.lines))
            return Outcome(job, "dry run", ExitCode.DONE, message, due, run_key=attempt.run_key)
        try:
            publication = publish(attempt, job.build(request, plan, attempt))
        except MainMovedError as error:
            before += error.published
            logger.warning("%s; planning again", error)
            request = replace(request, tables={})
            continue
        except (Py4JError, PySparkException) as error:
            if not is_commit_conflict(error):
                raise
            logger.warning("%s: another run committed at the same moment; planning again", job.name)
            request = replace(request, tables={})
            continue
        finally:
            # Iceberg's tables are equal to Spark if their names are: a kept frame could answer for newer rows
            request.spark.catalog.clearCache()
        published = Publication((*before, *publication.tables), publication.held)
        summary = job.summarize(request, plan, published.tables)
        return outcome_of(job, request, attempt, published, summary)
    attempts = request.settings.publish_attempts
    raise ConflictError(f"{job.name}: other runs published first {attempts} times; run it again when they are through")


def find_due(
    job: TableJob, request: Request
) -> tuple[Plan, dict[Slice, str], tuple[Slice, ...], dict[str, IcebergTable]]:
    """Return a job's plan, each slice's key, the slices that are due, and the tables loaded before; needs no Spark."""
    bases = dict(request.tables) or {table.identifier: load(request.settings, table) for table in job.tables}
    plan = job.plan(replace(request, tables=bases))
    keys = slice_keys(job, plan)
    return plan, keys, due_slices(bases.values(), keys), bases


def outcome_of(job: TableJob, request: Request, attempt: Attempt, published: Publication, summary: Summary) -> Outcome:
    """Say in words and numbers what a run published, and which parts it held back, each with its files."""
    held = published.held
    slices = in_order(each for item in published.tables for each in item.slices)
    code = max(summary.exit_code, ExitCode.QUARANTINED) if held else summary.exit_code
    outcome = "held back" if held else OUTCOMES.get(summary.exit_code, "published")
    parts = [f"published {describe_slices(slices)}" if slices else "published nothing", summary.note]
    if held:
        files = files_of(read_manifest(request.settings), {(part.slice, part.subject) for part in held})
        log_held(request, held, files)
        what = "a part, which keeps its" if len(held) == 1 else f"{len(held)} parts, which keep their"
        parts.append(f"held back {what} rows from before:")
        named = [f"  {part}, from {', '.join(files[part.slice, part.subject]) or 'no file'}" for part in held]
    else:
        named = []
    message = "\n".join(("; ".join(part for part in parts if part), *named))
    snapshots = {item.table.identifier: item.snapshot_id for item in published.tables}
    table = job.table.identifier
    snapshot_id = snapshots.get(table, main_of(attempt.bases[table]))
    return Outcome(job, outcome, ExitCode(code), message, slices, summary, attempt.run_key, held, snapshot_id)


def log_held(request: Request, held: Sequence[HeldPart], files: Mapping[tuple[Slice, str], Sequence[str]]) -> None:
    """Log each part that was held back, with the rules that it broke and the files that it came from."""
    rows = [
        {
            "run_id": request.run_id,
            "table_name": part.table_name,
            "slice": str(part.slice),
            "subject": part.subject,
            "rules": ", ".join(part.rules),
            "files": ", ".join(files[part.slice, part.subject]),
            "held_at": datetime.now(UTC),
        }
        for part in held
    ]
    append_log(request.settings, HELD_PARTS, rows)


def describe_table(table: Table) -> str:
    """Return what of a declaration determines rows and files: not its documentation."""
    columns = [f"{column.name} {column.type}" for column in table.columns]
    return "\n".join((table.identifier, *columns, repr((table.partitioned_by, table.sorted_by, table.replaced_by))))


def combine_keys(keys: Mapping[Slice, str], slices: Sequence[Slice]) -> str:
    """Return the run's key, which stands for the keys of its slices."""
    text = "\n".join(f"{each}={keys[each]}" for each in in_order(slices))
    return hashlib.sha256(text.encode()).hexdigest()[:KEY_LENGTH]


def due_slices(tables: Iterable[IcebergTable], keys: Mapping[Slice, str]) -> tuple[Slice, ...]:
    """Return the slices that some of the tables does not have yet as these keys say."""
    due: set[Slice] = set()
    for table in tables:
        last = last_replacements(table)
        due |= {each for each, key in keys.items() if each not in last or last[each].slice_key != key}
    return in_order(due)


def record(request: Request, outcome: Outcome, seconds: float) -> None:
    """Log the outcome: one line for a person, one row in ops.runs."""
    table = outcome.job.table
    summary = outcome.summary
    snapshot_id = outcome.snapshot_id
    if snapshot_id is None:
        with contextlib.suppress(LakehouseError):
            snapshot_id = main_snapshot(request.settings, table)
    row = {
        "run_id": request.run_id,
        "run_key": outcome.run_key,
        "job": outcome.job.name,
        "table_name": table.identifier,
        "days": list(days_of(outcome.slices or request.slices or ())),
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
    numbers = {name: row[f"rows_{name}"] for name in ("in", "out", "rejected", "duplicate")}
    counted = "".join(f"{name} {rows}, " for name, rows in numbers.items() if rows is not None)
    logger.info("%s: %s (%s%.1f s, snapshot %s)", outcome.job.name, outcome.message, counted, seconds, snapshot_id)
    append_log(request.settings, RUNS, [row])


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
    caller = ", ".join(part for part in (called_by, request.step) if part)
    return f"{getpass.getuser()} for {caller}" if called_by else getpass.getuser()
