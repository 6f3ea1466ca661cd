"""Old logs, removed: `lakehouse remove-old-logs`.

Writes             <home>/logs/<service>.<day>.log   what a service's log held once it was large; it is begun anew
Reads and removes  <home>/logs           files that nobody wrote to for LAKEHOUSE_LOG_MAX_AGE_DAYS, then empty folders
                   LAKEHOUSE_TASK_LOGS   objects of that age; by listing, since not every S3 store removes by itself
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from datetime import UTC, datetime
from pathlib import Path

from lakehouse.config.settings import Settings
from lakehouse.errors import UnavailableError, first_line
from lakehouse.services.task_logs import open_task_logs

DAY_S = 86_400
LARGE = 16 * 1024**2
"""Bytes from which on a running service's log is set aside."""


def set_large_logs_aside(folder: Path, large: int = LARGE) -> int:
    """Move what large logs of running services hold into a file of the day; return how many.

    A service keeps its file open and appends, so the file is emptied and not moved: a line written meanwhile is lost.
    """
    count, day = 0, datetime.now(UTC).date()
    for log in folder.glob("*.log"):
        is_aside = "." in log.stem
        if log.stat().st_size > large and not is_aside:
            with log.open("rb") as content, log.with_suffix(f".{day}.log").open("ab") as aside:
                shutil.copyfileobj(content, aside)
            os.truncate(log, 0)
            count += 1
    return count


def remove_old_logs(folder: Path, max_age_days: int) -> int:
    """Remove files that were last written before then, and the folders that they leave empty; return how many."""
    oldest, removed = time.time() - max_age_days * DAY_S, 0
    for path in [path for path in folder.rglob("*") if not path.is_dir()]:
        with contextlib.suppress(OSError):  # another process may remove it first, or write into its folder
            if path.lstat().st_mtime < oldest:
                path.unlink()
                removed += 1
                for parent in path.relative_to(folder).parents[:-1]:
                    (folder / parent).rmdir()
    return removed


def remove_stored_logs(here: Settings) -> int:
    """Remove the old logs of tasks in the store; return how many.

    Raises:
        UnavailableError: the store does not answer or does not let them be removed.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    logs = open_task_logs(here)
    try:
        return logs.remove_older(here.log_max_age_days) if logs else 0
    except (BotoCoreError, ClientError) as error:
        raise UnavailableError(f"{here.task_logs}: old logs can't be removed ({first_line(error)})") from error


def apply_retention(here: Settings) -> str:
    """Remove the old logs of this lakehouse, on this machine and in the store, and return what was removed, in words.

    Raises:
        UnavailableError: the store does not answer or does not let them be removed.
    """
    set_large_logs_aside(here.logs)
    removed = f"{remove_old_logs(here.logs, here.log_max_age_days)} log files"
    if here.task_logs:
        removed += f" and {remove_stored_logs(here)} objects below {here.task_logs}"
    return f"removed {removed} older than {here.log_max_age_days} days"
