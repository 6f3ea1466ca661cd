"""A victim for test_kill.py: runs one job and kills its own process group, driver and JVM, at a named moment.

    python killed_run.py <module of the job> <moment> <protected|unprotected> [arguments of the job]

Nothing in the product knows of this: the moment is a function of the product that is replaced by the kill. A run that
is unprotected writes straight to `main`.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from lakehouse.lake.counts import count_by
from lakehouse.slices import Slice
from spark_jobs.engine import kept, publish, run, stage
from spark_jobs.engine.files import DataFile
from spark_jobs.engine.session import build_session
from spark_jobs.layers import balance
from spark_jobs.layers.command_line import argument_parser, build_request


def kill(*_: object, **__: object) -> None:
    os.killpg(os.getpgrp(), signal.SIGKILL)
    time.sleep(60)  # the signal may arrive after the call has returned


def kill_while_writing(folder: Path) -> None:
    """Kill as soon as a task has begun a data file that was not there before."""
    before = set(folder.rglob("*.parquet"))

    def watch() -> None:
        while not set(folder.rglob("*.parquet")) - before:
            time.sleep(0.001)
        kill()

    threading.Thread(target=watch, daemon=True).start()


def kill_at_fast_forward(number: int) -> None:
    """Kill before the table of that number, from 1, is published."""
    publish_table = publish.fast_forward
    begun = []

    def fast_forward(attempt: publish.Attempt, staged: publish.Staged) -> None:
        begun.append(staged)
        if len(begun) == number:
            kill()
        publish_table(attempt, staged)

    publish.fast_forward = fast_forward


def commit_to_main(
    branch: stage.Branch, files: Iterable[DataFile], slices: Sequence[Slice], *, kill_after_first: bool, **how: bool
) -> Sequence[Slice]:
    """Commit each file to `main` when its turn comes, as a writer does that knows no branch."""
    for file in files:
        stage.stage_files(replace(branch, name="main"), [file], slices, **how)
        if kill_after_first:
            kill()
        how = {"replaces": False}  # only the first takes the place of the slices' rows
    return slices


def main(module: str, moment: str, protection: str, *arguments: str) -> None:
    """Arrange the kill and run the job; it must not come back."""
    job = importlib.import_module(module).JOB
    request = build_request(argument_parser("").parse_args(arguments), partial(build_session, "victim"))
    if protection == "unprotected":
        kept.stage_files = partial(commit_to_main, kill_after_first=moment == "while writing")
        balance.count_by = lambda *what: count_by(*what[:4], "main")
        stage.Branch.writable_name = property(lambda branch: branch.table.full_name)
        stage.Branch.read = lambda branch: branch.spark.table(branch.table.full_name)
    match moment:
        case "while writing" if protection == "protected":
            kill_while_writing(request.settings.home / "warehouse" / job.table.layer / job.table.name)
        case "between write and audit":
            publish.audit_all = kill
        case "between audit and publish":
            kill_at_fast_forward(1)
        case "between the two tables":
            kill_at_fast_forward(2)
        case "after publish":
            publish.drop_branches = kill
        case "before the record":
            run.record = kill
        case "while writing":
            pass  # after the first file, in commit_to_main
        case _:
            raise SystemExit(f"no such moment: {moment}")
    run.run(job, request)
    raise SystemExit(f"survived: {moment}")


if __name__ == "__main__":
    main(*sys.argv[1:])
