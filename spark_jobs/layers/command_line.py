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
from lakehouse.slices import Slice, day_range, parse_day
from lakehouse.tables import tables_of
from spark_jobs.engine.job import Outcome, Request, TableJob
from spark_jobs.engine.manifest import touched_slices
from spark_jobs.engine.run import run
from spark_jobs.engine.session import build_session

EXIT_CODES = (
    "exit codes: 0 done or done already; 1 crash; 2 bad input or parameters, nothing published; 3 audit failed; "
    "4 conflict with another run; 5 published, some files quarantined; 75 store or catalog away or outcome unknown. "
    "1, 4 and 75 may be run again as they are."
)


def parse_arguments(arguments: Sequence[str] | None, description: str) -> argparse.Namespace:
    """Read the arguments that all jobs share."""
    parser = argparse.ArgumentParser(description=description, epilog=EXIT_CODES)
    parser.add_argument("--from", dest="first", metavar="DAY", help="first day, e.g. 2024-08-08; else every day")
    parser.add_argument("--to", dest="last", metavar="DAY", help="the day after the last one")
    parser.add_argument(
        "--by-delivery",
        action="store_true",
        help="the days are delivery days, as for bronze: work on the event days that their files touch",
    )
    parser.add_argument(
        "--dataset", metavar="SET", help="of images, which have no days: one image set, e.g. mnist; else every set"
    )
    parser.add_argument("--landing", metavar="DIR", help="folder or s3:// prefix of delivered files")
    parser.add_argument(
        "--replace", action="store_true", help="let a delivery with other bytes take the old one's place"
    )
    parser.add_argument("--strict", action="store_true", help="publish nothing if a file can't be read")
    parser.add_argument("--dry-run", action="store_true", help="print what would be read and replaced; change nothing")
    parser.add_argument("--debug", action="store_true", help="show the traceback of a crash")
    return parser.parse_args(arguments)


def build_request(arguments: argparse.Namespace, name: str) -> Request:
    """Turn arguments into a request, with the Spark session that it runs in.

    Raises:
        BadInputError: a day can't be read, only one end of the range is given, or days and an image set are.
    """
    if (arguments.first is None) != (arguments.last is None):
        raise BadInputError("give both --from and --to, or neither for every day")
    if arguments.dataset is not None and arguments.first is not None:
        raise BadInputError("give --dataset for images or --from and --to for days, not both")
    slices: tuple[Slice, ...] | None = None if arguments.dataset is None else (arguments.dataset,)
    if arguments.first is not None:
        slices = tuple(day_range(parse_day(arguments.first), parse_day(arguments.last)))
    current = settings()
    return Request(
        spark=build_session(name, current),
        settings=current,
        slices=slices,
        landing=(arguments.landing or current.landing_root).rstrip("/"),
        is_replacing=arguments.replace,
        is_strict=arguments.strict,
        is_dry_run=arguments.dry_run,
    )


def main(job: TableJob, arguments: Sequence[str] | None = None) -> None:
    """Run one job and leave the process with its exit code."""

    def run_job(request: Request) -> ExitCode:
        if parsed.by_delivery and request.slices is not None:
            delivered = [table.name for table in tables_of(job.domain) if table.layer == "bronze"]
            request = replace(request, slices=touched_slices(request.settings, request.slices, delivered))
        outcome = run(job, request)
        tell(outcome)
        return outcome.exit_code

    parsed = parse_arguments(arguments, (sys.modules["__main__"].__doc__ or job.name).splitlines()[0])
    finish(parsed, job.name, run_job)


def main_of_jobs(description: str | None, jobs: Callable[[Request], Sequence[TableJob]]) -> None:
    """Run the jobs that a module has for a request, and leave the process with the first failure's exit code."""

    def run_jobs(request: Request) -> ExitCode:
        codes = []
        for job in jobs(request):
            outcome = run(job, request)
            tell(outcome)
            codes.append(outcome.exit_code)
        failed = [code for code in codes if code not in (ExitCode.DONE, ExitCode.QUARANTINED)]
        return failed[0] if failed else max(codes, default=ExitCode.DONE)

    lines = (description or "").splitlines()
    finish(parse_arguments(None, lines[0]), lines[0], run_jobs)


def main_of_domains(description: str | None, domains: Sequence[str]) -> None:
    """Run the chains of domains, one after another, and leave the process with the worst exit code.

    The first that fails ends the run. Days say nothing about a domain of image sets, whose every set is looked at.
    """
    from spark_jobs.layers.chain import PASSING, run_domain

    def run_domains(request: Request) -> ExitCode:
        worst = ExitCode.DONE
        for domain in domains:
            is_by_day = len(domains) == 1 or has_days(domain)
            code = run_domain(domain, request if is_by_day else replace(request, slices=None))
            if code not in PASSING:
                return code
            worst = max(worst, code)
        return worst

    name = f"{domains[0]}.pipeline" if len(domains) == 1 else "pipeline"
    finish(parse_arguments(None, description or ""), name, run_domains)


def has_days(domain: str) -> bool:
    """Return whether a domain's deliveries have days, unlike image sets."""
    bronze = [table for table in tables_of(domain) if table.layer == "bronze"]
    return any(table.column(str(table.replaced_by)).type == "date" for table in bronze)


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
