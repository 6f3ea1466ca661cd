"""Files behind a location, local or S3, as Arrow reads and writes them."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from pyarrow import fs

from lakehouse.settings import Settings


def open_filesystem(location: str, settings: Settings) -> tuple[fs.FileSystem, str]:
    """Return the file system of a location (a path, file:// or s3://) and the path inside it."""
    if location.startswith("s3://"):
        parts = urlsplit(settings.s3_endpoint)
        store = fs.S3FileSystem(
            access_key=settings.s3_access_key_id or None,
            secret_key=settings.s3_secret_access_key.get_secret_value() or None,
            region=settings.s3_region,
            endpoint_override=parts.netloc or None,
            scheme=parts.scheme or "https",
        )
        return store, location.removeprefix("s3://")
    if location.startswith("file:"):
        location = unquote(urlsplit(location).path)
    return fs.LocalFileSystem(), location
