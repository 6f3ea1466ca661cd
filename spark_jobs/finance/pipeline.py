"""The finance pipeline: every table of the domain in one session, each from the days that the one before it replaced.

Reads   the landing folder
Writes  bronze, silver and gold of finance, in the order of CHAIN

The days given are delivery days. An event belongs to the UTC day of its own time, so the later tables replace the
event days that those deliveries touch; every job skips the days that it has done already.
"""

from __future__ import annotations

from lakehouse.errors import ExitCode
from spark_jobs.engine.job import Job, Request
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
from spark_jobs.layers.chain import run_chain
from spark_jobs.layers.command_line import finish, parse_arguments

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


def run_pipeline(request: Request) -> ExitCode:
    """Run every job; the first that fails ends the pipeline with its exit code."""
    return run_chain(request, BRONZE, CHAIN)


if __name__ == "__main__":
    finish(parse_arguments(None, __doc__ or ""), "finance.pipeline", run_pipeline)
