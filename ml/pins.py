"""Tags that keep a snapshot: set when a run is prepared, made lasting with its registered version, released with it.

Writes  tags of gold tables   named model_<model>_<run>

A tag changes the table's references alone. Where another program commits at the same moment the catalog refuses, and
where an answer is lost nobody knows: so the references are read again before anything is said or repeated.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from operator import not_

from pyiceberg.table import Table as IcebergTable
from pyiceberg.table.refs import SnapshotRef
from tenacity import (
    RetryCallState,
    RetryError,
    Retrying,
    retry_if_exception_type,
    retry_if_result,
    stop_after_attempt,
)

from lakehouse.config.settings import Settings
from lakehouse.errors import BadInputError, UnavailableError, first_line
from lakehouse.lake.attempts import PASSING, log_failure
from lakehouse.lake.catalog import load
from lakehouse.tables import Table

logger = logging.getLogger(__name__)

PREFIX = "model_"
TAG = re.compile(r"model_[a-z][a-z0-9_]{1,62}_[0-9a-f]{32}")
DAY_MS = 86_400_000
PAUSES_S = (0.05, 0.1, 0.3, 1.0, 2.0)
"""Between attempts: another commit is over in a fraction of a second."""


def tag_name(model: str, run_id: str) -> str:
    """Return the tag of a training run.

    Raises:
        BadInputError: the names do not make one.
    """
    name = f"{PREFIX}{model}_{run_id}"
    if not TAG.fullmatch(name):
        raise BadInputError(f"expected a tag like model_<model>_<32 hex digits>, found {name!r}")
    return name


def pin(settings: Settings, table: Table, snapshot_id: int, tag: str, max_age_days: int | None) -> None:
    """Set a tag at a snapshot, for some days or, where None, for good; it may be there already.

    Raises:
        BadInputError: the tag is at another snapshot, or the snapshot is gone.
        UnavailableError: the catalog did not take it.
    """
    max_age_ms = None if max_age_days is None else max_age_days * DAY_MS

    def is_done(references: dict[str, SnapshotRef]) -> bool:
        found = references.get(tag)
        if found is not None and found.snapshot_id != snapshot_id:
            raise BadInputError(
                f"tag {tag} of {table.identifier} is at snapshot {found.snapshot_id}, expected {snapshot_id}"
            )
        return found is not None and found.max_ref_age_ms == max_age_ms

    def change(iceberg: IcebergTable) -> None:
        if iceberg.snapshot_by_id(snapshot_id) is None:
            raise BadInputError(f"{table.identifier} has no snapshot {snapshot_id} any more; prepare a new run")
        iceberg.manage_snapshots().create_tag(snapshot_id, tag, max_age_ms).commit()

    change_references(settings, table, change, is_done)


def release(settings: Settings, table: Table, tag: str) -> None:
    """Remove a tag; it may be gone already.

    Raises:
        UnavailableError: the catalog did not take it.
    """
    change_references(
        settings,
        table,
        lambda iceberg: iceberg.manage_snapshots().remove_tag(tag).commit(),
        lambda references: tag not in references,
    )


def model_tags(settings: Settings, table: Table) -> dict[str, SnapshotRef]:
    """Return the tags of training runs that a table has."""
    return {name: found for name, found in load(settings, table).refs().items() if TAG.fullmatch(name)}


def change_references(
    settings: Settings,
    table: Table,
    change: Callable[[IcebergTable], None],
    is_done: Callable[[dict[str, SnapshotRef]], bool],
) -> None:
    """Change the references until they are as wanted.

    Raises:
        UnavailableError: they are not, after several attempts.
    """

    def attempt() -> bool:
        """Return whether the references are as wanted; if not, change them, and another attempt looks at them."""
        iceberg = load(settings, table)
        if is_done(dict(iceberg.refs())):
            return True
        change(iceberg)
        return False

    attempts = Retrying(
        retry=retry_if_exception_type(PASSING) | retry_if_result(not_),
        stop=stop_after_attempt(len(PAUSES_S) + 1),
        wait=_pause_after,
        before_sleep=log_failure(logger, f"tags of {table.identifier}"),
    )
    try:
        attempts(attempt)
    except RetryError as error:
        if not is_done(dict(load(settings, table).refs())):
            failure = error.last_attempt.exception()
            why = first_line(failure) if failure else "the change is not there"
            message = f"the tags of {table.identifier} could not be changed ({why}); run the same again"
            raise UnavailableError(message) from failure


def _pause_after(state: RetryCallState) -> float:
    """Return how long to wait before the references are read again: not at all after a change that went well."""
    is_failed = state.outcome is not None and state.outcome.failed
    return (*PAUSES_S, 0.0)[state.attempt_number - 1] if is_failed else 0.0
