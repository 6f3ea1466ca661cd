"""The dialects that a run reads meter files by: those of the user before those that come with the package.

Reads   <landing>/dialects/*.yaml, or the folder that LAKEHOUSE_DIALECTS names
"""

from __future__ import annotations

from collections.abc import Callable

from pyarrow import fs

from lakehouse.config.settings import Settings
from lakehouse.errors import BadInputError
from lakehouse.lake.store import open_filesystem
from spark_jobs.engine.job import Request
from spark_jobs.sources.base import Claim
from spark_jobs.sources.dialect import Dialect
from spark_jobs.sources.dialect_file import distinct, parse_dialect
from spark_jobs.sources.discovery import claim_file
from spark_jobs.sources.landing import list_landing, read_bytes
from spark_jobs.sources.power_readings import PowerReadings

FOLDER = "dialects"


def user_dialects(landing: str, settings: Settings) -> tuple[Dialect, ...]:
    """Read what the user has declared.

    Raises:
        BadInputError: a file is no dialect, two have one name, or the folder that the settings name is not there.
    """
    folder = settings.dialects or f"{landing}/{FOLDER}"
    filesystem, path = open_filesystem(folder, settings)
    if filesystem.get_file_info(path).type != fs.FileType.Directory:
        if settings.dialects:
            raise BadInputError(f"LAKEHOUSE_DIALECTS names {folder}, which is no folder")
        return ()
    files = [file for file in list_landing(folder, settings) if file.path.endswith((".yaml", ".yml"))]
    texts = [(file.path, read_bytes(file.url, settings).decode(errors="replace")) for file in files]
    return distinct([(path, parse_dialect(text, f"{folder}/{path}")) for path, text in texts])


def claims(request: Request) -> Callable[[str], Claim | None]:
    """Return what says which files are meters'; files of other sources are not, whatever a dialect's pattern."""
    source = PowerReadings(user_dialects(request.landing, request.settings))

    def claim(path: str) -> Claim | None:
        known = claim_file(path)
        return source.claim(path) if known is None or known.source == source.name else None

    return claim
