"""A command of `lakehouse` as a task: a process of its own, so that nothing heavy runs where Airflow does."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from airflow.providers.standard.hooks.subprocess import SubprocessHook
from airflow.sdk import BaseOperator

from dags.common.ending import ending_of, settle
from lakehouse.settings import settings


class CommandOperator(BaseOperator):
    """Run `python -m <module> <arguments>` (templated) and settle the task by its exit code; returns its last line."""

    template_fields: Sequence[str] = ("arguments",)

    def __init__(self, *, arguments: Sequence[str], module: str = "lakehouse", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.arguments = list(arguments)
        self.module = module
        self._hook = SubprocessHook()

    def command(self) -> list[str]:
        """Return the command line; an argument that was rendered to nothing is left out."""
        return [sys.executable, "-m", self.module, *(each for each in self.arguments if each)]

    def execute(self, context: Any) -> dict[str, Any]:
        """Run the command.

        Raises:
            AirflowFailException: bad input, or a model that did not pass its gate.
            AirflowException: anything that may go well the next time.
        """
        done = self._hook.run_command(self.command(), cwd=str(settings().home))
        ending = ending_of(done.exit_code, done.output)
        settle(ending)
        return {"message": ending.message}

    def on_kill(self) -> None:
        """End the process with all that it started."""
        if self._hook.sub_process is not None:
            self._hook.send_sigterm()
