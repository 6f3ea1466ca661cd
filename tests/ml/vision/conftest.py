"""Fixtures of image models: gold.<set>_images made from arrays, as its declaration has it, and a store of MLflow."""

from __future__ import annotations

import gzip
import hashlib
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from lakehouse.config.settings import Settings, read_settings
from lakehouse.lake.catalog import load
from lakehouse.lake.migration import require_tables
from lakehouse.lake.schema import arrow_schema
from lakehouse.tables.vision import gold_images

Part = tuple[np.ndarray, np.ndarray]
"""Pixels (images, channels, height, width) uint8, and labels."""


def read_idx(path: Path) -> np.ndarray:
    """One gzip file of IDX, read as its header says."""
    content = gzip.decompress(path.read_bytes())
    dimensions = content[3]
    shape = np.frombuffer(content, ">i4", dimensions, 4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(shape)


def mnist_parts(real_data: Path) -> dict[str, Part]:
    """MNIST's two splits."""
    folder = real_data / "mnist"
    names = {"train": "train", "test": "t10k"}
    return {
        split: (
            read_idx(folder / f"{name}-images-idx3-ubyte.gz")[:, None],
            read_idx(folder / f"{name}-labels-idx1-ubyte.gz").astype(np.int64),
        )
        for split, name in names.items()
    }


def cifar_part(real_data: Path) -> Part:
    """The first 4,000 records of CIFAR-10's binary version."""
    records = np.fromfile(real_data / "cifar-10-batches-bin" / "data_batch_1.bin", np.uint8).reshape(-1, 3073)
    return records[:, 1:].reshape(-1, 3, 32, 32), records[:, 0].astype(np.int64)


def digits_parts() -> dict[str, Part]:
    """The digits that come with scikit-learn, scaled from 0..16 to bytes, the last 360 as test."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    pixels = np.round(images * 255 / 16).astype(np.uint8).reshape(-1, 1, 8, 8)
    return {"train": (pixels[:-360], labels[:-360]), "test": (pixels[-360:], labels[-360:])}


def image_rows(name: str, parts: dict[str, Part], class_names: Sequence[str] | None = None) -> pa.Table:
    """Rows of a set's gold table, ascending by image_id."""
    tables = []
    for split, (pixels, labels) in parts.items():
        count, channels, height, width = pixels.shape
        content = [image.tobytes() for image in pixels]
        numbers = np.arange(count)
        rows = {
            "image_id": [f"{name}.{split}.{number:06d}" for number in numbers],
            "dataset": [name] * count,
            "split": [split] * count,
            "label": labels,
            "label_name": [class_names[label] if class_names else str(label) for label in labels],
            "height": np.full(count, height),
            "width": np.full(count, width),
            "channels": np.full(count, channels),
            "pixels": content,
            "pixel_min": pixels.reshape(count, -1).min(axis=1),
            "pixel_max": pixels.reshape(count, -1).max(axis=1),
            "image_sha256": [hashlib.sha256(each).hexdigest() for each in content],
            "is_train_test_leak": np.zeros(count, bool),
            "has_other_label": np.zeros(count, bool),
            "_source_file": ["test"] * count,
            "_source_record": numbers,
            "_source_sha256": ["0" * 64] * count,
            "_ingested_at": [datetime.now(UTC)] * count,
        }
        schema = arrow_schema(gold_images(name))
        tables.append(pa.table([pa.array(rows[field.name], type=field.type) for field in schema], schema=schema))
    return pa.concat_tables(tables).sort_by("image_id").combine_chunks()


def publish_images(settings: Settings, name: str, rows: pa.Table) -> None:
    """Put rows in place of all rows of a set's gold table."""
    require_tables(settings, [gold_images(name)])
    load(settings, gold_images(name)).overwrite(rows)


@dataclass
class Gallery:
    """A lakehouse of a test with images in gold, and what its training works with."""

    settings: Settings
    context: Any
    lines: list[str]

    def train(self, model: str, overrides: Sequence[str] = (), **arguments: Any) -> Any:
        """Train a model."""
        from ml.steps import train_model

        return train_model(self.context, model, overrides=overrides, **arguments)

    def publish(self, name: str, rows: pa.Table) -> None:
        """Replace the rows of a set."""
        publish_images(self.settings, name, rows)


@pytest.fixture(scope="module")
def make_gallery(empty_mlflow: Path) -> Callable[[Path], Gallery]:
    """Make a lakehouse below a folder."""

    def make(home: Path) -> Gallery:
        from ml.tracking import open_tracking

        settings = read_settings({"LAKEHOUSE_HOME": str(home)})
        (home / "mlflow").mkdir(parents=True)
        shutil.copy(empty_mlflow, home / "mlflow" / "mlflow.db")
        lines: list[str] = []
        return Gallery(settings, open_tracking(settings, lines.append), lines)

    return make


@pytest.fixture(scope="session")
def images() -> Any:
    """images.mnist(real_data), images.cifar(real_data), images.digits(), images.rows(name, parts)."""

    class Images:
        mnist = staticmethod(mnist_parts)
        cifar = staticmethod(cifar_part)
        digits = staticmethod(digits_parts)
        rows = staticmethod(image_rows)

    return Images
