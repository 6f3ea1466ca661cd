"""Members of a landed file as bounded chunks of bytes: zip, gzip, or the file itself.

Nothing is inflated further than the next chunk, so a bomb is refused before it takes memory. ISA-L inflates three to
four times as fast as zlib.
"""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass

from isal import igzip, igzip_lib, isal_zlib

from spark_jobs.sources.base import UnreadableFileError

MIB = 1 << 20
CHUNK_BYTES = 8 * MIB
MAX_INFLATED_BYTES = 4096 * MIB
"""Per file. The busiest public day dumps inflate to about 1 GiB; four times that is no day of one instrument."""
MAX_INFLATION = 200
"""Times the file's size. Tick text inflates 4 to 15 times; DEFLATE's own limit, which bombs come near, is 1032."""
INFLATION_CHECKED_FROM = 64 * MIB
"""A small file may repeat itself as often as it likes: it can't hurt."""
INPUT_SLICE = MIB
"""Compressed bytes per call of the inflater: about one chunk of tick text."""
FILE_MANAGER_NAMES = frozenset({"thumbs.db", "desktop.ini"})
INFLATE_ERROR: type[Exception] = igzip_lib.IsalError  # type: ignore[assignment]  # isal's stub says instance


@dataclass(frozen=True)
class Member:
    """One text of a file. The chunks of a member are to be read before the next member is asked for."""

    index: int
    name: str
    """Empty where the file is no archive."""
    chunks: Iterator[bytes]


def read_members(content: bytes, path: str, endings: tuple[str, ...] = (".csv",)) -> Iterator[Member]:
    """Yield the members of the file in the archive's order; directories and file-manager droppings are skipped.

    `endings` are those that the names of an archive's members may have.

    Raises:
        UnreadableFileError: the file is cut, damaged, encrypted, a bomb, or not what its name says.
    """
    check_is_data(content)
    if path.endswith(".zip"):
        yield from _zip_members(content, endings)
    elif path.endswith(".gz"):
        yield Member(0, "", _bounded(_gunzip(content), len(content)))
    else:
        yield Member(0, "", (content[start : start + CHUNK_BYTES] for start in range(0, len(content), CHUNK_BYTES)))


def check_is_data(content: bytes) -> None:
    """Refuse what lands instead of data, whatever its name.

    Raises:
        UnreadableFileError: the file is empty, a large-file pointer or a web page.
    """
    if not content:
        raise UnreadableFileError("the file is empty (0 bytes)")
    head = content[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if head.startswith(b"version http") and b"\noid sha256:" in head:
        raise UnreadableFileError(
            "a Git LFS pointer, not the data: run `git lfs pull` where it came from, deliver again"
        )
    if head.startswith((b"<!doctype", b"<html", b"<?xml")):
        raise UnreadableFileError("a web page or XML message, probably the error page of a download, not the data")


def _bounded(chunks: Iterator[bytes], file_bytes: int, already: int = 0) -> Iterator[bytes]:
    """Hand the chunks on, and stop at the first that makes the file a bomb."""
    total = already
    for chunk in chunks:
        total += len(chunk)
        if total > MAX_INFLATED_BYTES:
            raise UnreadableFileError(f"inflates to more than {MAX_INFLATED_BYTES // MIB} MiB: a decompression bomb")
        if total > INFLATION_CHECKED_FROM and total > MAX_INFLATION * file_bytes:
            raise UnreadableFileError(
                f"inflates to more than {MAX_INFLATION} times its {file_bytes} bytes: a decompression bomb"
            )
        yield chunk


def _gunzip(content: bytes) -> Iterator[bytes]:
    if not content.startswith(b"\x1f\x8b"):
        raise UnreadableFileError(f"not a gzip file: begins with {content[:4].hex(' ')}, expected 1f 8b")
    stream = igzip.IGzipFile(fileobj=io.BytesIO(content))
    try:
        while chunk := stream.read(CHUNK_BYTES):
            yield chunk
    except EOFError:
        raise UnreadableFileError("a cut gzip file: it ends before its end-of-stream marker") from None
    except (igzip.BadGzipFile, INFLATE_ERROR, OSError, struct.error) as error:
        raise UnreadableFileError(f"a damaged gzip file: {error}") from None


def _zip_members(content: bytes, endings: tuple[str, ...]) -> Iterator[Member]:
    try:
        infos = zipfile.ZipFile(io.BytesIO(content)).infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error, OSError) as error:
        raise UnreadableFileError(f"not a zip archive, or a cut one: {error}") from None
    texts = [info for info in infos if not _is_dropping(info)]
    names = {info.filename for info in texts}
    if not texts:
        raise UnreadableFileError("a zip archive without a file in it")
    if len(names) != len(texts):
        raise UnreadableFileError("a zip archive that holds two members of one name")
    for info in texts:
        if not info.filename.lower().endswith(endings):
            expected = " or ".join(endings)
            raise UnreadableFileError(f"unexpected member {info.filename!r} in the archive; expected {expected}")
    inflated = 0
    for index, info in enumerate(texts):
        yield Member(index, info.filename, _bounded(_inflate(content, info), len(content), inflated))
        inflated += info.file_size  # _inflate has checked that it is true


def _is_dropping(info: zipfile.ZipInfo) -> bool:
    """Tell directories and what file managers leave in archives; they hold no data."""
    parts = info.filename.lower().split("/")
    return info.is_dir() or parts[0] == "__macosx" or parts[-1].startswith(".") or parts[-1] in FILE_MANAGER_NAMES


def _inflate(content: bytes, info: zipfile.ZipInfo) -> Iterator[bytes]:
    """Yield a member's bytes, and check its length and CRC at the end."""
    size, crc = 0, 0
    for chunk in _stored_or_deflated(content, info):
        size += len(chunk)
        crc = isal_zlib.crc32(chunk, crc)
        if size > info.file_size:
            break
        yield chunk
    if size != info.file_size:
        raise UnreadableFileError(f"member {info.filename} is not as long as the archive says ({info.file_size} bytes)")
    if crc != info.CRC:
        raise UnreadableFileError(f"member {info.filename} is damaged: CRC {crc:08x}, the archive says {info.CRC:08x}")


def _stored_or_deflated(content: bytes, info: zipfile.ZipInfo) -> Iterator[bytes]:
    body = _body(content, info)
    if info.compress_type == zipfile.ZIP_STORED:
        yield from (bytes(body[start : start + CHUNK_BYTES]) for start in range(0, len(body), CHUNK_BYTES))
        return
    inflater = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_DEFLATE)
    position = 0
    try:
        while not inflater.eof:
            piece: memoryview | bytes = b""
            if inflater.needs_input:
                if position >= len(body):
                    raise UnreadableFileError(f"member {info.filename} is cut: its compressed data end too early")
                piece = body[position : position + INPUT_SLICE]
                position += len(piece)
            if chunk := inflater.decompress(piece, CHUNK_BYTES):
                yield chunk
    except INFLATE_ERROR as error:
        raise UnreadableFileError(f"member {info.filename} is damaged: {error}") from None


def _body(content: bytes, info: zipfile.ZipInfo) -> memoryview:
    """Find a member's compressed bytes behind its local header (30 bytes, then the name and an extra field)."""
    if info.flag_bits & 0x1:
        raise UnreadableFileError(f"member {info.filename} is encrypted")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise UnreadableFileError(f"member {info.filename} is packed by method {info.compress_type}; expected deflate")
    start = info.header_offset
    if start < 0 or content[start : start + 4] != b"PK\x03\x04" or start + 30 > len(content):
        raise UnreadableFileError(f"the archive's directory points to no member at {info.filename}")
    name_length, extra_length = struct.unpack_from("<HH", content, start + 26)
    start += 30 + name_length + extra_length
    return memoryview(content)[start : start + info.compress_size]
