"""The download of image sets against a real HTTP server on this machine."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from lakehouse.errors import BadInputError, UnavailableError
from lakehouse.landing.fetch_images import PUBLICATIONS, PublishedFile, PublishedSet, fetch_images

IMAGES, LABELS = b"images" * 1000, b"labels" * 10


def md5(content):
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def publication(url, known=True):
    files = (
        PublishedFile("mnist/i.gz", md5(IMAGES), sha256(IMAGES) if known else None, 10_000),
        PublishedFile("mnist/l.gz", md5(LABELS), sha256(LABELS) if known else None, 10_000),
    )
    return PublishedSet("the mirror", url, files)


def fetch(landing, published):
    said = []
    paths = fetch_images("mnist", landing, publication=published, on_progress=said.append, retry_pauses_s=(0.0,))
    return [path.relative_to(landing).as_posix() for path in paths], said


def files_in(landing):
    return {path.relative_to(landing).as_posix(): path.read_bytes() for path in landing.rglob("*") if path.is_file()}


def test_fetch_images_keeps_what_is_there_and_right_and_mends_what_is_not(tmp_path, server):
    folder, url = server
    (folder / "i.gz").write_bytes(IMAGES)
    (folder / "l.gz").write_bytes(LABELS)
    landing = tmp_path / "landing"
    names = ["mnist/i.gz", "mnist/l.gz"]
    expected = {"mnist/i.gz": IMAGES, "mnist/l.gz": LABELS}
    assert fetch(landing, publication(url)) == (
        names,
        ["i.gz: 6000 bytes, hashes right", "l.gz: 60 bytes, hashes right"],
    )
    assert files_in(landing) == expected
    (landing / "mnist" / "i.gz").write_bytes(IMAGES[:100])
    (folder / "l.gz").unlink()
    assert fetch(landing, publication(url)) == (
        names,
        ["i.gz: 6000 bytes, hashes right", "l.gz: already there with the right sha256"],
    )
    assert files_in(landing) == expected


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param({"md5": md5(b"other")}, f"expected MD5 {md5(b'other')}, the download has {md5(IMAGES)}", id="md5"),
        pytest.param(
            {"sha256": sha256(b"other")},
            f"expected sha256 {sha256(b'other')}, the download has {sha256(IMAGES)}",
            id="sha256, though the md5 is right",
        ),
        pytest.param({"max_bytes": 100}, "over the limit of 100 bytes", id="too large"),
    ],
)
def test_fetch_images_keeps_nothing_that_has_not_its_hashes(tmp_path, server, change, message):
    folder, url = server
    (folder / "i.gz").write_bytes(IMAGES)
    published = publication(url)
    with pytest.raises(BadInputError, match=message):
        fetch(tmp_path / "landing", replace(published, files=(replace(published.files[0], **change),)))
    assert files_in(tmp_path / "landing") == {}


def test_fetch_images_records_the_sha256_of_a_first_download_and_demands_it_later(tmp_path, server):
    folder, url = server
    (folder / "i.gz").write_bytes(IMAGES)
    landing = tmp_path / "landing"
    published = publication(url, known=False)
    first = replace(published, files=published.files[:1])
    fetch(landing, first)
    record = f"{sha256(IMAGES)}  i.gz\n".encode()
    assert files_in(landing) == {"mnist/i.gz": IMAGES, "mnist/i.gz.sha256": record}
    (folder / "i.gz").write_bytes(b"changed")
    assert fetch(landing, first)[1] == ["i.gz: already there with the right sha256"]
    (landing / "mnist" / "i.gz").unlink()
    changed = replace(first, files=(replace(first.files[0], md5=md5(b"changed")),))
    with pytest.raises(BadInputError, match=f"expected sha256 {sha256(IMAGES)}, the download has"):
        fetch(landing, changed)
    assert files_in(landing) == {"mnist/i.gz.sha256": record}


def test_fetch_images_says_what_a_missing_file_means_and_is_safe_to_repeat(tmp_path, server):
    _, url = server
    with pytest.raises(BadInputError, match="the mirror has no such file: it may have moved"):
        fetch(tmp_path / "landing", publication(url))
    with pytest.raises(UnavailableError, match="the same command is safe to repeat"):
        fetch(tmp_path / "landing", publication("http://127.0.0.1:9"))


def test_publications_of_mnist_have_the_hashes_of_the_real_files(real_data):
    for file in PUBLICATIONS["mnist"].files:
        content = (real_data / file.path).read_bytes()
        assert (md5(content), sha256(content), len(content) < file.max_bytes) == (file.md5, file.sha256, True)
