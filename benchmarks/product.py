"""The product's side of a benchmark: its own jobs, from the landing folder to gold, in one cold process.

    python benchmarks/product.py LANDING WORK [--domain finance] [--jobs ...] [--days ...] [--without-audits]

Prints the seconds of each job as a JSON line. `--without-audits` leaves the audits out by putting nothing in their
place; the product itself has no such switch. By default the jobs of finance are those whose tables the peers make, too.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from types import SimpleNamespace

import psutil

COMPARED = ("bronze.trades", "silver.trades", "gold.bars_1m", "gold.tick_features")


def cpu_seconds() -> float:
    """User and system seconds of this process and of every process below it that still runs."""
    this = psutil.Process()
    times = [process.cpu_times() for process in (this, *this.children(recursive=True))]
    return sum(time.user + time.system for time in times)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("landing", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--domain", default="finance")
    parser.add_argument("--jobs", nargs="*", help="tables; default: all of the domain, or the compared ones of finance")
    parser.add_argument("--days", help="first..last_exclusive; default: all that there are")
    parser.add_argument("--without-audits", action="store_true")
    arguments = parser.parse_args()
    os.environ["LAKEHOUSE_HOME"] = str(arguments.work.absolute())
    os.environ.setdefault("LAKEHOUSE_SPARK_MASTER", "local[2]")
    tables = arguments.jobs or (COMPARED if arguments.domain == "finance" else ())

    from expectations import warm_up
    from lakehouse.config.settings import settings
    from lakehouse.slices import day_range, parse_day
    from spark_jobs.engine import publish
    from spark_jobs.engine.job import Request
    from spark_jobs.engine.run import run
    from spark_jobs.engine.session import build_session
    from spark_jobs.layers.chain import find_jobs, order_chain

    if arguments.without_audits:
        publish.audit_all = lambda attempt, staged, **_: ([SimpleNamespace(rows_evaluated=0)] * len(staged), ())
        publish.log_checks = lambda settings, reports: None
    else:
        warm_up()
    begin, cpu = time.perf_counter(), cpu_seconds()
    request = Request(
        spark=build_session("benchmark", settings()),
        settings=settings(),
        slices=tuple(day_range(*map(parse_day, arguments.days.split("..")))) if arguments.days else None,
        landing=str(arguments.landing.absolute()),
    )
    seconds = {"session_s": time.perf_counter() - begin, "session_cpu_s": cpu_seconds() - cpu}
    chain = order_chain(find_jobs(arguments.domain, request))
    for job in (job for job in chain if not tables or job.table.identifier in tables):
        begin, cpu = time.perf_counter(), cpu_seconds()
        outcome = run(job, request)
        if outcome.exit_code:
            raise SystemExit(f"{job.name}: {outcome.message}")
        seconds[f"{job.table.layer}_{job.table.name}_s"] = time.perf_counter() - begin
        seconds[f"{job.table.layer}_{job.table.name}_cpu_s"] = cpu_seconds() - cpu
    print(json.dumps({name: round(value, 2) for name, value in seconds.items()}))


if __name__ == "__main__":
    main()
