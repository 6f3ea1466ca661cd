"""Download of the UCI household power file into the landing folder, with its sha256 put on record the first time.

Reads   <url>   the zip as UCI publishes it, about 20 MB
Writes  <landing>/power/individual+household+electric+power+consumption.zip and, beside it, .zip.sha256

UCI publishes no checksum. So the first download is checked by the archive's own CRCs and its one member, and its sha256
is recorded; every later download must have it.
"""

from __future__ import annotations

import logging
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import requests

from lakehouse.errors import BadInputError, UnavailableError
from lakehouse.landing.download import RETRY_PAUSES_S, Line, check_base_url, file_sha256, store

logger = logging.getLogger(__name__)

NAME = "individual+household+electric+power+consumption.zip"
UCI_POWER = f"https://archive.ics.uci.edu/static/public/235/{NAME}"
MEMBER = "household_power_consumption.txt"
MAX_BYTES = 200 * 1024**2
"""Ten times the archive."""


def fetch_power(
    landing: Path,
    *,
    url: str = UCI_POWER,
    on_progress: Callable[[str], None] = logger.info,
    retry_pauses_s: Sequence[float] = RETRY_PAUSES_S,
) -> Path:
    """Download the archive and return its path; one that is there and is what the record says is kept.

    Raises:
        BadInputError: the URL is no HTTPS URL, or what comes is not the archive or not the one on record.
        UnavailableError: the server or the line failed, or the folder cannot be written; safe to repeat.
    """
    check_base_url(url)
    target = landing / "power" / NAME
    record = target.with_name(f"{NAME}.sha256")
    try:
        recorded = record.read_text("ascii").split()[0] if record.exists() else None
        if target.exists() and recorded is not None and file_sha256(target) == recorded:
            on_progress(f"{NAME}: already there with the recorded sha256")
            return target
        sha256 = _download(url, target, recorded, on_progress, retry_pauses_s)
        record.write_text(f"{sha256}  {NAME}\n", encoding="ascii")
    except (OSError, IndexError) as error:
        raise UnavailableError(
            f"cannot write {target} or read {record}: {error}; the same command is safe to repeat"
        ) from error
    return target


def _download(
    url: str,
    target: Path,
    recorded: str | None,
    on_progress: Callable[[str], None],
    retry_pauses_s: Sequence[float],
) -> str:
    def check(part: Path, sha256: str) -> None:
        if recorded is not None and sha256 != recorded:
            raise BadInputError(
                f"{url}: sha256 {recorded} is on record in {target.name}.sha256, the download has {sha256}; nothing "
                "was kept; remove the record if the publisher has changed the file on purpose"
            )
        _check_archive(part, url)

    verdict = "sha256 recorded" if recorded is None else "sha256 as recorded"
    with requests.Session() as session:
        # A compressed transfer would make Content-Length mean something else than the file's size.
        session.headers["Accept-Encoding"] = "identity"
        line = Line(session, on_progress, retry_pauses_s, publisher="UCI", missing="it may have moved", verdict=verdict)
        return line.repeat(url, lambda: store(line, url, target, MAX_BYTES, check))


def _check_archive(part: Path, url: str) -> None:
    """Demand the archive's one member, whole."""
    try:
        with zipfile.ZipFile(part) as archive:
            names = archive.namelist()
            if names != [MEMBER]:
                raise BadInputError(f"{url}: expected an archive of {MEMBER}, found {', '.join(names)[:200]}")
            damaged = archive.testzip()
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise BadInputError(f"{url}: expected a zip archive of {MEMBER}, found {error}; nothing was kept") from None
    if damaged is not None:
        raise BadInputError(f"{url}: member {damaged} is damaged; nothing was kept")
