"""Download of the exchange's public daily dumps into the landing folder, each checked against its published sha256.

Reads   <base>/data/spot/daily/<dataset>/<SYMBOL>/<SYMBOL>-<dataset>-<day>.zip and the .CHECKSUM file beside it
Writes  <landing>/binance/<SYMBOL>/<SYMBOL>-<dataset>-<day>.zip

The .CHECKSUM file is read, not stored. How files come over the line: lakehouse/landing/download.py.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path

import requests

from lakehouse.errors import BadInputError, UnavailableError
from lakehouse.landing.download import RETRY_PAUSES_S, Line, check_base_url, file_sha256, store
from lakehouse.slices import day_range

logger = logging.getLogger(__name__)

BINANCE_DUMPS = "https://data.binance.vision"
DATASETS = ("trades", "aggTrades")

MAX_DUMP_BYTES = 4 * 1024**3
"""Far above the largest daily spot dumps (hundreds of MiB) and far below what fills a disk."""
MAX_CHECKSUM_BYTES = 4096  # the file is one line of about 100 bytes

_SYMBOL = re.compile(r"[A-Z0-9]{2,20}")
_CHECKSUM_LINE = re.compile(r"(?P<sha256>[0-9a-fA-F]{64}) [ *](?P<name>\S+)")


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
    check_base_url(base_url)
    days = day_range(first, last_exclusive)
    folder = landing / "binance" / symbol
    paths = []
    with requests.Session() as session:
        # A compressed transfer would make Content-Length mean something else than the file's size.
        session.headers["Accept-Encoding"] = "identity"
        line = Line(
            *(session, on_progress, retry_pauses_s),
            publisher="the exchange",
            missing="the day is not published yet or the symbol unknown",
            verdict="sha256 as published",
        )
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


def _fetch_dump(line: Line, url: str, target: Path, max_bytes: int) -> None:
    published = line.repeat(url, lambda: _read_published_sha256(line, f"{url}.CHECKSUM", target.name))
    if target.exists():
        if file_sha256(target) == published:
            line.on_progress(f"{target.name}: already there with the published sha256")
            return
        line.on_progress(f"{target.name}: there with another sha256 than the published one, downloading again")

    def check(_part: Path, sha256: str) -> None:
        if sha256 != published:
            raise BadInputError(
                f"{url}: the exchange publishes sha256 {published}, the download has {sha256}; "
                "nothing was kept; repeat it later, and do not use a file from elsewhere"
            )

    line.repeat(url, lambda: store(line, url, target, max_bytes, check))


def _read_published_sha256(line: Line, url: str, name: str) -> str:
    body = b"".join(line.read(url, MAX_CHECKSUM_BYTES))
    match = _CHECKSUM_LINE.fullmatch(body.decode("utf-8", errors="replace").strip())
    if match is None or match["name"] != name:
        raise BadInputError(f"{url}: expected '<sha256>  {name}', found {body[:120]!r}; nothing was downloaded")
    return match["sha256"].lower()
