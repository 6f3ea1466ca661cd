"""The digits that come with scikit-learn as landing files, so that the demo has images to train on. No internet.

Writes  <landing>/digits/train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz   the first 1,437 images
        <landing>/digits/t10k-images-idx3-ubyte.gz, t10k-labels-idx1-ubyte.gz     the last 360

The images are real: 1,797 handwritten digits of the UCI data set "Optical Recognition of Handwritten Digits", 8 x 8.
A pixel counts the dark dots of a block of 4 x 4, 0 to 16; a byte of the file is that times 255 / 16, rounded, so that
white on black spans 0 to 255 as in MNIST. scikit-learn reads them from a text file; nothing is unpickled.
"""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

FOLDER = "digits"
TEST_IMAGES = 360
"""A fifth. The set is in the order of its writers, so that the last images are of hands that train has few of."""
MOST_DOTS = 16


@dataclass(frozen=True)
class ImagesPlan:
    """How many images were written."""

    train: int
    test: int


def write_demo_images(landing: Path) -> ImagesPlan:
    """Write the digits below a landing folder; files that hold them already stay as they are."""
    from sklearn.datasets import load_digits  # here, because the demo alone needs it and its import takes a second

    digits = load_digits()
    pixels = np.rint(digits.images * (255 / MOST_DOTS)).astype(np.uint8)
    labels = digits.target.astype(np.uint8)
    for split, part in (("train", slice(None, -TEST_IMAGES)), ("t10k", slice(-TEST_IMAGES, None))):
        write_idx(landing / FOLDER / f"{split}-images-idx3-ubyte.gz", pixels[part])
        write_idx(landing / FOLDER / f"{split}-labels-idx1-ubyte.gz", labels[part])
    return ImagesPlan(len(labels) - TEST_IMAGES, TEST_IMAGES)


def write_idx(target: Path, values: NDArray[np.uint8]) -> None:
    """Write bytes as gzipped IDX, under its name only when it is whole.

    A file of the same content stays, whatever its compression: another zlib writes other bytes, and a delivery with
    other bytes would be refused by the next run.
    """
    content = idx_bytes(values)
    try:
        if gzip.decompress(target.read_bytes()) == content:
            return
    except (FileNotFoundError, gzip.BadGzipFile, EOFError, zlib.error):
        pass
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    part.write_bytes(gzip.compress(content, mtime=0))
    part.replace(target)


def idx_bytes(values: NDArray[np.uint8]) -> bytes:
    """Return an array of bytes as IDX: type and number of dimensions, each dimension in big-endian, then the bytes."""
    header = bytes([0, 0, 8, values.ndim]) + np.array(values.shape, ">u4").tobytes()
    return header + np.ascontiguousarray(values).tobytes()
