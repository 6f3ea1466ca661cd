"""Old logs, removed: `python -m lakehouse.services.retention`.

Reads and removes  <home>/logs   files that nobody wrote to for LAKEHOUSE_LOG_MAX_AGE_DAYS, then empty folders
"""

from __future__ import annotations

import contextlib
import sys
import time
from pathlib import Path

from lakehouse.errors import LakehouseError
from lakehouse.settings import settings

DAY_S = 86_400


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


def main() -> int:
    """Remove the old logs of this lakehouse."""
    try:
        here = settings()
    except LakehouseError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    count = remove_old_logs(here.logs, here.log_max_age_days)
    sys.stdout.write(f"removed {count} log files older than {here.log_max_age_days} days\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
