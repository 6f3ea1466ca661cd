"""What becomes of a task when its process has ended: the exit codes of every job and command, as Airflow's outcomes."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow.sdk.exceptions import AirflowException, AirflowFailException

from lakehouse.errors import ExitCode
from lakehouse.tables.logs import RUN_FACTS

logger = logging.getLogger(__name__)

NEEDS_A_PERSON = (ExitCode.BAD_INPUT, ExitCode.AUDIT_FAILED)
"""Running the same again would end the same: no retry."""


@dataclass(frozen=True)
class Ending:
    """How a process ended: its exit code (negative where a signal ended it) and one line for a person."""

    exit_code: int
    message: str
    facts: Mapping[str, Any]

    @property
    def is_success(self) -> bool:
        """True where the tables are as they should be; some files may be quarantined."""
        return self.exit_code in (ExitCode.DONE, ExitCode.QUARANTINED)


def ending_of(exit_code: int, message: str = "", row: Mapping[str, Any] | None = None) -> Ending:
    """Describe an ending by the recorded run where there is one, else by what the process said last."""
    if row is not None:
        facts = {name: row[name] for name in RUN_FACTS}
        return Ending(int(row["exit_code"]), one_line(row["message"]), facts)
    if exit_code < 0 or exit_code > 128:
        signal = -exit_code if exit_code < 0 else exit_code - 128
        message = f"ended by signal {signal}" + (f": {message}" if message else "")
    elif exit_code and not message:
        message = "it left no message; the lines above may tell more"
    return Ending(exit_code, one_line(message), {"exit_code": exit_code})


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
        logger.warning("published, some files are quarantined: %s", ending.message)
    elif ending.is_success:
        logger.info("%s", ending.message or "done")
    elif ending.exit_code in NEEDS_A_PERSON:
        raise AirflowFailException(f"exit code {ending.exit_code}, not retried: {ending.message}")
    else:
        raise AirflowException(f"exit code {ending.exit_code}: {ending.message}")
