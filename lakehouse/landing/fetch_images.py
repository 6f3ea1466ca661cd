"""Download of MNIST and of CIFAR-10's binary version into the landing folder.

Reads   <url>/<file>   the files as published
Writes  <landing>/mnist/*.gz, or <landing>/cifar-10-binary.tar.gz and, beside it, .tar.gz.sha256

A file must have the MD5 that its publisher states and, since MD5 proves nothing against intent, our SHA-256. Of the
archive of CIFAR-10 we have none: its own is recorded at the first download, and every later one must have it.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import requests

from lakehouse.errors import BadInputError, UnavailableError
from lakehouse.landing.download import RETRY_PAUSES_S, Line, check_base_url, file_sha256, store

logger = logging.getLogger(__name__)

MIB = 1024**2


@dataclass(frozen=True)
class PublishedFile:
    """A file by its path below the landing folder; without `sha256`, the one of the first download is recorded."""

    path: str
    md5: str
    sha256: str | None
    max_bytes: int


@dataclass(frozen=True)
class PublishedSet:
    """Where a set is published, and its files."""

    publisher: str
    url: str
    files: tuple[PublishedFile, ...]


PUBLICATIONS = {
    # The mirror that torchvision reads; the authors' own page no longer serves the files.
    "mnist": PublishedSet(
        "the MNIST mirror",
        "https://ossci-datasets.s3.amazonaws.com/mnist",
        (
            PublishedFile(
                "mnist/train-images-idx3-ubyte.gz",
                "f68b3c2dcbeaaa9fbdd348bbdeb94873",
                "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
                40 * MIB,
            ),
            PublishedFile(
                "mnist/train-labels-idx1-ubyte.gz",
                "d53e105ee54ea40749a09fcbcd1e9432",
                "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
                MIB,
            ),
            PublishedFile(
                "mnist/t10k-images-idx3-ubyte.gz",
                "9fb629c4189551a2d022fa330f9573f3",
                "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
                8 * MIB,
            ),
            PublishedFile(
                "mnist/t10k-labels-idx1-ubyte.gz",
                "ec29112dd5afa0611ce80d1b7f02629c",
                "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
                MIB,
            ),
        ),
    ),
    "cifar10": PublishedSet(
        "the University of Toronto",
        "https://www.cs.toronto.edu/~kriz",
        (PublishedFile("cifar-10-binary.tar.gz", "c32a1d4ab5d03f1284b67883e8d87530", None, 400 * MIB),),
    ),
}


def fetch_images(
    name: str,
    landing: Path,
    *,
    publication: PublishedSet | None = None,
    on_progress: Callable[[str], None] = logger.info,
    retry_pauses_s: Sequence[float] = RETRY_PAUSES_S,
) -> list[Path]:
    """Download a set's files and return their paths; those that are there and right are kept.

    Raises:
        BadInputError: the URL is no HTTPS URL, or what comes does not have its hash; that file is not kept.
        UnavailableError: the server or the line failed, or the folder cannot be written; safe to repeat.
    """
    published = publication or PUBLICATIONS[name]
    check_base_url(published.url)
    try:
        with requests.Session() as session:
            # A compressed transfer would make Content-Length mean something else than the file's size.
            session.headers["Accept-Encoding"] = "identity"
            line = Line(session, on_progress, retry_pauses_s, published.publisher, "it may have moved", "hashes right")
            return [_fetch(line, published.url, file, landing) for file in published.files]
    except OSError as error:
        raise UnavailableError(f"cannot write {landing}: {error}; the same command is safe to repeat") from error


def _fetch(line: Line, base_url: str, file: PublishedFile, landing: Path) -> Path:
    target = landing / file.path
    record = target.with_name(f"{target.name}.sha256")
    known = file.sha256 or _recorded(record)
    if known is not None and target.exists() and file_sha256(target) == known:
        line.on_progress(f"{target.name}: already there with the right sha256")
        return target
    url = f"{base_url}/{target.name}"

    def check(part: Path, sha256: str) -> None:
        with part.open("rb") as content:
            md5 = hashlib.file_digest(content, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
        for kind, expected, found in (("MD5", file.md5, md5), ("sha256", known, sha256)):
            if expected is not None and found != expected:
                raise BadInputError(f"{url}: expected {kind} {expected}, the download has {found}; nothing was kept")

    sha256 = line.repeat(url, lambda: store(line, url, target, file.max_bytes, check))
    if file.sha256 is None:
        record.write_text(f"{sha256}  {target.name}\n", encoding="ascii")
    return target


def _recorded(record: Path) -> str | None:
    words = record.read_text("ascii").split() if record.exists() else []
    return words[0] if words else None
