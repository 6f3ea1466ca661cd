"""The landing folder: what is listed, what is left out, and what is said where it is not there."""

from __future__ import annotations

import socket

import pytest

from lakehouse.config.settings import read_settings
from lakehouse.errors import BadInputError, UnavailableError
from spark_jobs.sources.landing import LandedFile, list_landing, read_bytes

SETTINGS = read_settings({})


def test_list_landing_lists_files_by_path_without_hidden_and_unfinished_ones(tmp_path):
    for name in (
        "bbb.csv",
        "b.csv",
        "a/z.csv",
        "a/y.zip.part",
        ".hidden.csv",
        ".git/c.csv",
        "a/_temporary/0/d.csv",
        "a b/ü#1.csv",
    ):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(name.encode())

    files = list_landing(str(tmp_path) + "/", SETTINGS)

    assert [(file.path, file.bytes) for file in files] == [
        ("a b/ü#1.csv", 12),
        ("a/z.csv", 7),
        ("b.csv", 5),
        ("bbb.csv", 7),
    ]
    assert [read_bytes(file.url, SETTINGS) for file in files] == [
        "a b/ü#1.csv".encode(),
        b"a/z.csv",
        b"b.csv",
        b"bbb.csv",
    ]
    assert files[2] == LandedFile("b.csv", str(tmp_path / "b.csv"), 5, files[2].modified_at)


@pytest.mark.parametrize("is_file", [False, True], ids=["missing", "a file"])
def test_list_landing_says_what_to_do_where_there_is_no_folder(tmp_path, is_file):
    root = tmp_path / "landing"
    if is_file:
        root.write_text("")
    with pytest.raises(
        BadInputError, match=r"no landing at .*/landing; put files there, name another one with --landing"
    ):
        list_landing(str(root), SETTINGS)


def test_read_bytes_says_that_a_listed_file_is_gone(tmp_path):
    with pytest.raises(BadInputError, match=r"gone\.csv was listed and is gone"):
        read_bytes(str(tmp_path / "gone.csv"), SETTINGS)


def test_list_landing_needs_a_bucket():
    with pytest.raises(BadInputError, match="expected s3://bucket/prefix"):
        list_landing("s3://", SETTINGS)


def test_list_landing_says_that_the_store_is_away():
    with socket.socket() as closed:  # bound and not listening: connections are refused
        closed.bind(("127.0.0.1", 0))
        away = read_settings(
            {
                "LAKEHOUSE_S3_ENDPOINT": f"http://127.0.0.1:{closed.getsockname()[1]}",
                "LAKEHOUSE_S3_ACCESS_KEY_ID": "test",
                "LAKEHOUSE_S3_SECRET_ACCESS_KEY": "test",
            }
        )
        with pytest.raises(UnavailableError, match="can't list the landing s3://bucket/prefix"):
            list_landing("s3://bucket/prefix", away)
