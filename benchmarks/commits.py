"""How long a commit takes, the first ones and those around the thousandth, with and without what keeps tables small.

    python benchmarks/commits.py HOME [--commits 1000] [--publishes 60] [--every 100]        profile embedded
    LAKEHOUSE_PROFILE=stack python benchmarks/commits.py HOME ...    profile stack, whose servers run: `lakehouse up`

Tables are made anew below HOME, which has to be one for nothing else. An append is one row in ops.runs by append_log. A
publish is one row of one day of gold.volume_profile_1d: branch, data file, fast-forward, branch away, as every run does
it, without the audit and the reading of files; it moves the catalog four times. Each is measured three times:

  bare         without the tables' declared properties of metadata, and without maintenance
  declared     with the properties; maintenance every --every commits, all of them younger than the setting keeps
  kept small   the same, and each time all that is there counts as old, so that expiry forgets it: as in the long run

The appends between the first and the last twenty are made through Spark's JVM: quicker, and they leave the same.
Milliseconds of wall time, p50 / p99; of twenty measurements the latter is the slowest. CPU: of this process and its
JVM, p50, without the servers; the figure to compare on a shared machine. Maintenance itself is not counted.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psutil

from lakehouse.config.settings import Settings, settings
from lakehouse.lake.catalog import append_log, load
from lakehouse.lake.connection import open_catalog
from lakehouse.lake.migration import require_tables
from lakehouse.tables import TABLES, Table
from lakehouse.tables.finance import GOLD_VOLUME_PROFILE_1D
from lakehouse.tables.logs import RUNS
from spark_jobs.engine.branches import drop_branch
from spark_jobs.engine.files import DataFile
from spark_jobs.engine.job import Request
from spark_jobs.engine.publish import Attempt, Write, fast_forward, open_branch, stage
from spark_jobs.engine.session import build_session
from spark_jobs.engine.stage import Branch, stage_files, stage_frame
from spark_jobs.engine.upkeep import METADATA, Work
from spark_jobs.maintenance import TASKS, maintain_tables

AROUND = 20
"""Commits that one figure is made of."""
FIRST_DAY = date(2000, 1, 1)


@dataclass(frozen=True)
class Care:
    """What is done for a table between the commits."""

    name: str
    has_properties: bool
    is_maintained: bool
    max_age_days: int = 30


@dataclass(frozen=True)
class Kind:
    """A way to commit, and how often it is measured."""

    table: Table
    commit: Callable[[Request, int], None]
    count: int
    is_filled: bool
    """Only the first and the last are made by `commit` and measured."""


CARES = (
    Care("bare", has_properties=False, is_maintained=False),
    Care("declared", has_properties=True, is_maintained=True),
    Care("kept small", has_properties=True, is_maintained=True, max_age_days=0),
)


def row_of_run(number: int) -> dict[str, Any]:
    """One row of ops.runs."""
    now = datetime.now(UTC)
    numbers = dict.fromkeys(("rows_in", "rows_out", "rows_rejected", "rows_duplicate"), 0)
    return {
        **numbers,
        **{"run_id": f"{number:016x}", "run_key": f"{number:032x}", "job": "finance.silver_trades"},
        **{"table_name": "silver.trades", "days": [FIRST_DAY], "outcome": "published", "exit_code": 0},
        **{"message": "published 2000-01-01", "seconds": 1.0, "snapshot_id": number, "started_at": now},
        "run_by": "benchmark",
    }


def row_of_bin(day: date) -> tuple[Any, ...]:
    """One row of gold.volume_profile_1d."""
    return ("BENCH", day, 0, Decimal(1), Decimal(2), Decimal(3), 4, True, True, datetime.now(UTC))


def append(request: Request, number: int) -> None:
    """Append one row to the log of runs."""
    append_log(request.settings, RUNS, [row_of_run(number)])


def publish_day(request: Request, number: int) -> None:
    """Publish one row of a day that was not there."""
    table, day = GOLD_VOLUME_PROFILE_1D, FIRST_DAY + timedelta(days=number)
    schema = request.spark.table(table.full_name).schema
    frame = request.spark.createDataFrame([row_of_bin(day)], schema)

    def write(branch: Branch) -> Sequence[date]:
        return stage_frame(branch, frame, (day,))

    run_id, bases = f"{number:016x}", {table.identifier: load(request.settings, table)}
    attempt = Attempt(request.spark, request.settings, run_id, "", {day: "key"}, datetime.now(UTC), bases)
    branch = open_branch(attempt, table)
    staged = stage(attempt, Write(table, (day,), write), branch)
    fast_forward(attempt, staged)
    drop_branch(branch)


def filler(request: Request, table: Table) -> Callable[[], None]:
    """Return what commits a copy of the first data file: snapshot, manifest and file, as an append leaves them."""
    iceberg = load(request.settings, table)
    first = next(iter(iceberg.scan().plan_files())).file.file_path
    with iceberg.io.new_input(first).open() as stream:
        content = stream.read()
    branch = Branch(
        *(request.spark, request.settings, table, iceberg, "main", "filled", "", {FIRST_DAY: "key"}, datetime.now(UTC))
    )

    def fill() -> None:
        location = f"{iceberg.location()}/data/{uuid.uuid4().hex}.parquet"
        with iceberg.io.new_output(location).create() as stream:
            stream.write(content)
        stage_files(branch, [DataFile(location, "")], (FIRST_DAY,), replaces=False)

    return fill


def refuse_tables_in_use(here: Settings) -> None:
    """Stop where other tables are: what is measured would be dropped there."""
    catalog, measured = open_catalog(here), (RUNS, GOLD_VOLUME_PROFILE_1D)
    others = [table for table in TABLES if table not in measured and catalog.table_exists(table.identifier)]
    if others:
        raise SystemExit(f"expected a home for this alone, found {others[0].identifier} in {here.home}: name another")


def make_anew(here: Settings, table: Table, care: Care) -> None:
    """Make an empty table."""
    catalog = open_catalog(here)
    if catalog.table_exists(table.identifier):
        catalog.drop_table(table.identifier)
    require_tables(here, [table])
    if not care.has_properties:
        with load(here, table).transaction() as change:
            change.remove_properties(*METADATA)


def cpu_s() -> float:
    """Return the CPU seconds that this process and its JVM have taken."""
    whole = [psutil.Process(), *psutil.Process().children(recursive=True)]
    return sum(times.user + times.system for process in whole for times in [process.cpu_times()])


def measure(request: Request, kind: Kind, care: Care, every: int) -> list[tuple[float, float]]:
    """Return the milliseconds, wall and CPU, of each commit to a table made anew."""
    table, count = kind.table, kind.count
    make_anew(request.settings, table, care)
    aged = request.settings.model_copy(update={"snapshot_max_age_days": care.max_age_days})
    milliseconds = []
    for number in range(1, count + 1):
        if number == AROUND + 1 and kind.is_filled:
            fill = filler(request, table)
        if kind.is_filled and AROUND < number <= count - AROUND:
            fill()
        else:
            cpu, began = cpu_s(), time.perf_counter()
            kind.commit(request, number)
            wall = time.perf_counter() - began
            milliseconds.append((1000 * wall, 1000 * (cpu_s() - cpu)))
        if care.is_maintained and number % every == 0 and number < count:
            work = Work(replace(request, settings=aged), frozenset())
            for task in TASKS:
                maintain_tables(work, task, [table])
    return milliseconds


def quantiles(milliseconds: Sequence[tuple[float, float]]) -> str:
    """Return p50 and p99 of wall time, and p50 of CPU."""
    ordered = sorted(wall for wall, _ in milliseconds)
    middle = statistics.median(cpu for _, cpu in milliseconds)
    return f"{statistics.median(ordered):.0f} / {ordered[math.ceil(0.99 * len(ordered)) - 1]:.0f} | {middle:.0f}"


def describe(here: Settings, table: Table) -> str:
    """Return how large a table has grown: snapshots, data files, KiB of its current metadata."""
    iceberg = load(here, table)
    size = iceberg.io.new_input(iceberg.metadata_location)
    files = len(list(iceberg.scan().plan_files()))
    return f"{len(iceberg.snapshots())} snapshots, {files} files, {len(size) // 1024} KiB"


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("home", type=Path)
    parser.add_argument("--commits", type=int, default=1000)
    parser.add_argument("--publishes", type=int, default=60)
    parser.add_argument("--every", type=int, default=100)
    parser.add_argument("--care", action="append", choices=[care.name for care in CARES], help="only this one")
    arguments = parser.parse_args()
    os.environ["LAKEHOUSE_HOME"] = str(arguments.home.absolute())
    here = settings()
    refuse_tables_in_use(here)
    request = Request(build_session("commits", here), here, None, "")
    print(f"profile {here.profile}, load of the machine {psutil.getloadavg()[0]:.1f}", flush=True)
    print("| Commit | Table | first ms | CPU | last ms | CPU | grown to |\n|---|---|---|---|---|---|---|", flush=True)
    kinds = (
        Kind(RUNS, append, arguments.commits, is_filled=True),
        Kind(GOLD_VOLUME_PROFILE_1D, publish_day, arguments.publishes, is_filled=False),
    )
    cares = [care for care in CARES if not arguments.care or care.name in arguments.care]
    for kind in kinds:
        for care in cares if kind.count else ():
            took = measure(request, kind, care, arguments.every)
            what = f"{kind.count} of {kind.table.identifier} | {care.name}"
            ends = f"{quantiles(took[:AROUND])} | {quantiles(took[-AROUND:])}"
            print(f"| {what} | {ends} | {describe(here, kind.table)} |", flush=True)
    print(f"load of the machine {psutil.getloadavg()[0]:.1f}", flush=True)


if __name__ == "__main__":
    main()
