"""The finance pipeline: every table of the domain in one session, each from the days that the one before it replaced.

Reads   the landing folder
Writes  bronze, silver and gold of finance, in the order of CHAIN

The days given are delivery days. An event belongs to the UTC day of its own time, so the later tables replace the
event days that those deliveries touch; every job skips the days that it has done already.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from lakehouse.errors import ExitCode
from spark_jobs.command_line import finish, parse_arguments, tell
from spark_jobs.finance import (
    bars_1m,
    bronze_quotes,
    bronze_trades,
    instruments,
    return_correlations_1d,
    silver_quotes,
    silver_trades,
    tick_features,
    volume_profile_1d,
)
from spark_jobs.job import Job, Request
from spark_jobs.manifest import read_manifest
from spark_jobs.run import run

BRONZE: tuple[Job, ...] = (bronze_trades.JOB, bronze_quotes.JOB)
CHAIN: tuple[Job, ...] = (
    silver_trades.JOB,
    silver_quotes.JOB,
    instruments.JOB,
    bars_1m.JOB,
    tick_features.JOB,
    volume_profile_1d.JOB,
    return_correlations_1d.JOB,
)
PASSING = (ExitCode.DONE, ExitCode.QUARANTINED)


def touched_event_days(request: Request) -> tuple[date, ...] | None:
    """Return the event days of every delivery of the days asked for, replaced ones too; None for all days."""
    if request.days is None:
        return None
    entries = [entry for entry in read_manifest(request.settings) if entry.delivery_date in request.days]
    return tuple(sorted({day for entry in entries for day in entry.event_dates}))


def run_pipeline(request: Request) -> ExitCode:
    """Run every job; the first that fails ends the pipeline with its exit code."""
    worst = ExitCode.DONE
    for job in BRONZE:
        outcome = run(job, request)
        tell(outcome)
        if outcome.exit_code not in PASSING:
            return outcome.exit_code
        worst = max(worst, outcome.exit_code)
    days = touched_event_days(request)
    for job in CHAIN:
        outcome = run(job, replace(request, days=days))
        tell(outcome)
        if outcome.exit_code not in PASSING:
            return outcome.exit_code
        if days is not None:
            days = tuple(sorted({*days, *outcome.days}))  # a carried state may have reached later days
    return worst


if __name__ == "__main__":
    finish(parse_arguments(None, __doc__ or ""), "finance.pipeline", run_pipeline)
