"""Jobs as processes of their own: spark-submit and what follows it, started from the command line."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import IO

from lakehouse.config.project import ROOT, pipelines
from lakehouse.config.settings import Settings
from lakehouse.errors import BadInputError, LakehouseError
from lakehouse.install.spark_home import submit_command, submit_environment

JVM_NOISE = (b"WARNING: Using incubator modules: jdk.incubator.vector", b"Picked up JAVA_TOOL_OPTIONS:")
"""Lines that every JVM of Spark 4 prints and no option silences."""

EVERY_DOMAIN = ROOT / "spark_jobs" / "pipeline.py"
"""The pipelines of all domains, in one session."""

INTERRUPTED = 130
"""What a shell reports for a process that Ctrl-C ended."""


def find_pipeline(domain: str) -> Path:
    """Return the script that runs a domain's chain.

    Raises:
        BadInputError: the domain has none.
    """
    known = pipelines()
    if domain not in known:
        raise BadInputError(f"no domain {domain!r}; there are {', '.join(known) or 'none'}")
    return known[domain]


def spark_submit(script: Path, arguments: Sequence[str]) -> int:
    """Run a job until it ends, its output going to this process's, and return its exit code."""
    return run_process([*submit_command(), str(script), *arguments])


def run_process(command: Sequence[str], stdout: int | None = None) -> int:
    """Run a command until it ends; Ctrl-C and a polite kill reach it, and it is waited for."""
    with subprocess.Popen(command, stdout=stdout, stderr=subprocess.PIPE, env=submit_environment()) as process:
        assert process.stderr is not None  # noqa: S101 - stderr=PIPE makes one
        pump = threading.Thread(target=_copy_without_noise, args=(process.stderr,), daemon=True)
        pump.start()
        with _passing_on(process, signal.SIGTERM):
            try:
                code = process.wait()
            except KeyboardInterrupt:
                # The terminal sent it the signal, too: it rolls back and ends by itself, and the with block waits
                code = INTERRUPTED
        pump.join()
    return 128 - code if code < 0 else code


@contextmanager
def _passing_on(process: subprocess.Popen[bytes], number: signal.Signals) -> Iterator[None]:
    def pass_on(received: int, _frame: FrameType | None) -> None:
        process.send_signal(received)

    previous = signal.signal(number, pass_on)
    try:
        yield
    finally:
        signal.signal(number, previous)


def _copy_without_noise(stream: IO[bytes]) -> None:
    for line in stream:
        if not line.startswith(JVM_NOISE):
            sys.stderr.buffer.write(line)
            sys.stderr.buffer.flush()


def train_model(name: str) -> int:
    """Train a model and return the exit code; what it says goes to this process's stderr.

    A process of its own, since the ground floor does not know the models. The run's id, its output, is for scripts.
    """
    return run_process([sys.executable, "-m", "lakehouse", "train", name], stdout=subprocess.DEVNULL)


def build_report(settings: Settings) -> Path:
    """Write the data-quality pages and return the one to open.

    A process of its own, since the ground floor does not know the suites.

    Raises:
        LakehouseError: the pages were not written.
    """
    code = run_process([sys.executable, "-m", "lakehouse", "report"], stdout=subprocess.DEVNULL)
    page = settings.reports / "index.html"
    if code or not page.is_file():
        raise LakehouseError(f"{page} was not written: `lakehouse report` ended with {code}")
    return page
