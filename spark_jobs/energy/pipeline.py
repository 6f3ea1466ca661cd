"""The energy pipeline: every table of the domain in one session, each from the days that the one before it replaced.

Reads   the landing folder
Writes  bronze, silver and gold of energy, in the order of CHAIN

The days given are civil days of the meters. Later days whose features look back on them are replaced, too; every job
skips the days that it has done already.
"""

from __future__ import annotations

from lakehouse.errors import ExitCode
from spark_jobs.energy import bronze_power_readings, load_hourly, silver_power_readings
from spark_jobs.engine.job import Job, Request
from spark_jobs.layers.chain import run_chain
from spark_jobs.layers.command_line import finish, parse_arguments

BRONZE: tuple[Job, ...] = (bronze_power_readings.JOB,)
CHAIN: tuple[Job, ...] = (silver_power_readings.JOB, load_hourly.JOB)


def run_pipeline(request: Request) -> ExitCode:
    """Run every job; the first that fails ends the pipeline with its exit code."""
    return run_chain(request, BRONZE, CHAIN)


if __name__ == "__main__":
    finish(parse_arguments(None, __doc__ or ""), "energy.pipeline", run_pipeline)
