"""The product's side of the benchmark: its own jobs, from the landing folder to gold features, in one cold process.

`--without-audits` leaves the audits out by putting nothing in their place; the product itself has no such switch.
The jobs whose tables the peers do not build (quotes, profiles, correlations, instruments) are left out.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from types import SimpleNamespace

import psutil


def cpu_seconds() -> float:
    """User and system seconds of this process and of every process below it that still runs."""
    this = psutil.Process()
    times = [process.cpu_times() for process in (this, *this.children(recursive=True))]
    return sum(time.user + time.system for time in times)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("landing", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--days", default="2026-01-01..2026-02-01")
    parser.add_argument("--without-audits", action="store_true")
    arguments = parser.parse_args()
    os.environ["LAKEHOUSE_HOME"] = str(arguments.work.absolute())
    os.environ.setdefault("LAKEHOUSE_SPARK_MASTER", "local[2]")

    from expectations import warm_up
    from lakehouse.config.settings import settings
    from lakehouse.slices import day_range, parse_day
    from spark_jobs.engine import publish
    from spark_jobs.engine.job import Request
    from spark_jobs.engine.run import run
    from spark_jobs.engine.session import build_session
    from spark_jobs.finance import bars_1m, bronze_trades, silver_trades, tick_features

    if arguments.without_audits:
        publish.audit_all = lambda attempt, staged, **_: ([SimpleNamespace(rows_evaluated=0)] * len(staged), ())
        publish.log_checks = lambda settings, reports: None
    else:
        warm_up()
    first, last = (parse_day(text) for text in arguments.days.split(".."))
    begin, cpu = time.perf_counter(), cpu_seconds()
    request = Request(
        spark=build_session("benchmark", settings()),
        settings=settings(),
        slices=tuple(day_range(first, last)),
        landing=str(arguments.landing.absolute()),
    )
    seconds = {"session_s": time.perf_counter() - begin, "session_cpu_s": cpu_seconds() - cpu}
    for job in (bronze_trades.JOB, silver_trades.JOB, bars_1m.JOB, tick_features.JOB):
        begin, cpu = time.perf_counter(), cpu_seconds()
        outcome = run(job, request)
        if outcome.exit_code:
            raise SystemExit(f"{job.name}: {outcome.message}")
        seconds[f"{job.table.layer}_{job.table.name}_s"] = time.perf_counter() - begin
        seconds[f"{job.table.layer}_{job.table.name}_cpu_s"] = cpu_seconds() - cpu
    print(json.dumps({name: round(value, 2) for name, value in seconds.items()}))


if __name__ == "__main__":
    main()
