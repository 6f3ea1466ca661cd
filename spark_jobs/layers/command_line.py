"""The command line of every job: `spark-submit <job>.py --from DAY --to DAY`, one line at the end, an exit code."""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from expectations import warm_up
from lakehouse.config.settings import settings
from lakehouse.errors import BadInputError, ExitCode, LakehouseError, first_line
from lakehouse.slices import Unit, day_range, parse_day
from lakehouse.tables import tables_of
from spark_jobs.engine.job import Job, Outcome, Request
from spark_jobs.engine.run import run
from spark_jobs.engine.session import build_session
from spark_jobs.layers.manifest import touched_event_days

EXIT_CODES = (
    "exit codes: 0 done or done already; 1 crash; 2 bad input or parameters, nothing published; 3 audit failed; "
    "4 conflict with another run; 5 published, some files quarantined; 75 store or catalog away or outcome unknown. "
    "1, 4 and 75 may be run again as they are."
)


def parse_arguments(
    arguments: Sequence[str] | None, description: str, *, is_by_set: bool = False
) -> argparse.Namespace:
    """Read the arguments that all jobs share; a run is of whole days or, `is_by_set`, of an image set."""
    parser = argparse.ArgumentParser(description=description, epilog=EXIT_CODES)
    if is_by_set:
        parser.add_argument("--dataset", metavar="SET", help="image set, e.g. mnist; without it all that there are")
    else:
        parser.add_argument("--from", dest="first", metavar="DAY", help="first day, e.g. 2024-08-08; else every day")
        parser.add_argument("--to", dest="last", metavar="DAY", help="the day after the last one")
        parser.add_argument(
            "--by-delivery",
            action="store_true",
            help="the days are delivery days, as for bronze: work on the event days that their files touch",
        )
    parser.set_defaults(dataset=None, first=None, last=None, by_delivery=False)
    parser.add_argument("--landing", metavar="DIR", help="folder or s3:// prefix of delivered files")
    parser.add_argument(
        "--replace", action="store_true", help="let a delivery with other bytes take the old one's place"
    )
    parser.add_argument("--strict", action="store_true", help="publish nothing where a file can't be read")
    parser.add_argument("--dry-run", action="store_true", help="say what would be read and replaced; change nothing")
    parser.add_argument("--debug", action="store_true", help="show the traceback of a crash")
    return parser.parse_args(arguments)


def build_request(arguments: argparse.Namespace, name: str) -> Request:
    """Turn arguments into a request, with the Spark session that it runs in.

    Raises:
        BadInputError: a day is no day, or only one end of the range is given.
    """
    if (arguments.first is None) != (arguments.last is None):
        raise BadInputError("give both --from and --to, or neither for every day")
    days: tuple[Unit, ...] | None = None if arguments.dataset is None else (arguments.dataset,)
    if arguments.first is not None:
        days = tuple(day_range(parse_day(arguments.first), parse_day(arguments.last)))
    current = settings()
    return Request(
        spark=build_session(name, current),
        settings=current,
        days=days,
        landing=(arguments.landing or current.landing_root).rstrip("/"),
        is_replacing=arguments.replace,
        is_strict=arguments.strict,
        is_dry_run=arguments.dry_run,
    )


def main(job: Job, arguments: Sequence[str] | None = None) -> None:
    """Run one job and leave the process with its exit code."""

    def run_job(request: Request) -> ExitCode:
        if parsed.by_delivery and request.days is not None:
            request = replace(request, days=touched_event_days(request.settings, request.days, delivered_datasets(job)))
        outcome = run(job, request)
        tell(outcome)
        return outcome.exit_code

    parsed = parse_arguments(arguments, (sys.modules["__main__"].__doc__ or job.name).splitlines()[0])
    finish(parsed, job.name, run_job)


def delivered_datasets(job: Job) -> list[str]:
    """Return what is delivered in a job's domain: its bronze tables' names."""
    return [table.name for table in tables_of(job.name.partition(".")[0]) if table.layer == "bronze"]


def finish(arguments: argparse.Namespace, name: str, work: Callable[[Request], ExitCode]) -> None:
    """Do the work of a request and leave the process; a failure is one line on standard error."""
    logging.basicConfig(
        format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.WARNING, stream=sys.stderr
    )
    logging.getLogger("spark_jobs").setLevel(logging.INFO)
    logging.Formatter.converter = time.gmtime
    warm_up()  # importing Great Expectations takes seconds, which pass while Spark starts
    try:
        code = work(build_request(arguments, name))
    except LakehouseError as error:
        print(f"error: {error}", file=sys.stderr)
        code = error.exit_code
    except Exception as error:
        if arguments.debug:
            raise
        print(f"error: {type(error).__name__}: {first_line(error)} (--debug shows where)", file=sys.stderr)
        code = ExitCode.CRASH
    sys.stdout.flush()
    sys.exit(int(code))


def tell(outcome: Outcome) -> None:
    """Print how a run ended: one line, a failure to standard error."""
    failed = outcome.exit_code not in (ExitCode.DONE, ExitCode.QUARANTINED)
    prefix = "error: " if failed else ""
    stream = sys.stderr if failed else sys.stdout
    print(f"{prefix}{outcome.job.name}: {outcome.message}", file=stream)
