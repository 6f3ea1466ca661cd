"""The chain of a domain's jobs in one session: bronze by delivery day, then each table from the days before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lakehouse.errors import ExitCode
from spark_jobs.engine.job import Job, Request
from spark_jobs.engine.run import run
from spark_jobs.layers.command_line import tell
from spark_jobs.layers.manifest import touched_event_days

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
    days = request.days
    if days is not None:
        days = touched_event_days(request.settings, days, [job.table.name for job in bronze])
    for job in chain:
        outcome = run(job, replace(request, days=days))
        tell(outcome)
        if outcome.exit_code not in PASSING:
            return outcome.exit_code
        if days is not None:
            days = tuple(sorted({*days, *outcome.days}))  # a carried state may have reached later days
    return worst
