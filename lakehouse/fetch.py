"""Download of the exchange's public daily dumps into the landing folder, each checked against its published sha256.

Reads   <base>/data/spot/daily/<dataset>/<SYMBOL>/<SYMBOL>-<dataset>-<day>.zip and the .CHECKSUM file beside it
Writes  <landing>/binance/<SYMBOL>/<SYMBOL>-<dataset>-<day>.zip

A file gets its final name only once its sha256 is right; until then it is a `.part` file in the same folder. The
.CHECKSUM file is read, not stored. Proxies and certificates come from the environment as `requests` reads them
(HTTPS_PROXY, NO_PROXY, REQUESTS_CA_BUNDLE).
"""

from __future__ import annotations

import hashlib
import ipaddress
import logging
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TypeVar
from urllib.parse import urljoin, urlsplit

import requests

from lakehouse.days import day_range
from lakehouse.errors import BadInputError, UnavailableError

logger = logging.getLogger(__name__)

BINANCE_DUMPS = "https://data.binance.vision"
DATASETS = ("trades", "aggTrades")

MAX_DUMP_BYTES = 4 * 1024**3
"""Far above the largest daily spot dumps (hundreds of MiB) and far below what fills a disk."""
MAX_CHECKSUM_BYTES = 4096  # the file is one line of about 100 bytes
CHUNK_BYTES = 1024**2
PROGRESS_BYTES = 32 * 1024**2

TIMEOUTS_S = (10.0, 60.0)  # to connect, and between two reads
RETRY_PAUSES_S = (1.0, 4.0, 15.0)
"""Three repeats: enough for a front end that restarts, short enough for a person who waits."""
MAX_REDIRECTS = 5
STALE_PART_S = 3600.0
"""A live download writes within every read timeout, so a part file this old belongs to one that was killed."""

_SYMBOL = re.compile(r"[A-Z0-9]{2,20}")
_CHECKSUM_LINE = re.compile(r"(?P<sha256>[0-9a-fA-F]{64}) [ *](?P<name>\S+)")
_Result = TypeVar("_Result")


class _TransientError(Exception):
    """The server or the line failed in a way that may pass; the message says how."""


def fetch_binance(
    symbol: str,
    first: date,
    last_exclusive: date,
    landing: Path,
    *,
    dataset: str = "trades",
    base_url: str = BINANCE_DUMPS,
    on_progress: Callable[[str], None] = logger.info,
    max_bytes: int = MAX_DUMP_BYTES,
    retry_pauses_s: Sequence[float] = RETRY_PAUSES_S,
) -> list[Path]:
    """Download one symbol's dumps for the days `[first, last_exclusive)`; return their paths, day by day.

    A file that is there with the published sha256 is kept; one with another sha256 is replaced. Days that were
    finished before an error stay, so the same command goes on where it stopped.

    Raises:
        BadInputError: symbol, dataset, days or URL are not what they must be, the exchange has no such file, it
            redirects to another host, the file is over `max_bytes`, or its sha256 is not the published one.
        UnavailableError: the server or the line failed, or the folder cannot be written; safe to repeat.
    """
    if not _SYMBOL.fullmatch(symbol):
        raise BadInputError(f"expected a symbol of 2 to 20 capital letters and digits like BTCUSDT, found {symbol!r}")
    if dataset not in DATASETS:
        raise BadInputError(f"expected a dataset of {', '.join(DATASETS)}, found {dataset!r}")
    _check_base_url(base_url)
    days = day_range(first, last_exclusive)
    folder = landing / "binance" / symbol
    paths = []
    with requests.Session() as session:
        # A compressed transfer would make Content-Length mean something else than the file's size.
        session.headers["Accept-Encoding"] = "identity"
        line = _Line(session, on_progress, retry_pauses_s)
        for day in days:
            target = folder / f"{symbol}-{dataset}-{day}.zip"
            url = f"{base_url.rstrip('/')}/data/spot/daily/{dataset}/{symbol}/{target.name}"
            try:
                _fetch_dump(line, url, target, max_bytes)
            except OSError as error:
                raise UnavailableError(
                    f"cannot write {target}: {error.strerror or error}; the same command is safe to repeat"
                ) from error
            paths.append(target)
    return paths


def _check_base_url(base_url: str) -> None:
    parts = urlsplit(base_url)
    if parts.username or parts.password:
        raise BadInputError("expected a base URL without user and password, found one with them")
    if not parts.hostname or not (parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(parts.hostname))):
        raise BadInputError(f"expected a base URL that begins with https://, found {base_url!r}")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _fetch_dump(line: _Line, url: str, target: Path, max_bytes: int) -> None:
    published = line.repeat(url, lambda: _read_published_sha256(line, f"{url}.CHECKSUM", target.name))
    if target.exists():
        if _file_sha256(target) == published:
            line.on_progress(f"{target.name}: already there with the published sha256")
            return
        line.on_progress(f"{target.name}: there with another sha256 than the published one, downloading again")
    target.parent.mkdir(parents=True, exist_ok=True)
    _remove_stale_parts(target)
    line.repeat(url, lambda: _store(line, url, target, published, max_bytes))


def _read_published_sha256(line: _Line, url: str, name: str) -> str:
    body = b"".join(line.read(url, MAX_CHECKSUM_BYTES))
    match = _CHECKSUM_LINE.fullmatch(body.decode("utf-8", errors="replace").strip())
    if match is None or match["name"] != name:
        raise BadInputError(f"{url}: expected '<sha256>  {name}', found {body[:120]!r}; nothing was downloaded")
    return match["sha256"].lower()


def _store(line: _Line, url: str, target: Path, published: str, max_bytes: int) -> None:
    digest = hashlib.sha256()
    size = 0
    # A name of its own for each attempt, so that two downloads of one day cannot write into one file.
    descriptor, name = tempfile.mkstemp(prefix=f"{target.name}.", suffix=".part", dir=target.parent)
    part = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            for chunk in line.read(url, max_bytes):
                digest.update(chunk)
                file.write(chunk)
                size += len(chunk)
                if size % PROGRESS_BYTES < len(chunk):
                    line.on_progress(f"{target.name}: {size >> 20} MiB")
            file.flush()
            os.fsync(file.fileno())
        if digest.hexdigest() != published:
            raise BadInputError(
                f"{url}: the exchange publishes sha256 {published}, the download has {digest.hexdigest()}; "
                "nothing was kept; repeat it later, and do not use a file from elsewhere"
            )
        part.chmod(0o644)  # mkstemp's 0600 would hide the file from a Spark that runs as another user
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    line.on_progress(f"{target.name}: {size} bytes, sha256 as published")


def _file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _remove_stale_parts(target: Path) -> None:
    for part in target.parent.glob(f"{target.name}.*.part"):
        if time.time() - part.stat().st_mtime > STALE_PART_S:
            part.unlink(missing_ok=True)


@dataclass(frozen=True)
class _Line:
    """The connection to the exchange: limits, redirects and repeats are decided here."""

    session: requests.Session
    on_progress: Callable[[str], None]
    retry_pauses_s: Sequence[float]

    def repeat(self, url: str, attempt: Callable[[], _Result]) -> _Result:
        """Try once and again after each pause, as long as the failure may pass."""
        for pause_s in self.retry_pauses_s:
            try:
                return attempt()
            except _TransientError as error:
                self.on_progress(f"{url}: {error}; trying again in {pause_s:g} s")
                time.sleep(pause_s)
        try:
            return attempt()
        except _TransientError as error:
            raise UnavailableError(f"{url}: {error}; nothing was kept, the same command is safe to repeat") from error

    def read(self, url: str, max_bytes: int) -> Iterator[bytes]:
        """Yield the body, never more than `max_bytes` of it, whatever Content-Length says."""
        try:
            with self._open(url) as response:
                announced = response.headers.get("Content-Length", "")
                _check_size(url, int(announced) if announced.isdecimal() else 0, max_bytes)
                size = 0
                for chunk in response.iter_content(CHUNK_BYTES):
                    size += len(chunk)
                    _check_size(url, size, max_bytes)
                    yield chunk
        except requests.exceptions.RequestException as error:
            # Also a body shorter than its Content-Length: urllib3 counts.
            raise _TransientError(f"the transfer failed ({error})") from error

    def _open(self, url: str) -> requests.Response:
        """Send the request, following redirects as long as they stay on the same host."""
        address = url
        for _ in range(MAX_REDIRECTS + 1):
            response = self.session.get(address, stream=True, timeout=TIMEOUTS_S, allow_redirects=False)
            if not response.is_redirect:
                _check_status(url, response)
                return response
            response.close()
            target = urljoin(address, response.headers["Location"])
            if _origin(target) != _origin(address):
                raise BadInputError(f"{url}: redirected to {_origin(target)}, which is not the exchange; not followed")
            address = target
        raise BadInputError(f"{url}: more than {MAX_REDIRECTS} redirects; nothing was downloaded")


def _check_size(url: str, size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise BadInputError(f"{url}: over the limit of {max_bytes} bytes; nothing was kept")


def _check_status(url: str, response: requests.Response) -> None:
    status = response.status_code
    if status == requests.codes.ok:
        return
    response.close()
    if status == requests.codes.not_found:
        raise BadInputError(f"{url}: the exchange has no such file: the day is not published yet or the symbol unknown")
    if status >= 500 or status in (requests.codes.request_timeout, requests.codes.too_many_requests):
        raise _TransientError(f"the server answered {status}")
    raise BadInputError(f"{url}: expected status 200, found {status}; nothing was downloaded")


def _origin(url: str) -> str:
    return "{0.scheme}://{0.netloc}".format(urlsplit(url))
