"""A command of `lakehouse` as a task: a process of its own, so that nothing heavy runs where Airflow does."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from typing import Any

from airflow.sdk import BaseOperator

from dags.common.ending import ending_of, settle
from lakehouse.config.settings import settings

KEPT_LINES = 50
"""Of a command's output; all of it is in the log."""


class CommandOperator(BaseOperator):
    """Run `lakehouse <arguments>` (templated) and settle the task by its exit code; returns its last line."""

    template_fields: Sequence[str] = ("arguments",)

    def __init__(self, *, arguments: Sequence[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.arguments = list(arguments)
        self._process: subprocess.Popen[str] | None = None

    def command(self) -> list[str]:
        """Return the command line; an argument that was rendered to nothing is left out."""
        return [sys.executable, "-m", "lakehouse", *(each for each in self.arguments if each)]

    def execute(self, context: Any) -> dict[str, Any]:
        """Run the command.

        Raises:
            AirflowFailException: bad input, or a model that did not pass its gate.
            AirflowException: anything that may go well the next time.
        """
        return {"message": self.run_command()[-1]}

    def run_command(self) -> list[str]:
        """Run the command, its output going to the task's log, and return its last lines; at least one.

        Raises:
            AirflowFailException, AirflowException: as `execute`.
        """
        self.log.info("command: %s", self.command())
        lines: deque[str] = deque(maxlen=KEPT_LINES)
        self._process = subprocess.Popen(
            self.command(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="backslashreplace",
            cwd=settings().home,
            start_new_session=True,
        )
        with self._process as process:
            for line in process.stdout or ():
                self.log.info("%s", line.rstrip())
                if line.strip():
                    lines.append(line.strip())
        said = [*lines] or [""]
        errors = [line for line in said if line.startswith("error: ")]
        settle(ending_of(process.returncode, (errors or said)[-1]))
        return said

    def on_kill(self) -> None:
        """End the process with all that it started."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGTERM)
