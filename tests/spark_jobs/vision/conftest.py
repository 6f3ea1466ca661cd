"""What the tests of the vision jobs share: image sets of their own, declared and written for a test."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lakehouse.demo.images import idx_bytes

NAMES = {"train": "train", "test": "t10k"}


@pytest.fixture(scope="session")
def declare() -> Callable[..., None]:
    """declare(landing, "odd", "more: lines", classes=16) declares an IDX set with files in a folder of its name."""

    def write(landing: Path, name: str, *lines: str, classes: int = 16) -> None:
        patterns = [
            f'  {split}: {{images: "**/{name}/{file}-images", labels: "**/{name}/{file}-labels"}}'
            for split, file in NAMES.items()
        ]
        text = "\n".join([f"name: {name}", "format: idx", f"classes: {classes}", "files:", *patterns, *lines])
        folder = landing / "image_sets"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.yaml").write_text(text + "\n")

    return write


@pytest.fixture(scope="session")
def write_idx() -> Callable[..., tuple[Path, Path]]:
    """write_idx(folder, "train", images, labels) writes a pair; None leaves a file out, `packed` gzips both."""

    def write(folder: Path, split: str, images, labels, packed: bool = False) -> tuple[Path, Path]:
        folder.mkdir(parents=True, exist_ok=True)
        paths = []
        for role, values in (("images", images), ("labels", labels)):
            path = folder / f"{NAMES[split]}-{role}{'.gz' if packed else ''}"
            if values is not None:
                content = idx_bytes(np.asarray(values, np.uint8))
                path.write_bytes(gzip.compress(content, mtime=0) if packed else content)
            paths.append(path)
        return paths[0], paths[1]

    return write


@pytest.fixture(scope="session")
def noise() -> Callable[..., np.ndarray]:
    """noise(count, height, width, seed) returns different images of seeded noise."""

    def make(count: int, height: int = 5, width: int = 7, seed: int = 1) -> np.ndarray:
        return np.random.default_rng(seed).integers(0, 256, (count, height, width), dtype=np.uint8)

    return make
