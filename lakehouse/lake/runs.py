"""Recorded runs, found by who called them: how an orchestrator learns what came of the jobs that it submitted.

Reads  lakehouse.ops.runs
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pyiceberg.exceptions import NoSuchTableError

from lakehouse.config.settings import Settings
from lakehouse.errors import UnavailableError, first_line
from lakehouse.lake.connection import CATALOG_ERRORS, open_catalog
from lakehouse.tables.logs import RUNS

Row = Mapping[str, Any]


def find_runs(settings: Settings, task: str, since: datetime) -> dict[int, list[Row]]:
    """Return the runs that a task called after a moment, oldest first, by the number of the task's attempt.

    An attempt names itself `<task> try <number>`; a job of a chain adds which one it is.

    Raises:
        UnavailableError: the catalog or the store does not answer.
    """
    called = re.compile(rf".* for {re.escape(task)} try (\d+)(, .*)?")
    try:
        log = open_catalog(settings).load_table(RUNS.identifier)
        rows = log.scan(row_filter=f"started_at >= '{since.isoformat()}'").to_arrow().to_pylist()
    except NoSuchTableError:
        return {}
    except CATALOG_ERRORS as error:
        raise UnavailableError(f"{RUNS.identifier} can't be read ({first_line(error)})") from error
    attempts: dict[int, list[Row]] = {}
    for row in sorted(rows, key=lambda row: row["started_at"]):
        found = called.fullmatch(row["run_by"])
        if found:
            attempts.setdefault(int(found[1]), []).append(row)
    return attempts
