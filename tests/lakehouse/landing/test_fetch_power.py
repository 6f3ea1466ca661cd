"""The download of UCI's power file against a real HTTP server on this machine."""

from __future__ import annotations

import hashlib
import io
import zipfile

import pytest

from lakehouse.errors import BadInputError, UnavailableError
from lakehouse.landing.fetch_power import MEMBER, NAME, fetch_power


def archive_of(text, member=MEMBER):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo(member, (2020, 1, 1, 0, 0, 0)), text)
    return buffer.getvalue()


FIRST = archive_of("Date;Time\n1/1/2007;00:00:00\n" * 500)


@pytest.fixture
def published(server):
    """The archive in a folder that a server publishes, and its URL."""
    folder, url = server
    return folder / NAME, f"{url}/{NAME}"


def fetch(landing, url):
    said = []
    path = fetch_power(landing, url=url, on_progress=said.append, retry_pauses_s=(0.0,))
    return path, said


def files_in(landing):
    return {path.relative_to(landing).as_posix(): path.read_bytes() for path in landing.rglob("*") if path.is_file()}


def test_fetch_power_records_the_sha256_of_the_first_download_and_keeps_the_file(tmp_path, published):
    source, url = published
    source.write_bytes(FIRST)
    landing = tmp_path / "landing"
    sha256 = hashlib.sha256(FIRST).hexdigest()
    path, said = fetch(landing, url)
    assert path == landing / "power" / NAME
    expected = {f"power/{NAME}": FIRST, f"power/{NAME}.sha256": f"{sha256}  {NAME}\n".encode()}
    assert files_in(landing) == expected
    assert said == [f"{NAME}: {len(FIRST)} bytes, sha256 recorded"]
    source.unlink()
    assert fetch(landing, url) == (path, [f"{NAME}: already there with the recorded sha256"])


def test_fetch_power_mends_a_damaged_file_from_what_is_on_record(tmp_path, published):
    source, url = published
    source.write_bytes(FIRST)
    landing = tmp_path / "landing"
    path, _ = fetch(landing, url)
    before = files_in(landing)
    path.write_bytes(FIRST[:100])
    assert fetch(landing, url)[1] == [f"{NAME}: {len(FIRST)} bytes, sha256 as recorded"]
    assert files_in(landing) == before


def test_fetch_power_refuses_another_file_than_the_one_on_record(tmp_path, published):
    source, url = published
    source.write_bytes(FIRST)
    landing = tmp_path / "landing"
    path, _ = fetch(landing, url)
    path.unlink()
    source.write_bytes(archive_of("other\n"))
    with pytest.raises(BadInputError, match=f"sha256 {hashlib.sha256(FIRST).hexdigest()} is on record"):
        fetch(landing, url)
    assert list(files_in(landing)) == [f"power/{NAME}.sha256"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        pytest.param(b"<html>moved</html>", "expected a zip archive of household_power_consumption.txt", id="no zip"),
        pytest.param(FIRST[:-40], "expected a zip archive of household_power_consumption.txt", id="cut"),
        pytest.param(archive_of("a", "b.txt"), "expected an archive of household_power_consumption.txt", id="member"),
        pytest.param(FIRST.replace(FIRST[60:64], b"\0\0\0\0", 1), "", id="damaged"),
    ],
)
def test_fetch_power_keeps_nothing_that_is_not_the_archive(tmp_path, published, body, message):
    source, url = published
    source.write_bytes(body)
    landing = tmp_path / "landing"
    with pytest.raises(BadInputError, match=message):
        fetch(landing, url)
    assert files_in(landing) == {}


def test_fetch_power_says_what_a_missing_file_means(tmp_path, published):
    _, url = published
    with pytest.raises(BadInputError, match=r"UCI has no such file: it may have moved"):
        fetch(tmp_path / "landing", url)


def test_fetch_power_is_safe_to_repeat_where_the_server_is_away(tmp_path):
    with pytest.raises(UnavailableError, match="the same command is safe to repeat"):
        fetch(tmp_path / "landing", "http://127.0.0.1:9/x.zip")


def test_fetch_power_demands_https(tmp_path):
    with pytest.raises(BadInputError, match=r"begins with https://"):
        fetch(tmp_path / "landing", "http://example.org/x.zip")
