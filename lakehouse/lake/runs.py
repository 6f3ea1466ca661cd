"""One recorded run, found by who called it: how an orchestrator learns what came of the job that it submitted.

Reads  lakehouse.ops.runs
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pyiceberg.exceptions import NoSuchTableError

from lakehouse.config.settings import Settings
from lakehouse.errors import UnavailableError, first_line
from lakehouse.lake.connection import CATALOG_ERRORS, open_catalog
from lakehouse.tables.logs import RUNS


def find_run(settings: Settings, called_by: str, since: datetime) -> Mapping[str, Any] | None:
    """Return the last run of a caller that began after a moment; None where none was recorded.

    Raises:
        UnavailableError: the catalog or the store does not answer.
    """
    try:
        log = open_catalog(settings).load_table(RUNS.identifier)
        rows = log.scan(row_filter=f"started_at >= '{since.isoformat()}'")
        found = [row for row in rows.to_arrow().to_pylist() if row["run_by"].endswith(f" for {called_by}")]
    except NoSuchTableError:
        return None
    except CATALOG_ERRORS as error:
        raise UnavailableError(f"{RUNS.identifier} can't be read ({first_line(error)})") from error
    return max(found, key=lambda row: row["started_at"]) if found else None
