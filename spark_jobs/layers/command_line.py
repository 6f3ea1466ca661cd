"""The command line of every job: `spark-submit <job>.py --from DAY --to DAY`, one line at the end, an exit code."""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from pyspark.sql import SparkSession

from expectations import warm_up
from lakehouse.config.settings import Settings, settings
from lakehouse.errors import PASSING, BadInputError, ExitCode, LakehouseError, first_line, worst_code
from lakehouse.slices import Slice, day_range, parse_day
from lakehouse.tables import LAYERS, has_days, tables_of
from spark_jobs.engine.job import Outcome, Request, TableJob
from spark_jobs.engine.manifest import touched_slices
from spark_jobs.engine.run import run
from spark_jobs.engine.session import build_session
from spark_jobs.layers.choice import Choice

EXIT_CODES = (
    "exit codes: 0 done or done already; 1 crash; 2 bad input or parameters, nothing published; 3 audit failed; "
    "4 conflict with another run; 5 published, some files quarantined; 75 store or catalog away or outcome unknown. "
    "1, 4 and 75 may be run again as they are."
)

WORK = "work: "
"""Begins the last line of a plan: the layers that have work, or `none`."""
NO_SPARK: Any = None
"""The session of a request that only plans: planning reads tables and the landing folder without Spark."""


def split_names(text: str) -> list[str]:
    """Read `mnist` or `mnist,cifar10`."""
    return [name for part in text.split(",") if (name := part.strip())]


MANY: dict[str, Any] = {"action": "extend", "type": split_names}
"""An argument that holds names with commas between and may be repeated."""


def argument_parser(description: str) -> argparse.ArgumentParser:
    """Return the arguments that all jobs share."""
    parser = argparse.ArgumentParser(description=description, epilog=EXIT_CODES)
    parser.add_argument("--from", dest="first", metavar="DAY", help="first day, e.g. 2024-08-08; else every day")
    parser.add_argument("--to", dest="last", metavar="DAY", help="the day after the last one")
    parser.add_argument(
        "--by-delivery",
        action="store_true",
        help="the days are delivery days, as for bronze: work on the event days that their files touch",
    )
    parser.add_argument(
        "--dataset",
        **MANY,
        metavar="SET",
        help="of images, which have no days: image sets, e.g. mnist; else every set",
    )
    parser.add_argument("--landing", metavar="DIR", help="folder or s3:// prefix of delivered files")
    parser.add_argument(
        "--replace", action="store_true", help="let a delivery with other bytes take the old one's place"
    )
    parser.add_argument("--strict", action="store_true", help="publish nothing if a file can't be read")
    parser.add_argument("--dry-run", action="store_true", help="print what would be read and replaced; change nothing")
    parser.add_argument("--debug", action="store_true", help="show the traceback of a crash")
    return parser


def pipeline_parser(description: str) -> argparse.ArgumentParser:
    """Return the arguments of a chain of jobs: those of a job, and which jobs of the chain."""
    parser = argument_parser(description)
    parser.add_argument(
        "--layer", action="append", choices=LAYERS, default=[], help="only the jobs of this layer; may be repeated"
    )
    parser.add_argument(
        "--jobs", **MANY, default=[], metavar="NAME", help="only these jobs, by name or by a table that they write"
    )
    parser.add_argument("--plan", action="store_true", help="print which layers have work, without Spark; run nothing")
    return parser


def build_request(arguments: argparse.Namespace, start: Callable[[Settings], SparkSession]) -> Request:
    """Turn arguments into a request, with the Spark session that `start` returns.

    Raises:
        BadInputError: a day can't be read, only one end of the range is given, or days and an image set are.
    """
    if (arguments.first is None) != (arguments.last is None):
        raise BadInputError("give both --from and --to, or neither for every day")
    if arguments.dataset is not None and arguments.first is not None:
        raise BadInputError("give --dataset for images or --from and --to for days, not both")
    if arguments.dataset is not None and not arguments.dataset:
        raise BadInputError("--dataset: expected the name of an image set, found nothing")
    slices: tuple[Slice, ...] | None = None if arguments.dataset is None else tuple(arguments.dataset)
    if arguments.first is not None:
        slices = tuple(day_range(parse_day(arguments.first), parse_day(arguments.last)))
    current = settings()
    return Request(
        spark=start(current),
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

    parsed = argument_parser((sys.modules["__main__"].__doc__ or job.name).splitlines()[0]).parse_args(arguments)
    finish(parsed, job.name, run_job)


def main_of_jobs(description: str | None, jobs: Callable[[Request], Sequence[TableJob]]) -> None:
    """Run the jobs that a module has for a request, and leave the process with the worst exit code."""

    def run_jobs(request: Request) -> ExitCode:
        codes = []
        for job in jobs(request):
            outcome = run(job, request)
            tell(outcome)
            codes.append(outcome.exit_code)
        return worst_code(codes)

    line = (description or "").splitlines()[0]
    finish(argument_parser(line).parse_args(), line, run_jobs)


def main_of_domains(description: str | None, domains: Sequence[str], arguments: Sequence[str] | None = None) -> None:
    """Run the chains of domains, one after another, and leave the process with the worst exit code.

    The first that fails ends the run. Days say nothing about a domain of image sets, whose every set is looked at.
    """
    from spark_jobs.layers.chain import plan_domain, run_domain

    def asked(domain: str, request: Request) -> Request:
        is_by_day = len(domains) == 1 or has_days(domain)
        return request if is_by_day else replace(request, slices=None)

    def run_domains(request: Request) -> ExitCode:
        worst = ExitCode.DONE
        for domain in domains:
            code = run_domain(domain, asked(domain, request), choice)
            if code not in PASSING:
                return code
            worst = worst_code((worst, code))
        return worst

    def plan_domains(request: Request) -> ExitCode:
        layers: set[str] = set()
        for domain in domains:
            work = plan_domain(domain, asked(domain, request), choice)
            for line in (each for lines in work.values() for each in lines):
                print(line)
            layers |= set(work)
        print(f"{WORK}{', '.join(layer for layer in LAYERS if layer in layers) or 'none'}")
        return ExitCode.DONE

    parsed = pipeline_parser(description or "").parse_args(arguments)
    choice = Choice(tuple(parsed.layer), tuple(parsed.jobs))
    name = f"{domains[0]}.pipeline" if len(domains) == 1 else "pipeline"
    if parsed.plan:
        finish(parsed, name, plan_domains, lambda settings: NO_SPARK)
    else:
        finish(parsed, name, run_domains)


def finish(
    arguments: argparse.Namespace,
    name: str,
    work: Callable[[Request], ExitCode],
    start: Callable[[Settings], SparkSession] | None = None,
) -> None:
    """Do the work of a request and leave the process; a failure is one line on standard error.

    `start` returns the Spark session; by default it is one named `name`.
    """
    logging.basicConfig(
        format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.WARNING, stream=sys.stderr
    )
    logging.getLogger("spark_jobs").setLevel(logging.INFO)
    logging.Formatter.converter = time.gmtime
    if start is None:
        start = partial(build_session, name)
        warm_up()  # importing Great Expectations takes seconds, which pass while Spark starts
    try:
        code = work(build_request(arguments, start))
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
    failed = outcome.exit_code not in PASSING
    prefix = "error: " if failed else ""
    stream = sys.stderr if failed else sys.stdout
    print(f"{prefix}{outcome.job.name}: {outcome.message}", file=stream, flush=True)
