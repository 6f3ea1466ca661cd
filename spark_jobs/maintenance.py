"""Keep tables small and quick: leftover branches, compaction, expiry of snapshots, orphan files, old metadata.

Reads   every table that there is
Writes  nothing that a reader sees: the same rows in fewer files, and no longer what nobody can reach

    spark-submit spark_jobs/maintenance.py                          all tasks, all tables
    spark-submit spark_jobs/maintenance.py --task compaction --table gold.bars_1m --dry-run

It yields: a table at which a run is at work is left for the next time, and where another run publishes first, it has
won. Tags hold their snapshots, so that a registered model can be trained again from its very rows. `main` moves by
fast-forward here, too. Expiry forgets old day keys: a day asked for again is then made again, to the same rows.
"""

from __future__ import annotations

import argparse
import secrets
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from pyiceberg.table import Table as IcebergTable

from lakehouse.errors import ExitCode
from lakehouse.lake.catalog import append_log, load, read_log
from lakehouse.lake.connection import open_catalog
from lakehouse.lake.migration import require_tables
from lakehouse.tables import TABLES, Table, find_table
from lakehouse.tables.logs import RUNS
from spark_jobs.engine.job import Request
from spark_jobs.engine.publish import MainMovedError
from spark_jobs.engine.run import run_by
from spark_jobs.engine.upkeep import Work, compact, drop_leftover_branches, expire, remove_orphans, trim_metadata
from spark_jobs.layers.command_line import EXIT_CODES, finish

TASKS: dict[str, Callable[[Work, Table, IcebergTable], str]] = {
    "branches": drop_leftover_branches,
    "compaction": compact,
    "expiry": expire,
    "orphans": remove_orphans,
    "metadata": trim_metadata,
}


def maintain(request: Request, tasks: Sequence[str], tables: Sequence[Table]) -> ExitCode:
    """Do the tasks in their order on every table; each task is one row of ops.runs."""
    require_tables(request.settings, [RUNS])
    recorded = frozenset(read_log(request.settings, RUNS).column("run_id").to_pylist())
    work = Work(request, recorded)
    for task in tasks:
        began = time.monotonic()
        done = maintain_tables(work, task, tables)
        would = "would treat" if request.is_dry_run else "treated"
        message = f"{would} {'; '.join(done)}" if done else "nothing to do"
        sys.stdout.write(f"maintenance.{task}: {message}\n")
        if not request.is_dry_run:
            append_log(request.settings, RUNS, [row_of(request, task, tables, message, time.monotonic() - began)])
    return ExitCode.DONE


def maintain_tables(work: Work, task: str, tables: Sequence[Table]) -> list[str]:
    """Do one task on every table that exists and at which nobody works; return what was done, in words."""
    catalog = open_catalog(work.request.settings)
    done = []
    for table in tables:
        if not catalog.table_exists(table.identifier):
            continue
        iceberg = load(work.request.settings, table)
        try:
            what = "" if iceberg.current_snapshot() is None else TASKS[task](work, table, iceberg)
        except MainMovedError:
            what = "left: another run published meanwhile"
        if what:
            done.append(f"{table.identifier} ({what})")
    return done


def row_of(request: Request, task: str, tables: Sequence[Table], message: str, seconds: float) -> dict[str, Any]:
    """Return the row of ops.runs."""
    return {
        "run_id": secrets.token_hex(8),
        "run_key": "",
        "job": f"maintenance.{task}",
        "table_name": tables[0].identifier if len(tables) == 1 else "every table",
        "days": [],
        "outcome": "published",
        "exit_code": int(ExitCode.DONE),
        "message": message,
        "rows_in": None,
        "rows_out": None,
        "rows_rejected": None,
        "rows_duplicate": None,
        "seconds": seconds,
        "snapshot_id": None,
        "started_at": request.started_at,
        "run_by": run_by(request),
    }


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0], epilog=EXIT_CODES)
    parser.add_argument("--task", action="append", choices=[*TASKS], help="only this one; may be given several times")
    parser.add_argument("--table", action="append", metavar="LAYER.NAME", help="only this table; several times")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done; change nothing")
    parser.add_argument("--debug", action="store_true", help="show the traceback of a crash")
    parser.set_defaults(dataset=None, first=None, last=None, landing=None, replace=False, strict=False)
    return parser.parse_args(arguments)


def main() -> None:
    """Do what the command line asks for and leave the process with its exit code."""
    arguments = parse()

    def work(request: Request) -> ExitCode:
        tables = [find_table(name) for name in arguments.table] if arguments.table else [*TABLES]
        return maintain(request, arguments.task or [*TASKS], tables)

    finish(arguments, "maintenance", work)


if __name__ == "__main__":
    main()
