"""Archives that are cut, damaged, encrypted, bombs or something else: each is refused with its own reason."""

from __future__ import annotations

import gzip
import io
import random
import struct
import tracemalloc
import zipfile
import zlib

import pytest

from spark_jobs.sources import unpack
from spark_jobs.sources.base import UnreadableFileError
from spark_jobs.sources.unpack import MIB, read_members

BINANCE = "binance/BTCUSDT/BTCUSDT-trades-2024-08-08.zip"
LINES = "".join(f"{i},61837.63,0.02,1236.75,{1723161255342 + i},true,true\n" for i in range(2_000))


def unpacked(content, path):
    return [(member.index, member.name, b"".join(member.chunks)) for member in read_members(content, path)]


def reason(content, path):
    with pytest.raises(UnreadableFileError) as caught:
        unpacked(content, path)
    return caught.value.reason


def test_read_members_skips_directories_and_file_manager_droppings(zipped):
    content = zipped(
        {"d/": "", "d/b.csv": "2", "__MACOSX/d/b.csv": "x", ".DS_Store": "x", "Thumbs.db": "x", "a.csv": "1"}
    )
    assert unpacked(content, "x.zip") == [(0, "d/b.csv", b"2"), (1, "a.csv", b"1")]


def test_read_members_reads_stored_members_and_empty_ones():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("a.csv", LINES)
        archive.writestr("b.csv", "")
    assert unpacked(buffer.getvalue(), "x.zip") == [(0, "a.csv", LINES.encode()), (1, "b.csv", b"")]


def test_read_members_joins_the_members_of_a_gzip_file():
    assert unpacked(gzip.compress(b"1\n") + gzip.compress(b"2\n"), "x.csv.gz") == [(0, "", b"1\n2\n")]


def encrypt(content):
    """Set the flag for encryption in the archive's directory."""
    entry = content.index(b"PK\x01\x02")
    return content[: entry + 8] + b"\x01" + content[entry + 9 :]


def wrong_crc(content):
    entry = content.index(b"PK\x01\x02")
    return content[: entry + 16] + b"\0\0\0\0" + content[entry + 20 :]


def wrong_size(content):
    entry = content.index(b"PK\x01\x02")
    return content[: entry + 24] + b"\x01\0\0\0" + content[entry + 28 :]


@pytest.mark.parametrize(
    ("damage", "path", "expected"),
    [
        pytest.param(lambda z: z[: len(z) // 2], "x.zip", "not a zip archive, or a cut one", id="cut zip"),
        pytest.param(lambda z: b"a,b,c\n", "x.zip", "not a zip archive", id="a text named .zip"),
        pytest.param(encrypt, "x.zip", "member a.csv is encrypted", id="encrypted"),
        pytest.param(wrong_crc, "x.zip", "member a.csv is damaged: CRC", id="CRC of a zip"),
        pytest.param(
            wrong_size, "x.zip", "member a.csv is not as long as the archive says (1 bytes)", id="size of a zip"
        ),
        pytest.param(lambda z: b"", "x.zip", "the file is empty", id="empty file"),
        pytest.param(
            lambda z: b"version https://git-lfs.example/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 1\n",
            "x.zip",
            "a Git LFS pointer",
            id="Git LFS pointer",
        ),
        pytest.param(lambda z: b"<!DOCTYPE html><html>404</html>", "x.zip", "a web page or XML message", id="HTML"),
        pytest.param(lambda z: b'\n<?xml version="1.0"?><Error/>', "x.csv", "a web page or XML message", id="XML"),
        pytest.param(lambda z: z, "x.csv.gz", "not a gzip file: begins with 50 4b 03 04", id="a zip named .gz"),
        pytest.param(
            lambda z: gzip.compress(LINES.encode())[:-100], "x.csv.gz", "a cut gzip file", id="gzip cut in its data"
        ),
        pytest.param(
            lambda z: gzip.compress(LINES.encode())[:-4], "x.csv.gz", "a cut gzip file", id="gzip cut in its end"
        ),
        pytest.param(
            lambda z: gzip.compress(LINES.encode())[:-8] + b"\0" * 8,
            "x.csv.gz",
            "a damaged gzip file",
            id="CRC of a gzip",
        ),
        pytest.param(
            lambda z: gzip.compress(LINES.encode()) + b"rest of another file",
            "x.csv.gz",
            "a damaged gzip file",
            id="rest behind a gzip",
        ),
    ],
)
def test_read_members_refuses_a_damaged_file_with_its_own_reason(zipped, damage, path, expected):
    assert reason(damage(zipped({"a.csv": LINES})), path).startswith(expected)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_read_members_refuses_odd_archives(zipped):
    assert reason(zipped({"d/": ""}), "x.zip") == "a zip archive without a file in it"
    assert (
        reason(zipped({"a.csv": "1", "b.exe": "2"}), "x.zip")
        == "unexpected member 'b.exe' in the archive; expected .csv"
    )
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.csv", "1")
        archive.writestr("a.csv", "2")
    assert reason(buffer.getvalue(), "x.zip") == "a zip archive that holds two members of one name"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("a.csv", "1")
    assert reason(buffer.getvalue(), "x.zip") == "member a.csv is packed by method 14; expected deflate"


def bomb(mib, wbits):
    """Zeros of that many MiB, deflated; about a thousandth of it."""
    packer = zlib.compressobj(9, zlib.DEFLATED, wbits)
    return b"".join(packer.compress(bytes(MIB)) for _ in range(mib)) + packer.flush()


def zip_bomb(mib):
    body = bomb(mib, -15)
    name = b"a.csv"
    sizes = struct.pack("<III", 0, len(body), mib * MIB)
    local = b"PK\x03\x04" + struct.pack("<HHHHH", 20, 0, 8, 0, 0) + sizes + struct.pack("<HH", len(name), 0) + name
    entry = b"PK\x01\x02" + struct.pack("<HHHHHH", 20, 20, 0, 8, 0, 0) + sizes
    entry += struct.pack("<HHHHHII", len(name), 0, 0, 0, 0, 0, 0) + name
    end = b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(entry), len(local) + len(body), 0)
    return local + body + entry + end


@pytest.mark.parametrize(
    ("make", "path"), [(lambda: bomb(512, 31), "x.csv.gz"), (lambda: zip_bomb(512), "x.zip")], ids=["gzip", "zip"]
)
def test_read_members_stops_at_a_bomb_before_it_takes_memory(make, path):
    content = make()
    tracemalloc.start()
    try:
        with pytest.raises(UnreadableFileError, match=r"inflates to more than 200 times its [0-9]+ bytes"):
            for member in read_members(content, path):
                for _ in member.chunks:
                    pass
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 48 * MIB  # of 512 MiB


def test_read_members_limits_the_inflated_bytes_over_all_members(monkeypatch, zipped):
    content = zipped({"a.csv": LINES, "b.csv": LINES})
    monkeypatch.setattr(unpack, "MAX_INFLATED_BYTES", 2 * len(LINES))
    assert [len(text) for _, _, text in unpacked(content, "x.zip")] == [len(LINES), len(LINES)]

    monkeypatch.setattr(unpack, "MAX_INFLATED_BYTES", 2 * len(LINES) - 1)
    assert reason(content, "x.zip").endswith("a decompression bomb")


@pytest.mark.parametrize("path", [BINANCE, "lean/equity/usa/tick/aig/20131007_trade.zip"])
def test_read_rows_refuses_or_reads_alike_every_damaged_copy_of_a_real_file(real_ticks, read, path):
    """Cut anywhere, or with a byte flipped anywhere, a zip is refused, or nothing that is read has changed."""
    content = (real_ticks / path).read_bytes()
    whole = read(content, path)
    source = random.Random(7)
    outcomes = {"refused": 0, "unchanged": 0}
    for attempt in range(60):
        place = source.randrange(len(content))
        if attempt % 2:
            damaged = content[:place]
        else:
            damaged = content[:place] + bytes([content[place] ^ source.randrange(1, 256)]) + content[place + 1 :]
        try:
            table = read(damaged, path)
        except UnreadableFileError as error:
            assert error.reason
            outcomes["refused"] += 1
        else:
            assert table.equals(whole)
            outcomes["unchanged"] += 1
    assert outcomes["refused"] >= 55


def test_read_rows_refuses_every_cut_or_flipped_gzip_of_a_real_file(real_ticks, read):
    path = "freqtrade/XRP_ETH-trades.json.gz"
    content = (real_ticks / path).read_bytes()
    source = random.Random(8)
    for attempt in range(40):
        place = source.randrange(20, len(content))  # the header before it holds a name and a time, which nobody checks
        flipped = content[:place] + bytes([content[place] ^ source.randrange(1, 256)]) + content[place + 1 :]
        with pytest.raises(UnreadableFileError):
            read(content[:place] if attempt % 2 else flipped, path)


def test_read_rows_survives_any_flipped_byte_in_the_directory_of_an_archive(zipped, read):
    """No other exception escapes, whatever the headers say."""
    path = BINANCE
    content = zipped({"a.csv": LINES[:200]})
    source = random.Random(9)
    refused = 0
    for place in range(len(content)):
        damaged = content[:place] + bytes([content[place] ^ source.randrange(1, 256)]) + content[place + 1 :]
        try:
            read(damaged, path)
        except UnreadableFileError:
            refused += 1
    assert refused > len(content) / 4
