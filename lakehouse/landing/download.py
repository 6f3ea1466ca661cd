"""Downloads that can be trusted: limits, repeats, redirects on one host only, and a file that is whole or not there.

A file gets its final name only once its sha256 is right; until then it is a `.part` file in the same folder. Proxies
and certificates come from the environment as `requests` reads them (HTTPS_PROXY, NO_PROXY, REQUESTS_CA_BUNDLE).
"""

from __future__ import annotations

import hashlib
import ipaddress
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import urljoin, urlsplit

import requests
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt

from lakehouse.errors import BadInputError, UnavailableError

CHUNK_BYTES = 1024**2
PROGRESS_BYTES = 32 * 1024**2

TIMEOUTS_S = (10.0, 60.0)  # to connect, and between two reads
RETRY_PAUSES_S = (1.0, 4.0, 15.0)
"""Three repeats: enough for a front end that restarts, short enough for a person who waits."""
MAX_REDIRECTS = 5
STALE_PART_S = 3600.0
"""A live download writes within every read timeout, so a part file this old belongs to one that was killed."""

_Result = TypeVar("_Result")


class _TransientError(Exception):
    """The server or the line failed in a way that may pass; the message says how."""


def check_base_url(base_url: str) -> None:
    """Demand HTTPS, or plain HTTP on this machine, and no password.

    Raises:
        BadInputError: the URL is another one.
    """
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


def store(line: Line, url: str, target: Path, max_bytes: int, check: Callable[[Path, str], None]) -> str:
    """Download to a file and return its sha256; `check` is given the part file and the sha256, and raises to refuse.

    Raises:
        BadInputError: the file is refused, missing or too large; nothing is kept.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    _remove_stale_parts(target)
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
        check(part, digest.hexdigest())
        part.chmod(0o644)  # mkstemp's 0600 would hide the file from a Spark that runs as another user
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    line.on_progress(f"{target.name}: {size} bytes, {line.verdict}")
    return digest.hexdigest()


def file_sha256(path: Path) -> str:
    """Hash a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _remove_stale_parts(target: Path) -> None:
    for part in target.parent.glob(f"{target.name}.*.part"):
        if time.time() - part.stat().st_mtime > STALE_PART_S:
            part.unlink(missing_ok=True)


@dataclass(frozen=True)
class Line:
    """The connection to a publisher: limits, redirects and repeats are decided here. The texts are for messages."""

    session: requests.Session
    on_progress: Callable[[str], None]
    retry_pauses_s: Sequence[float]
    publisher: str
    missing: str
    """What it means that the publisher has no such file."""
    verdict: str
    """What a file that passed its check is."""

    def repeat(self, url: str, attempt: Callable[[], _Result]) -> _Result:
        """Try once and again after each pause, as long as the failure may pass."""

        def announce(state: RetryCallState) -> None:
            error = state.outcome.exception() if state.outcome else None
            self.on_progress(f"{url}: {error}; trying again in {state.upcoming_sleep:g} s")

        attempts = Retrying(
            retry=retry_if_exception_type(_TransientError),
            stop=stop_after_attempt(len(self.retry_pauses_s) + 1),
            # The pause after the last attempt is asked for, too, and not kept
            wait=lambda state: (*self.retry_pauses_s, 0.0)[state.attempt_number - 1],
            before_sleep=announce,
            reraise=True,
        )
        try:
            return attempts(attempt)
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
                _check_status(url, response, f"{self.publisher} has no such file: {self.missing}")
                return response
            response.close()
            target = urljoin(address, response.headers["Location"])
            if _origin(target) != _origin(address):
                raise BadInputError(
                    f"{url}: redirected to {_origin(target)}, which is not {self.publisher}; not followed"
                )
            address = target
        raise BadInputError(f"{url}: more than {MAX_REDIRECTS} redirects; nothing was downloaded")


def _check_size(url: str, size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise BadInputError(f"{url}: over the limit of {max_bytes} bytes; nothing was kept")


def _check_status(url: str, response: requests.Response, missing: str) -> None:
    status = response.status_code
    if status == requests.codes.ok:
        return
    response.close()
    if status == requests.codes.not_found:
        raise BadInputError(f"{url}: {missing}")
    if status >= 500 or status in (requests.codes.request_timeout, requests.codes.too_many_requests):
        raise _TransientError(f"the server answered {status}")
    raise BadInputError(f"{url}: expected status 200, found {status}; nothing was downloaded")


def _origin(url: str) -> str:
    return "{0.scheme}://{0.netloc}".format(urlsplit(url))
