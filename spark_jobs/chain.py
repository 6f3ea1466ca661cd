"""The chain of a domain's jobs in one session: bronze by delivery day, then each table from the days before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from lakehouse.errors import ExitCode
from spark_jobs.command_line import tell
from spark_jobs.job import Job, Request
from spark_jobs.manifest import read_manifest
from spark_jobs.run import run

PASSING = (ExitCode.DONE, ExitCode.QUARANTINED)


def run_chain(request: Request, bronze: Sequence[Job], chain: Sequence[Job]) -> ExitCode:
    """Run every job; the first that fails ends the chain with its exit code."""
    worst = ExitCode.DONE
    for job in bronze:
        outcome = run(job, request)
        tell(outcome)
        if outcome.exit_code not in PASSING:
            return outcome.exit_code
        worst = max(worst, outcome.exit_code)
    days = touched_event_days(request, bronze)
    for job in chain:
        outcome = run(job, replace(request, days=days))
        tell(outcome)
        if outcome.exit_code not in PASSING:
            return outcome.exit_code
        if days is not None:
            days = tuple(sorted({*days, *outcome.days}))  # a carried state may have reached later days
    return worst


def touched_event_days(request: Request, bronze: Sequence[Job]) -> tuple[date, ...] | None:
    """Return the event days of every delivery of the days asked for, replaced ones too; None for all days."""
    if request.days is None:
        return None
    datasets = {job.table.name for job in bronze}
    entries = read_manifest(request.settings)
    touched = [entry for entry in entries if entry.delivery_date in request.days and entry.dataset in datasets]
    return tuple(sorted({day for entry in touched for day in entry.event_dates}))
