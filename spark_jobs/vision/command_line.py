"""The command line of the vision jobs: `spark-submit <job>.py --dataset mnist`; each set is a run of its own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from lakehouse.errors import ExitCode
from lakehouse.lake.migration import require_tables
from lakehouse.tables.manifest import BRONZE_FILES
from spark_jobs.engine.job import Job, Request
from spark_jobs.engine.run import run
from spark_jobs.layers.chain import PASSING
from spark_jobs.layers.command_line import finish, parse_arguments, tell
from spark_jobs.vision.sets import requests_per_set


def run_sets(request: Request, jobs_of: Callable[[str], Sequence[Job]]) -> ExitCode:
    """Run the jobs of every set; a set that fails ends its own jobs, and its code is the one of the whole.

    Raises:
        Exception: what nobody foresaw; it ends the run, and the sets after it are the next run's.
    """
    require_tables(request.settings, (BRONZE_FILES,))
    codes = []
    for of_set in requests_per_set(request):
        (name,) = of_set.days or ("",)
        for job in jobs_of(name):
            outcome = run(job, of_set)
            tell(outcome)
            codes.append(outcome.exit_code)
            if outcome.exit_code not in PASSING:
                break
    failed = [code for code in codes if code not in PASSING]
    return failed[0] if failed else max(codes, default=ExitCode.DONE)


def main(job_of: Callable[[str], Job]) -> None:
    """Run one job for each set and leave the process with its exit code."""
    description = (sys.modules["__main__"].__doc__ or "").splitlines()[0]
    arguments = parse_arguments(None, description, is_by_set=True)
    finish(arguments, description, lambda request: run_sets(request, lambda name: (job_of(name),)))
