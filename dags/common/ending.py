"""What becomes of a task when its process has ended: the exit codes of every job and command, as Airflow's outcomes."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow.sdk.exceptions import AirflowException, AirflowFailException

from lakehouse.errors import PASSING, ExitCode, worst_code
from lakehouse.tables.logs import RUN_FACTS

logger = logging.getLogger(__name__)

Row = Mapping[str, Any]

NEEDS_A_PERSON = (ExitCode.BAD_INPUT, ExitCode.AUDIT_FAILED)
"""Running the same again would end the same: no retry."""
SHELL_SIGNAL = 128
"""A shell adds it to the number of the signal that ended a process."""
STEP = re.compile(r", job (\d+) of (\d+)$")
"""Ends the `run_by` of a job that a chain ran."""


@dataclass(frozen=True)
class Ending:
    """How a process ended: its exit code (negative where a signal ended it), a line for a person, its recorded runs."""

    exit_code: int
    message: str
    runs: tuple[Row, ...] = ()

    @property
    def is_success(self) -> bool:
        """True where the tables are as they should be; files may be quarantined and parts held back."""
        return self.exit_code in PASSING

    @property
    def set_aside(self) -> tuple[str, ...]:
        """What the runs that quarantined files or held parts back say: the parts and their files, a line each."""
        return tuple(said(run) for run in self.runs if run["exit_code"] == ExitCode.QUARANTINED)


def ending_of(exit_code: int, message: str = "", runs: Sequence[Row] = ()) -> Ending:
    """Describe an ending by the recorded runs, where they tell it, else by the process's exit code and last words.

    A cluster loses the exit code, so that the runs come first: one that failed, or all of a chain. If no run failed and
    some of the chain are missing, the process died between two jobs or in one.
    """
    recorded = tuple({name: run[name] for name in RUN_FACTS} for run in runs)
    worst = worst_code(run["exit_code"] for run in runs)
    if runs and (worst not in PASSING or exit_code in PASSING or is_complete(runs)):
        telling = [run for run in runs if run["exit_code"] not in PASSING] or runs
        return Ending(int(worst), one_line("; ".join(map(said, telling))), recorded)
    number = -exit_code if exit_code < 0 else exit_code - SHELL_SIGNAL if exit_code > SHELL_SIGNAL else 0
    if number:
        message = ": ".join(part for part in (f"ended by signal {number}", message) if part)
    elif exit_code not in PASSING and not message:
        message = "it left no message; the lines above may tell more"
    if runs:
        message += f" (after {runs[-1]['job']})"
    return Ending(exit_code, one_line(message), recorded)


def said(run: Row) -> str:
    """Return what a run said of itself, with its job's name."""
    return f"{run['job']}: {run['message'].removeprefix('error: ')}"


def is_complete(runs: Sequence[Row]) -> bool:
    """Return whether the runs of one attempt are all that it was to make; a job alone does not say which one it is."""
    step = STEP.search(runs[-1]["run_by"])
    return step is None or step[1] == step[2]


def one_line(text: str) -> str:
    """Return a text as one line, without the mark that the command line puts before it."""
    return " ".join(text.split()).removeprefix("error: ")


def settle(ending: Ending) -> None:
    """Let the task succeed, fail for good, or fail so that it is retried.

    Raises:
        AirflowFailException: bad input or a failed audit: a person has to look.
        AirflowException: a crash, a kill, a conflict, a service away: the same run again may do it.
    """
    if ending.exit_code == ExitCode.QUARANTINED:
        logger.warning("published, with files quarantined or parts held back: %s", ending.message)
    elif ending.is_success:
        logger.info("%s", ending.message or "done")
    elif ending.exit_code in NEEDS_A_PERSON:
        raise AirflowFailException(f"exit code {ending.exit_code}, not retried: {ending.message}")
    else:
        raise AirflowException(f"exit code {ending.exit_code}: {ending.message}")
