"""The digits of scikit-learn as landing files: the same images in the same bytes, each time."""

from __future__ import annotations

import gzip

import numpy as np
from sklearn.datasets import load_digits

from lakehouse.demo.images import ImagesPlan, idx_bytes, write_demo_images


def read_idx(path):
    content = gzip.decompress(path.read_bytes())
    dimensions = content[3]
    shape = np.frombuffer(content[4 : 4 + 4 * dimensions], ">u4")
    return np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(shape)


def test_write_demo_images_writes_every_digit_once_in_order(tmp_path):
    assert write_demo_images(tmp_path) == ImagesPlan(1437, 360)
    folder = tmp_path / "digits"
    pixels = np.concatenate([read_idx(folder / f"{split}-images-idx3-ubyte.gz") for split in ("train", "t10k")])
    labels = np.concatenate([read_idx(folder / f"{split}-labels-idx1-ubyte.gz") for split in ("train", "t10k")])
    digits = load_digits()
    assert labels.tolist() == digits.target.tolist()
    assert pixels.shape == (1797, 8, 8)
    assert np.array_equal(np.rint(pixels * (16 / 255)), digits.images)
    assert (pixels.min(), pixels.max()) == (0, 255)


def test_write_demo_images_leaves_files_of_the_same_content(tmp_path):
    write_demo_images(tmp_path)
    path = tmp_path / "digits" / "t10k-labels-idx1-ubyte.gz"
    other_compression = gzip.compress(gzip.decompress(path.read_bytes()), compresslevel=1, mtime=7)
    path.write_bytes(other_compression)
    damaged = tmp_path / "digits" / "train-labels-idx1-ubyte.gz"
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[:50])
    write_demo_images(tmp_path)
    assert path.read_bytes() == other_compression
    assert damaged.read_bytes() == whole


def test_idx_bytes_begins_with_type_dimensions_and_shape():
    assert idx_bytes(np.array([[1, 2, 3]], np.uint8)) == bytes([0, 0, 8, 2, 0, 0, 0, 1, 0, 0, 0, 3, 1, 2, 3])
