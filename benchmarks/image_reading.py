"""Reading 60,000 images from gold at a snapshot, against the same columns of the same Parquet files bare, in turns.

python benchmarks/image_reading.py --data <folder with MNIST's four files> [--rounds 15]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from images import mnist

from lakehouse.config.settings import read_settings
from lakehouse.lake.catalog import load
from lakehouse.lake.migration import require_tables
from lakehouse.lake.schema import arrow_schema
from lakehouse.tables.vision import gold_images
from ml.gold import RowFilter, choose_snapshot, read_snapshot
from ml.vision.image_cnn import COLUMNS
from ml.vision.images import LabelledImages, stack_pixels


def measure(data: Path, rounds: int) -> None:
    table = gold_images("mnist")
    train, _ = mnist(data)
    with tempfile.TemporaryDirectory() as home:
        settings = read_settings({"LAKEHOUSE_HOME": home})
        require_tables(settings, [table])
        load(settings, table).append(rows_of(train, arrow_schema(table)))
        snapshot_id, _ = choose_snapshot(settings, table, None)
        files = [task.file.file_path.removeprefix("file://") for task in load(settings, table).scan().plan_files()]

        def gold() -> Any:
            return stack_pixels(read_snapshot(settings, table, snapshot_id, COLUMNS, RowFilter()))

        def bare() -> Any:
            tables = [pq.read_table(path, columns=list(COLUMNS), partitioning=None) for path in files]
            return stack_pixels(pa.concat_tables(tables).combine_chunks())

        if not np.array_equal(gold(), bare()):
            raise SystemExit("the two readings differ")
        in_turns({"gold": gold, "bare Parquet": bare}, rounds)


def rows_of(images: LabelledImages, schema: pa.Schema) -> pa.Table:
    count, channels, height, width = images.pixels.shape
    known = {
        "image_id": [f"mnist.train.{number:06d}" for number in range(count)],
        "label": images.labels,
        "label_name": [str(label) for label in images.labels],
        "height": [height] * count,
        "width": [width] * count,
        "channels": [channels] * count,
        "pixels": [image.tobytes() for image in images.pixels],
        "dataset": ["mnist"] * count,
        "split": ["train"] * count,
        "image_sha256": [f"{number:064x}" for number in range(count)],
    }
    empty = {pa.string(): "", pa.int32(): 0, pa.int64(): 0, pa.bool_(): False}
    columns = [
        pa.array(known[field.name] if field.name in known else [empty.get(field.type, 0)] * count, type=field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)


def in_turns(readers: dict[str, Callable[[], Any]], rounds: int) -> None:
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in readers}
    for _ in range(rounds):
        for name, read in readers.items():
            began = time.process_time(), time.perf_counter()
            read()
            seconds[name].append((time.process_time() - began[0], time.perf_counter() - began[1]))
    for name, spent in seconds.items():
        cpu, wall = (statistics.median(each) for each in zip(*spent, strict=True))
        least = min(each[1] for each in spent)
        print(f"{name}: median {cpu:.3f} CPU s, {wall:.3f} wall s, least {least:.3f} wall s, {rounds} rounds in turns")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    measure(arguments.data, arguments.rounds)


if __name__ == "__main__":
    main()
