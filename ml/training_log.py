"""The log of a step of training as a file of its MLflow run: what was said and warned of and how it ended, with times.

Writes  logs/<step>.log   once a minute while it grows, and when the step ends, by a failure, too

A step that is done again begins it anew.
It stays for as long as the run, in the bucket of MLflow in profile stack. A log that can't be kept fails nothing.
"""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

from lakehouse.errors import LakehouseError, first_line
from ml.tracking import Context

KEPT_EVERY_S = 60.0
OWN_LOGGERS = ("lakehouse", "ml")


class TrainingLog(logging.Handler):
    """Lines of a step, each with its time in UTC, and where they are kept."""

    def __init__(self, context: Context, run_id: str, step: str) -> None:
        super().__init__(logging.INFO)
        self.context, self.run_id, self.name_in_run = context, run_id, f"logs/{step}.log"
        self.text, self.kept_at = "", time.monotonic()

    def note(self, text: str) -> None:
        """Add lines."""
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self.text += "".join(f"{now} {line}\n" for line in text.splitlines())
        if time.monotonic() - self.kept_at > KEPT_EVERY_S:
            self.keep()

    def say(self, line: str) -> None:
        """Add a line and say it."""
        self.context.say(line)
        self.note(line)

    def emit(self, record: logging.LogRecord) -> None:
        """Add what a module logged."""
        self.note(f"{record.levelname.lower()}: {record.name}: {record.getMessage()}")

    def keep(self) -> None:
        """Write the log over the one before."""
        from mlflow.exceptions import MlflowException

        self.kept_at = time.monotonic()
        try:
            self.context.client.log_text(self.run_id, self.text, self.name_in_run)
        except (MlflowException, OSError) as error:
            self.context.say(f"{self.name_in_run} can't be kept in MLflow: {first_line(error)}")


@contextmanager
def kept_log(context: Context, run_id: str, step: str) -> Iterator[Context]:
    """Keep the log of one step; what it yields says as before, and into the log."""
    log = TrainingLog(context, run_id, step)
    for name in OWN_LOGGERS:
        logging.getLogger(name).addHandler(log)
    try:
        yield replace(context, say=log.say)
    except LakehouseError as error:
        log.note(f"error: {error}")
        raise
    except BaseException:
        log.note(traceback.format_exc())
        raise
    finally:
        for name in OWN_LOGGERS:
            logging.getLogger(name).removeHandler(log)
        log.keep()
