"""The landing folder: what lies in it, on a local disk or in an S3 bucket, and the bytes of one file."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath

from pyarrow import fs

from lakehouse.config.settings import Settings
from lakehouse.errors import BadInputError, LakehouseError, UnavailableError
from lakehouse.lake.store import S3_SCHEME, open_filesystem

REFUSALS = ("NO_SUCH_BUCKET", "ACCESS_DENIED", "INVALID_ACCESS_KEY_ID", "SIGNATURE_DOES_NOT_MATCH")
"""Answers of a store that no repetition changes."""


@dataclass(frozen=True)
class LandedFile:
    """One file as the listing shows it."""

    path: str
    """Below the landing root, with / between the parts."""
    url: str
    """What `read_bytes` takes, from any machine that sees the landing: an absolute path or an s3:// address."""
    bytes: int
    modified_at: datetime | None


def list_landing(root: str, settings: Settings) -> list[LandedFile]:
    """List every file below the root, sorted by path; hidden files and files that are still being written are left out.

    Raises:
        BadInputError: there is no such folder or prefix, or it may not be read.
        UnavailableError: the store can't be reached.
    """
    filesystem, base = open_filesystem(root, settings)
    scheme = S3_SCHEME if root.startswith(S3_SCHEME) else ""
    try:
        infos = filesystem.get_file_info(fs.FileSelector(base, recursive=True))
    except (FileNotFoundError, NotADirectoryError):
        raise _missing(root) from None
    except OSError as error:
        raise _failure(f"can't list the landing {root}", error) from None
    files = [
        LandedFile(
            path=PurePosixPath(info.path).relative_to(base).as_posix(),
            url=scheme + info.path,
            bytes=info.size,
            modified_at=info.mtime,
        )
        for info in infos
        if info.type == fs.FileType.File
    ]
    return sorted((file for file in files if _is_landed(file.path)), key=lambda file: file.path)


def read_bytes(url: str, settings: Settings) -> bytes:
    """Read one listed file whole.

    Raises:
        BadInputError: it is gone since it was listed, or may not be read.
        UnavailableError: the store can't be reached.
    """
    filesystem, path = open_filesystem(url, settings)
    try:
        with filesystem.open_input_file(path) as stream:
            content: bytes = stream.read()
            return content
    except FileNotFoundError:
        raise BadInputError(f"{url} was listed and is gone; run again once the landing is quiet") from None
    except OSError as error:
        raise _failure(f"can't read {url}", error) from None


def _is_landed(path: str) -> bool:
    """Tell files that are there from hidden ones and from what a copy or a Spark job is still writing."""
    parts = path.split("/")
    return not path.endswith(".part") and not any(part.startswith(".") or part == "_temporary" for part in parts)


def _failure(what: str, error: OSError) -> LakehouseError:
    """Tell a store that is away from one that refuses; pyarrow has the store's answer in the text alone."""
    message = f"{what}: {error}"
    if isinstance(error, PermissionError) or any(answer in message for answer in REFUSALS):
        return BadInputError(message)
    return UnavailableError(message)


def _missing(root: str) -> BadInputError:
    return BadInputError(
        f"no landing at {root}; put files there, name another one with --landing or LAKEHOUSE_LANDING, "
        "or run `lakehouse demo`, which generates some"
    )
