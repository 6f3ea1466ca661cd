"""Bytes of image files: what is read, and what is refused with which words."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import tarfile

import numpy as np
import pytest

from lakehouse.demo.images import idx_bytes
from spark_jobs.sources.base import UnreadableFileError
from spark_jobs.sources.image_bytes import CIFAR_RECORD, read_cifar10, read_cifar10_archive, read_idx, read_idx_array

IMAGES = np.arange(2 * 3 * 5, dtype=np.uint8).reshape(2, 3, 5)
LABELS = np.array([15, 0], np.uint8)
BATCH = np.arange(3 * CIFAR_RECORD, dtype=np.uint64).astype(np.uint8).reshape(3, CIFAR_RECORD)


class Marker:
    """A pickle that leaves a trace where somebody loads it."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (self.path,))


@pytest.mark.parametrize("packed", [pytest.param(False, id="raw"), pytest.param(True, id="gzip")])
def test_read_idx_returns_images_of_any_shape_with_their_labels(packed):
    pack, ending = (gzip.compress, ".gz") if packed else (bytes, "")
    records = read_idx(pack(idx_bytes(IMAGES)), f"i{ending}", pack(idx_bytes(LABELS)), f"l{ending}")
    assert records.shape == (1, 3, 5)
    assert records.pixels.tolist() == IMAGES.reshape(2, 15).tolist()
    assert records.labels.tolist() == [15, 0]


def refusal(call, *arguments):
    with pytest.raises(UnreadableFileError) as caught:
        call(*arguments)
    return caught.value.reason


@pytest.mark.parametrize(
    ("content", "path", "reason"),
    [
        pytest.param(b"", "a", "a: the file is empty (0 bytes)", id="empty"),
        pytest.param(b"\0\0\x08\x03\0", "a", "a: cut: 5 bytes, and its header alone has 16", id="header is cut"),
        pytest.param(idx_bytes(IMAGES)[:-1], "a", "a: cut: 45 bytes, its header says 46", id="one byte short"),
        pytest.param(idx_bytes(IMAGES) + b"x", "a", "a: longer than its header says: 46 bytes expected", id="longer"),
        pytest.param(
            idx_bytes(LABELS),
            "a",
            "a: IDX with 1 dimensions, expected 3 for images (00 00 08 03)",
            id="labels where images belong",
        ),
        pytest.param(
            b"\0\0\x0d\x03" + bytes(12), "a", "a: IDX of floats, expected unsigned bytes (00 00 08 03)", id="floats"
        ),
        pytest.param(
            b"PNG image", "a", "a: no IDX file: begins with 50 4e 47 20, expected 00 00 08 03 for images", id="no idx"
        ),
        pytest.param(
            b"\0\0\x08\x03\0\0\0\0\0\0\0\x03\0\0\0\x05", "a", "a: holds no images: its header says 0 x 3 x 5", id="none"
        ),
        pytest.param(
            b"\0\0\x08\x03" + b"\xff" * 12,
            "a",
            f"a: its header says {(2**32 - 1) ** 3 + 16} bytes (4294967295 x 4294967295 x 4294967295), more than "
            "2048 MiB",
            id="header of a giant",
        ),
        pytest.param(
            gzip.compress(idx_bytes(IMAGES)),
            "a",
            "a: gzip, although its name does not end in .gz; rename it",
            id="name",
        ),
        pytest.param(
            gzip.compress(idx_bytes(IMAGES))[:-12],
            "a.gz",
            "a.gz: a cut gzip file: it ends before its end-of-stream marker",
            id="gzip is cut",
        ),
        pytest.param(
            idx_bytes(IMAGES), "a.gz", "a.gz: not a gzip file: begins with 00 00 08 03, expected 1f 8b", id="no gzip"
        ),
        pytest.param(
            gzip.compress(idx_bytes(IMAGES) + bytes(1 << 28)),
            "a.gz",
            "a.gz: longer than its header says: 46 bytes expected",
            id="bomb behind a small header",
        ),
        pytest.param(
            pickle.dumps([1]),
            "a",
            "a: a Python pickle, which is never loaded; expected IDX images (00 00 08 03)",
            id="pickle",
        ),
    ],
)
def test_read_idx_array_refuses_what_is_no_whole_file_of_images(content, path, reason):
    assert refusal(read_idx_array, content, path, "images", 3) == reason


def test_read_idx_refuses_a_pair_of_different_counts():
    labels = idx_bytes(np.array([1, 2, 3], np.uint8))
    assert refusal(read_idx, idx_bytes(IMAGES), "train-images", labels, "t10k-labels") == (
        "2 images in train-images and 3 labels in t10k-labels: they do not belong together; nothing of them is loaded"
    )


def test_read_cifar10_returns_planes_of_any_number_of_records():
    records = read_cifar10(BATCH.tobytes(), "data_batch_1.bin")
    assert records.shape == (3, 32, 32)
    assert records.labels.tolist() == BATCH[:, 0].tolist()
    assert np.array_equal(records.pixels, BATCH[:, 1:])


def test_read_cifar10_refuses_a_cut_batch():
    assert refusal(read_cifar10, BATCH.tobytes()[:-1], "b.bin") == (
        "b.bin: 9218 bytes are no whole records of 3073 (a label and 3 x 32 x 32): cut, or no batch of CIFAR-10's "
        "binary version"
    )


def archive(members):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as packed:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            packed.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def is_batch(name):
    return name.endswith(".bin")


def read_all(content):
    return list(read_cifar10_archive(content, "cifar-10-binary.tar.gz", is_batch))


def test_read_cifar10_archive_yields_its_batches_by_member():
    members = [("c/batches.meta.txt", b"airplane\n"), ("c/data_batch_1.bin", BATCH[:1].tobytes())]
    found = read_all(archive([*members, ("c/test_batch.bin", BATCH[1:].tobytes())]))
    assert [(name, records.labels.tolist()) for name, records in found] == [
        ("c/data_batch_1.bin", BATCH[:1, 0].tolist()),
        ("c/test_batch.bin", BATCH[1:, 0].tolist()),
    ]
    assert np.array_equal(found[1][1].pixels, BATCH[1:, 1:])


def sparse_archive(size):
    """A tar.gz of a hundred bytes or two whose one member is a hole of `size` bytes, in GNU's old format."""
    info = tarfile.TarInfo("c/data_batch_1.bin")
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[156:157] = tarfile.GNUTYPE_SPARSE
    header[386:410] = b"00000000000\0" * 2  # one piece of data: none, at the beginning
    header[483:495] = b"%011o\0" % size
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return gzip.compress(bytes(header) + bytes(2 * tarfile.BLOCKSIZE))


def test_read_cifar10_archive_refuses_a_member_of_holes():
    with pytest.raises(UnreadableFileError) as refused:
        read_all(sparse_archive(60_000 * CIFAR_RECORD))
    reason = "member c/data_batch_1.bin is sparse; expected a plain file"
    assert refused.value.reason == f"cifar-10-binary.tar.gz: {reason}"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(archive([("c/readme.html", b"x")]), "holds none of the declared batches", id="no batch"),
        pytest.param(archive([("c/a.bin", b"1234")]), "member c/a.bin: 4 bytes are no whole records", id="odd member"),
        pytest.param(gzip.compress(b"not a tar" * 200), "not a tar archive, or a cut one", id="no tar"),
        pytest.param(archive([("c/a.bin", os.urandom(30_730))])[:9_000], "a cut gzip file", id="cut"),
        pytest.param(
            gzip.compress(gzip.decompress(archive([("c/a.bin", bytes(30_730))]))[:9_000]), "cut", id="cut inside"
        ),
    ],
)
def test_read_cifar10_archive_refuses_what_is_no_whole_archive(content, reason):
    assert reason in refusal(read_all, content)


def test_pickles_are_refused_by_the_name_of_the_binary_version_and_never_loaded(tmp_path):
    trace = tmp_path / "loaded"
    evil = pickle.dumps(Marker(str(trace)), protocol=2)
    as_batch = refusal(read_cifar10, evil, "cifar-10-batches-bin/data_batch_1.bin")
    inside = refusal(read_all, archive([("cifar-10-batches-py/data_batch_1", evil)]))
    as_member = refusal(read_all, archive([("c/data_batch_1.bin", evil)]))
    for reason in (as_batch, inside, as_member):
        assert "a Python pickle, which is code and is never loaded; deliver the binary version" in reason
        assert "cifar-10-binary.tar.gz" in reason
    assert not trace.exists()
    pickle.loads(evil)  # noqa: S301  # the control: it does leave a trace where it is loaded
    assert trace.is_dir()
