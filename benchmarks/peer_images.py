"""MNIST from its four IDX files to the vision tables by hand: NumPy decodes, PyArrow writes Parquet.

    python benchmarks/peer_images.py LANDING WORK

Writes  WORK/bronze_images.parquet    every record: label, pixels, their SHA-256, range and sums
        WORK/images.parquet           with ids, label names and what equal images there are
        WORK/mnist_images.parquet, image_statistics.parquet, image_class_counts.parquet   the gold tables
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from peer import run_steps

FILES = {"train": "train", "test": "t10k"}


def read_idx(path: Path) -> np.ndarray:
    content = gzip.decompress(path.read_bytes())
    shape = np.frombuffer(content, ">i4", content[3], 4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * content[3]).reshape(shape)


def write(table: pa.Table, path: Path) -> None:
    pq.write_table(table, path, compression="zstd", compression_level=1, row_group_size=20_000)


def records(landing: Path, split: str) -> pa.Table:
    """Decode one split; of each record its SHA-256, range and sums."""
    images = read_idx(next(landing.rglob(f"{FILES[split]}-images-idx3-ubyte.gz")))
    labels = read_idx(next(landing.rglob(f"{FILES[split]}-labels-idx1-ubyte.gz")))
    flat = images.reshape(len(images), -1)
    wide = flat.astype(np.int64)
    pixels = [row.tobytes() for row in flat]
    return pa.table(
        {
            "split": [split] * len(flat),
            "record": np.arange(len(flat)),
            "label": labels.astype(np.int32),
            "pixels": pixels,
            "sha256": [hashlib.sha256(image).hexdigest() for image in pixels],
            "pixel_min": flat.min(1).astype(np.int32),
            "pixel_max": flat.max(1).astype(np.int32),
            "channel_sum": wide.sum(1),
            "channel_square_sum": (wide * wide).sum(1),
        }
    )


def bronze(landing: Path, work: Path) -> None:
    write(pa.concat_tables([records(landing, split) for split in FILES]), work / "bronze_images.parquet")


def silver(landing: Path, work: Path) -> None:
    """Drop blank images, name the rest, and flag equal ones."""
    rows = pq.read_table(work / "bronze_images.parquet")
    rows = rows.filter(pa.compute.less(rows["pixel_min"], rows["pixel_max"]))
    splits, numbers, hashes, labels = (rows[name].to_pylist() for name in ("split", "record", "sha256", "label"))
    ids = [f"mnist.{split}.{number:06}" for split, number in zip(splits, numbers, strict=True)]
    first: dict[tuple[str, str], str] = {}
    splits_of, labels_of = defaultdict(set), defaultdict(set)
    for name, split, sha256, label in zip(ids, splits, hashes, labels, strict=True):
        first.setdefault((split, sha256), name)
        splits_of[sha256].add(split)
        labels_of[sha256].add(label)
    originals = [first[split, sha256] for split, sha256 in zip(splits, hashes, strict=True)]
    flags = {
        "image_id": ids,
        "label_name": [str(label) for label in labels],
        "duplicate_of": [None if name == other else other for name, other in zip(ids, originals, strict=True)],
        "is_train_test_leak": [len(splits_of[sha256]) > 1 for sha256 in hashes],
        "has_other_label": [len(labels_of[sha256]) > 1 for sha256 in hashes],
    }
    for name, values in flags.items():
        rows = rows.append_column(name, pa.array(values, pa.string() if name == "duplicate_of" else None))
    write(rows, work / "images.parquet")


def gold(landing: Path, work: Path) -> None:
    """Choose the images, and add up statistics and classes."""
    rows = pq.read_table(work / "images.parquet")
    is_left_out = [
        original is not None or (is_leak and split == "train")
        for original, is_leak, split in zip(
            *(rows[name].to_pylist() for name in ("duplicate_of", "is_train_test_leak", "split")), strict=True
        )
    ]
    chosen = rows.filter(pa.array([not each for each in is_left_out]))
    write(chosen, work / "mnist_images.parquet")
    train = chosen.filter(pa.compute.equal(chosen["split"], "train"))
    pixels = 28 * 28 * train.num_rows
    total, squares = (pa.compute.sum(train[f"channel_{name}"]).as_py() for name in ("sum", "square_sum"))
    statistics = {
        "mean": [total / (pixels * 255)],
        "std": [(pixels * squares - total * total) ** 0.5 / (pixels * 255)],
        "image_count": [train.num_rows],
    }
    write(pa.table(statistics), work / "image_statistics.parquet")
    counts = Counter(zip(chosen["split"].to_pylist(), chosen["label"].to_pylist(), strict=True))
    totals = Counter(chosen["split"].to_pylist())
    classes = [
        {"split": split, "label": label, "image_count": count, "share_ratio": count / totals[split]}
        for (split, label), count in sorted(counts.items())
    ]
    write(pa.Table.from_pylist(classes), work / "image_class_counts.parquet")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("landing", type=Path)
    parser.add_argument("work", type=Path)
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    landing, work = arguments.landing, arguments.work
    run_steps({step.__name__: lambda step=step: step(landing, work) for step in (bronze, silver, gold)})


if __name__ == "__main__":
    main()
