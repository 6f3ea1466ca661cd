"""What attempts at a commit have in common: the failures that may pass, and one log line for each."""

from __future__ import annotations

import logging
from collections.abc import Callable

from pyiceberg.exceptions import CommitFailedException
from tenacity import RetryCallState

from lakehouse.errors import first_line
from lakehouse.lake.connection import CATALOG_ERRORS

PASSING = (CommitFailedException, *CATALOG_ERRORS)
"""Another commit was first, or catalog or store did not answer."""


def log_failure(logger: logging.Logger, what: str) -> Callable[[RetryCallState], None]:
    """Return what tenacity calls before it sleeps: a warning if the attempt failed."""

    def log(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        if error is not None:
            logger.warning("%s: %s; trying again", what, first_line(error))

    return log
