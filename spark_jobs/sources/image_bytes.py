"""Bytes of image files as arrays: IDX, and CIFAR-10's binary version, loose or in its tar.gz. Nothing is unpickled.

An IDX file says in its header how long it is, so that reading stops at the first byte too many: a decompression bomb is
refused there. A CIFAR-10 record is a label byte and 1,024 bytes each of red, green and blue.
"""

from __future__ import annotations

import io
import math
import re
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from spark_jobs.sources.base import UnreadableFileError
from spark_jobs.sources.unpack import MIB, Member, read_members

Bytes = npt.NDArray[np.uint8]

IDX_UBYTE = 0x08
IDX_TYPES = {0x09: "signed bytes", 0x0B: "16-bit integers", 0x0C: "32-bit integers", 0x0D: "floats", 0x0E: "doubles"}
MAX_FILE_BYTES = 2048 * MIB
"""Of one file or member, inflated: 60,000 images of 28 x 28 are 45 MiB, ten of CIFAR-10's batches 293 MiB."""
CIFAR_SHAPE = (3, 32, 32)
CIFAR_RECORD = 1 + math.prod(CIFAR_SHAPE)
PICKLE_PROTOCOL = 0x80
"""First byte of a pickle since protocol 2; no label, and no IDX file begins with it."""
PICKLED = re.compile(r"(?:.*/)?(?:cifar-10-python\.tar\.gz|(?:data_batch_\d+|test_batch|batches\.meta))")
"""Paths of CIFAR-10's Python version."""
REFUSE_PICKLE = (
    "a Python pickle, which is code and is never loaded; deliver the binary version instead: "
    "cifar-10-binary.tar.gz, or its data_batch_1.bin to data_batch_5.bin and test_batch.bin"
)


@dataclass(frozen=True)
class Records:
    """Images of one file in its order: `pixels` has a row of channels * height * width bytes (CHW) per image."""

    shape: tuple[int, int, int]
    pixels: Bytes
    labels: Bytes


def read_idx(images: bytes, images_path: str, labels: bytes, labels_path: str) -> Records:
    """Read a pair of IDX files, raw or gzip by their names' ends.

    Raises:
        UnreadableFileError: one of them is no such file, or they do not have the same count.
    """
    pixels = read_idx_array(images, images_path, "images", 3)
    numbers = read_idx_array(labels, labels_path, "labels", 1)
    if len(pixels) != len(numbers):
        raise UnreadableFileError(
            f"{len(pixels)} images in {images_path} and {len(numbers)} labels in {labels_path}: they do not belong "
            "together; nothing of them is loaded"
        )
    count, height, width = pixels.shape
    return Records((1, height, width), pixels.reshape(count, height * width), numbers)


def read_idx_array(content: bytes, path: str, what: str, dimensions: int) -> Bytes:
    """Read one IDX file of unsigned bytes.

    Raises:
        UnreadableFileError: it is cut, longer than its header says, of another type or number of dimensions, or empty.
    """
    with naming(path):
        return _read_idx_chunks(next(iter(read_members(content, path))).chunks, path, what, dimensions)


@contextmanager
def naming(path: str) -> Iterator[None]:
    """Put the path in front of a reason that does not begin with it: a delivery has several files."""
    try:
        yield
    except UnreadableFileError as error:
        raise error if error.reason.startswith(path) else UnreadableFileError(f"{path}: {error.reason}") from None


def _read_idx_chunks(chunks: Iterator[bytes], path: str, what: str, dimensions: int) -> Bytes:
    pieces: list[bytes] = []
    size, expected = 0, None
    shape: tuple[int, ...] = ()
    header = 4 + 4 * dimensions
    for chunk in chunks:
        pieces.append(chunk)
        size += len(chunk)
        if expected is None and size >= header:
            shape = idx_shape(b"".join(pieces)[:header], path, what, dimensions)
            expected = header + math.prod(shape)
            if expected > MAX_FILE_BYTES:
                raise UnreadableFileError(
                    f"{path}: its header says {expected} bytes ({' x '.join(map(str, shape))}), more than "
                    f"{MAX_FILE_BYTES // MIB} MiB"
                )
        if expected is not None and size > expected:
            raise UnreadableFileError(f"{path}: longer than its header says: {expected} bytes expected")
    if expected is None:
        idx_shape(b"".join(pieces), path, what, dimensions)  # which refuses it
        raise ValueError(f"{path}: {size} bytes can't hold a header")
    if size < expected:
        raise UnreadableFileError(f"{path}: cut: {size} bytes, its header says {expected}")
    return np.frombuffer(b"".join(pieces), np.uint8, offset=header).reshape(shape)


def idx_shape(header: bytes, path: str, what: str, dimensions: int) -> tuple[int, ...]:
    """Return the dimensions that an IDX header states.

    Raises:
        UnreadableFileError: it is no header of unsigned bytes with that many dimensions, or one of them is 0.
    """
    expected = f"00 00 08 {dimensions:02x}"
    if header[:1] == bytes([PICKLE_PROTOCOL]):
        raise UnreadableFileError(f"{path}: a Python pickle, which is never loaded; expected IDX {what} ({expected})")
    if header[:2] == b"\x1f\x8b":
        raise UnreadableFileError(f"{path}: gzip, although its name does not end in .gz; rename it")
    if len(header) < 4 or header[:2] != b"\0\0" or (header[2] != IDX_UBYTE and header[2] not in IDX_TYPES):
        raise UnreadableFileError(
            f"{path}: no IDX file: begins with {header[:4].hex(' ')}, expected {expected} for {what}"
        )
    if header[2] != IDX_UBYTE:
        raise UnreadableFileError(f"{path}: IDX of {IDX_TYPES[header[2]]}, expected unsigned bytes ({expected})")
    if header[3] != dimensions:
        raise UnreadableFileError(
            f"{path}: IDX with {header[3]} dimensions, expected {dimensions} for {what} ({expected})"
        )
    if len(header) < 4 + 4 * dimensions:
        raise UnreadableFileError(f"{path}: cut: {len(header)} bytes, and its header alone has {4 + 4 * dimensions}")
    shape = tuple(int(number) for number in np.frombuffer(header[4 : 4 + 4 * dimensions], ">u4"))
    if 0 in shape:
        raise UnreadableFileError(f"{path}: holds no {what}: its header says {' x '.join(map(str, shape))}")
    return shape


def read_cifar10(content: bytes, path: str) -> Records:
    """Read one batch of CIFAR-10's binary version.

    Raises:
        UnreadableFileError: it is no such batch.
    """
    with naming(path):
        return _cifar10_records(b"".join(_bounded(next(iter(read_members(content, path))), path)), path)


def _cifar10_records(content: bytes, path: str) -> Records:
    if content[:1] == bytes([PICKLE_PROTOCOL]):
        raise UnreadableFileError(f"{path}: {REFUSE_PICKLE}")
    if not content or len(content) % CIFAR_RECORD:
        raise UnreadableFileError(
            f"{path}: {len(content)} bytes are no whole records of {CIFAR_RECORD} (a label and 3 x 32 x 32): cut, or "
            "no batch of CIFAR-10's binary version"
        )
    records = np.frombuffer(content, np.uint8).reshape(-1, CIFAR_RECORD)
    return Records(CIFAR_SHAPE, records[:, 1:], records[:, 0])


def _bounded(member: Member, path: str) -> Iterator[bytes]:
    total = 0
    for chunk in member.chunks:
        total += len(chunk)
        if total > MAX_FILE_BYTES:
            raise UnreadableFileError(f"{path}: more than {MAX_FILE_BYTES // MIB} MiB")
        yield chunk


def read_cifar10_archive(content: bytes, path: str, is_batch: Callable[[str], bool]) -> Iterator[tuple[str, Records]]:
    """Yield the batches of the tar.gz as published, by the name of their member, in the archive's order.

    Raises:
        UnreadableFileError: it is no such archive, cut, or the Python version; also while iterating.
    """
    found = 0
    try:
        with (
            naming(path),
            tarfile.open(fileobj=_Stream(next(iter(read_members(content, path))).chunks), mode="r|") as archive,
        ):
            for info in archive:
                if PICKLED.fullmatch(info.name):
                    raise UnreadableFileError(f"{path}: member {info.name} is {REFUSE_PICKLE}")
                if not info.isreg() or not is_batch(info.name):
                    continue
                if info.issparse():  # holes that no limit on inflation sees
                    raise UnreadableFileError(f"{path}: member {info.name} is sparse; expected a plain file")
                if info.size > MAX_FILE_BYTES:
                    raise UnreadableFileError(f"{path}: member {info.name} has {info.size} bytes, too many for a batch")
                stream = archive.extractfile(info)
                batch = stream.read() if stream else b""
                if len(batch) != info.size:
                    raise UnreadableFileError(f"{path}: member {info.name} is cut: {len(batch)} of {info.size} bytes")
                found += 1
                yield info.name, _cifar10_records(batch, f"{path}: member {info.name}")
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise UnreadableFileError(f"{path}: not a tar archive, or a cut one: {error}") from None
    if not found:
        raise UnreadableFileError(f"{path}: holds none of the declared batches")


class _Stream(io.RawIOBase):
    """Chunks of bytes as the file that tarfile reads from."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1) -> bytes:
        wanted = -1 if size is None else size
        parts: list[bytes] = []
        while wanted:
            if not self._rest:
                self._rest = memoryview(next(self._chunks, b""))
                if not self._rest:
                    break
            piece = self._rest if wanted < 0 else self._rest[:wanted]
            self._rest = self._rest[len(piece) :]
            parts.append(bytes(piece))
            wanted -= len(piece) if wanted > 0 else 0
        return b"".join(parts)
