"""The dialects that a run reads meter files by: those of the user before those that come with the package.

Reads   <landing>/dialects/*.yaml, or the folder that LAKEHOUSE_DIALECTS names
"""

from __future__ import annotations

from collections.abc import Callable

from lakehouse.config.settings import Settings
from lakehouse.reference.declaration import parse_all
from lakehouse.reference.declared_files import read_user_files
from spark_jobs.engine.job import Request
from spark_jobs.sources.base import Claim
from spark_jobs.sources.dialect import Dialect
from spark_jobs.sources.dialect_file import parse_dialect
from spark_jobs.sources.discovery import claim_file
from spark_jobs.sources.power_readings import PowerReadings

FOLDER = "dialects"


def user_dialects(landing: str, settings: Settings) -> tuple[Dialect, ...]:
    """Read what the user has declared.

    Raises:
        BadInputError: a file is not a dialect, two have one name, or the folder that the settings name is not there.
        UnavailableError: the folder or a file can't be read.
    """
    files = read_user_files("LAKEHOUSE_DIALECTS", settings.dialects, f"{landing}/{FOLDER}", settings)
    return parse_all(files, parse_dialect, "dialect")


def claims(request: Request) -> Callable[[str], Claim | None]:
    """Return what says which files are meters'; files of other sources are not, whatever a dialect's pattern."""
    source = PowerReadings(user_dialects(request.landing, request.settings))

    def claim(path: str) -> Claim | None:
        known = claim_file(path)
        return source.claim(path) if known is None or known.source == source.name else None

    return claim
