"""Images between gold and the device: one array of bytes without a loop over images, split, normalised, augmented.

`pixels` are uint8, (images, channels, height, width); they become floats batch by batch, where they are computed with.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lakehouse.errors import BadInputError
from ml.examples import Floats, Positions

Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class LabelledImages:
    """Images of one part of a set, in the order of gold."""

    pixels: Bytes
    labels: Positions

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height, width of every image."""
        return self.pixels.shape[1], self.pixels.shape[2], self.pixels.shape[3]


def stack_pixels(rows: pa.Table) -> Bytes:
    """Return the pixels of all rows as one array, read-only, over Arrow's own memory where that is in one piece.

    Raises:
        BadInputError: images of several shapes, or bytes that are not of their shape.
    """
    shape = shape_of(rows)
    parts = [view_values(chunk, int(np.prod(shape))) for chunk in rows.column("pixels").chunks if len(chunk)]
    values = parts[0] if len(parts) == 1 else np.concatenate(parts)
    return values.reshape(-1, *shape)


def shape_of(rows: pa.Table) -> tuple[int, int, int]:
    """Return channels, height and width of all images.

    Raises:
        BadInputError: there is no image, or they are of several shapes.
    """
    found = []
    for name in ("channels", "height", "width"):
        extent = pa.compute.min_max(rows.column(name))
        least, most = extent["min"].as_py(), extent["max"].as_py()
        if least is None:
            raise BadInputError("there is no image to learn from")
        if least != most:
            raise BadInputError(f"images of one {name}, found {least} to {most}: one network reads one shape")
        found.append(least)
    return found[0], found[1], found[2]


def view_values(chunk: pa.Array, size: int) -> Bytes:
    """Return the bytes of an Arrow binary array whose every value has one size, without copying them.

    Raises:
        BadInputError: a value is null or of another size.
    """
    wide = pa.types.is_large_binary(chunk.type)
    offsets = np.frombuffer(chunk.buffers()[1], np.int64 if wide else np.int32)[chunk.offset :][: len(chunk) + 1]
    sizes = np.diff(offsets)
    if chunk.null_count or (sizes != size).any():
        wrong = int(sizes[sizes != size][0]) if (sizes != size).any() else 0
        raise BadInputError(f"pixels of {size} bytes an image as its shape says, found one of {wrong}")
    return np.frombuffer(chunk.buffers()[2], np.uint8)[offsets[0] : offsets[-1]]


def is_in_split(rows: pa.Table, split: str) -> NDArray[np.bool_]:
    """Return which rows are of a split."""
    found: NDArray[np.bool_] = pa.compute.equal(rows.column("split"), split).to_numpy()
    return found


def choose_validation(labels: Positions, ratio: float, seed: int) -> NDArray[np.bool_]:
    """Return which training images are held back: a share of each class, drawn by seed, one at least and never all.

    Raises:
        BadInputError: no class has two images.
    """
    random = np.random.default_rng(seed)
    chosen = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        count = min(max(1, round(ratio * len(members))), len(members) - 1)
        chosen[random.choice(members, count, replace=False)] = True
    if not chosen.any():
        raise BadInputError(
            f"{len(labels)} images for training, no class has two: one to learn from and one to judge by"
        )
    return chosen


def split_train(rows: pa.Table, ratio: float, seed: int) -> tuple[LabelledImages, LabelledImages]:
    """Return the images of the train split to learn from and those held back."""
    train = rows.filter(pa.array(is_in_split(rows, "train")))
    pixels, labels = stack_pixels(train), train.column("label").to_numpy().astype(np.int64)
    held_back = choose_validation(labels, ratio, seed)
    return LabelledImages(pixels[~held_back], labels[~held_back]), LabelledImages(pixels[held_back], labels[held_back])


def mean_and_std(pixels: Bytes) -> tuple[Floats, Floats]:
    """Return mean and standard deviation of each channel, 0..1, from exact counts of the 256 values."""
    values = np.arange(256) / 255
    means, stds = [], []
    for channel in range(pixels.shape[1]):
        counts = np.bincount(pixels[:, channel].ravel(), minlength=256)
        mean = counts @ values / counts.sum()
        means.append(mean)
        stds.append(np.sqrt(counts @ (values - mean) ** 2 / counts.sum()))
    return np.array(means), np.maximum(np.array(stds), 1 / 255)  # one grey alone has no deviation to divide by


def class_names(rows: pa.Table) -> list[str]:
    """Return the names of the classes in the order of their labels; one between others without images is its number.

    Raises:
        BadInputError: a label has two names, or test has a label that train has not.
    """
    names: dict[int, str] = {}
    known = rows.select(["split", "label", "label_name"]).group_by(["split", "label", "label_name"]).aggregate([])
    for row in known.to_pylist():
        if names.setdefault(row["label"], row["label_name"]) != row["label_name"]:
            raise BadInputError(f"label {row['label']} is called {names[row['label']]} and {row['label_name']}")
    trained = {row["label"] for row in known.to_pylist() if row["split"] == "train"}
    if unknown := set(names) - trained:
        raise BadInputError(f"labels {sorted(unknown)} are in test and not in train: nothing to learn them from")
    return [names.get(label, str(label)) for label in range(max(names, default=-1) + 1)]
