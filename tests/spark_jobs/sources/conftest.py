"""What the tests of sources share: the real files, and a file read whole."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from spark_jobs.sources.base import Claim, UnreadableFileError
from spark_jobs.sources.discovery import claim_file
from spark_jobs.sources.reading import read_rows

SHA256 = "5" * 64
INGESTED_AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture(scope="session")
def real_ticks(real_data: Path) -> Path:
    """The folder of real tick files."""
    return real_data / "ticks"


@pytest.fixture
def read() -> Callable[[bytes, str], pa.Table]:
    """Read a file, given its bytes and its path below the landing root, as one table."""

    def read_whole(content: bytes, path: str) -> pa.Table:
        claim = claim_file(path)
        assert isinstance(claim, Claim), f"no source claims {path}"
        batches = list(read_rows(content, claim, SHA256, INGESTED_AT))
        return pa.Table.from_batches(batches)

    return read_whole


@pytest.fixture
def reason_of(read: Callable[[bytes, str], pa.Table]) -> Callable[[bytes, str], str]:
    """Read a file that must be refused, and return the reason."""

    def refuse(content: bytes, path: str) -> str:
        with pytest.raises(UnreadableFileError) as caught:
            read(content, path)
        return caught.value.reason

    return refuse


@pytest.fixture
def zipped() -> Callable[..., bytes]:
    """Pack texts into a zip archive: zipped({"a.csv": "1,2"})."""

    def pack(members: dict[str, str | bytes]) -> bytes:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, text in members.items():
                archive.writestr(name, text)
        return buffer.getvalue()

    return pack
