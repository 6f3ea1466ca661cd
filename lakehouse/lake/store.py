"""Files behind a location, local or S3, as Arrow reads and writes them."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from pyarrow import fs

from lakehouse.config.settings import Settings
from lakehouse.errors import BadInputError, UnavailableError, first_line

S3_SCHEME = "s3://"
CONNECT_TIMEOUT_S = 10
REQUEST_TIMEOUT_S = 120
"""For one part of a file, not for the whole of it."""


def open_filesystem(location: str, settings: Settings) -> tuple[fs.FileSystem, str]:
    """Return the file system of a location (a path, file:// or s3://) and the path inside it.

    Raises:
        BadInputError: the location names no bucket.
    """
    if not location.startswith(S3_SCHEME):
        path = unquote(urlsplit(location).path) if location.startswith("file:") else location
        return fs.LocalFileSystem(), str(Path(path).expanduser().absolute())
    path = location.removeprefix(S3_SCHEME).rstrip("/")
    if not path:
        raise BadInputError("s3:// names no bucket; expected s3://bucket/prefix")
    endpoint = urlsplit(settings.s3_endpoint)
    # Empty keys leave the choice to AWS's own chain of environment, profile and machine role.
    store = fs.S3FileSystem(
        access_key=settings.s3_access_key_id or None,
        secret_key=settings.s3_secret_access_key.get_secret_value() or None,
        endpoint_override=endpoint.netloc or None,
        scheme=endpoint.scheme or "https",
        region=settings.s3_region,
        connect_timeout=CONNECT_TIMEOUT_S,
        request_timeout=REQUEST_TIMEOUT_S,
    )
    return store, path


def copy_folder(folder: Path, location: str, settings: Settings) -> int:
    """Copy every file below a local folder to a location, over what is there; return how many there are.

    Raises:
        UnavailableError: the store does not take them.
    """
    files = [path for path in folder.rglob("*") if path.is_file()]
    store, root = open_filesystem(location, settings)
    try:
        fs.copy_files(
            str(folder.absolute()), root, source_filesystem=fs.LocalFileSystem(), destination_filesystem=store
        )
    except OSError as error:
        raise UnavailableError(f"{location} does not take the files: {first_line(error)}") from None
    return len(files)
