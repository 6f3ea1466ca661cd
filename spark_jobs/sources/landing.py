"""The landing folder: what lies in it, on a local disk or in an S3 bucket, and the bytes of one file."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath

from pyarrow import fs

from lakehouse.errors import BadInputError, LakehouseError, UnavailableError
from lakehouse.settings import Settings

S3_SCHEME = "s3://"
CONNECT_TIMEOUT_S = 10
REQUEST_TIMEOUT_S = 120
"""For one part of a file, not for the whole of it."""

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
    is_s3 = root.startswith(S3_SCHEME)
    base = root.removeprefix(S3_SCHEME).rstrip("/") if is_s3 else str(Path(root).expanduser().absolute())
    try:
        infos = _filesystem(base, is_s3, settings).get_file_info(fs.FileSelector(base, recursive=True))
    except (FileNotFoundError, NotADirectoryError):
        raise _missing(root) from None
    except OSError as error:
        raise _failure(f"can't list the landing {root}", error) from None
    files = [
        LandedFile(
            path=PurePosixPath(info.path).relative_to(base).as_posix(),
            url=(S3_SCHEME if is_s3 else "") + info.path,
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
    is_s3 = url.startswith(S3_SCHEME)
    location = url.removeprefix(S3_SCHEME)
    try:
        if not is_s3:
            return Path(location).read_bytes()
        with _filesystem(location, is_s3, settings).open_input_file(location) as stream:
            content: bytes = stream.read()
            return content
    except FileNotFoundError:
        raise BadInputError(f"{url} was listed and is gone; run again once the landing is quiet") from None
    except OSError as error:
        raise _failure(f"can't read {url}", error) from None


def _filesystem(location: str, is_s3: bool, settings: Settings) -> fs.FileSystem:
    if not is_s3:
        return fs.LocalFileSystem()
    if not location.strip("/"):
        raise BadInputError("s3:// names no bucket; expected s3://bucket/prefix")
    scheme, _, endpoint = settings.s3_endpoint.rpartition("://")
    # Empty keys leave the choice to AWS's own chain of environment, profile and machine role.
    return fs.S3FileSystem(
        access_key=settings.s3_access_key_id or None,
        secret_key=settings.s3_secret_access_key.get_secret_value() or None,
        endpoint_override=endpoint.rstrip("/") or None,
        scheme=scheme or "https",
        region=settings.s3_region,
        connect_timeout=CONNECT_TIMEOUT_S,
        request_timeout=REQUEST_TIMEOUT_S,
    )


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
