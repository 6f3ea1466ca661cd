"""Points in time of a table, as a person names them: a tag, a branch, a snapshot id, or a time."""

from __future__ import annotations

from datetime import UTC, datetime

from pyiceberg.table import Table as IcebergTable
from pyiceberg.table.snapshots import Snapshot

from lakehouse.errors import BadInputError

MAX_LISTED = 12
"""Names in an error message: enough to find the right one, still one line on a screen."""


def resolve_snapshot(table: IcebergTable, as_of: str | None) -> Snapshot | None:
    """Return the snapshot that `as_of` means, main's where it is None; None for a table without one.

    Raises:
        BadInputError: the table has no such tag, branch or snapshot, or none that old.
    """
    if as_of is None:
        return table.current_snapshot()
    name = ".".join(table.name())
    references = table.refs()
    if as_of in references:
        return table.snapshot_by_id(references[as_of].snapshot_id)
    if as_of.isdecimal():
        found = table.snapshot_by_id(int(as_of))
        if found is None:
            ids = [str(snapshot.snapshot_id) for snapshot in reversed(table.snapshots())]
            raise BadInputError(f"{name} has no snapshot {as_of}; it has {listed(ids)}")
        return found
    try:
        moment = datetime.fromisoformat(as_of)
    except ValueError:
        raise BadInputError(
            f"{name} has no tag or branch {as_of!r}, and it is no snapshot id or time like 2024-08-08T12:00:00Z; "
            f"there are {listed(sorted(references))}"
        ) from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    found = table.snapshot_as_of_timestamp(int(moment.timestamp() * 1000))
    if found is None:
        raise BadInputError(f"{name} did not exist yet, or is no longer remembered, as of {moment.isoformat()}")
    return found


def listed(names: list[str]) -> str:
    """Return names for an error message, the first ones where there are many."""
    if not names:
        return "none"
    return ", ".join(names[:MAX_LISTED]) + (f" and {len(names) - MAX_LISTED} more" if len(names) > MAX_LISTED else "")
