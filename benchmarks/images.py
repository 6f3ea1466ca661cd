"""Images: this project's training against the recipe that everybody starts from, and gold against bare Parquet.

    python benchmarks/images.py mnist --data <folder with MNIST's four files> [--plain-epochs 1] [--threads 2]
    python benchmarks/images.py cifar --data <folder with data_batch_1.bin> [--seconds 60]
    python benchmarks/images.py read --data <folder with MNIST's four files> [--rounds 15]

The plain recipe is PyTorch's own MNIST example, written again here: two convolutions, two linear layers, dropout,
Adadelta, batches of 64, 14 epochs. Both get the same threads and the same images, already in memory. CPU seconds are
what is compared: the machine may have other work. A network is asked for the test split when its time is up.
"""

from __future__ import annotations

import argparse
import gzip
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ml.config import find_config
from ml.torch_runtime import prepare_torch, require_torch
from ml.vision.images import LabelledImages, choose_validation, mean_and_std

require_torch(print)

import torch  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

from ml.vision.augment import Normalisation  # noqa: E402
from ml.vision.fit import Course, compute_logits, fit  # noqa: E402
from ml.vision.networks import build_network  # noqa: E402


@dataclass
class Result:
    """What one training came to."""

    label: str
    cpu_s: float
    wall_s: float
    test_accuracy: float
    note: str = ""


class Timer:
    """Wall and CPU seconds of this process since it was made; `is_over` tells when an allowance of CPU is used up."""

    def __init__(self, allowance_s: float = float("inf")) -> None:
        self.began = time.process_time(), time.perf_counter()
        self.allowance_s = allowance_s

    def spent(self) -> tuple[float, float]:
        return time.process_time() - self.began[0], time.perf_counter() - self.began[1]

    def is_over(self) -> bool:
        return self.spent()[0] >= self.allowance_s


def read_idx(path: Path) -> np.ndarray[Any, Any]:
    content = gzip.decompress(path.read_bytes())
    shape = np.frombuffer(content, ">i4", content[3], 4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * content[3]).reshape(shape)


def mnist(folder: Path) -> tuple[LabelledImages, LabelledImages]:
    """Train and test."""
    parts = []
    for name in ("train", "t10k"):
        pixels = read_idx(folder / f"{name}-images-idx3-ubyte.gz")[:, None]
        labels = read_idx(folder / f"{name}-labels-idx1-ubyte.gz").astype(np.int64)
        parts.append(LabelledImages(pixels.copy(), labels))
    return parts[0], parts[1]


def cifar(folder: Path) -> tuple[LabelledImages, LabelledImages]:
    """The records of batch 1 that are there, a fifth of each class held back as test."""
    records = np.fromfile(folder / "data_batch_1.bin", np.uint8).reshape(-1, 3073)
    pixels, labels = records[:, 1:].reshape(-1, 3, 32, 32), records[:, 0].astype(np.int64)
    is_test = choose_validation(labels, 0.2, seed=0)
    return LabelledImages(pixels[~is_test], labels[~is_test]), LabelledImages(pixels[is_test], labels[is_test])


def ours(name: str, images: tuple[LabelledImages, LabelledImages], seed: int, *changes: str) -> Result:
    """Train as `lakehouse train` does, validation and all, on all training images but those held back."""
    config = find_config(name, [f"seed={seed}", "resources.device=cpu", *changes])
    train, test = images
    held_back = choose_validation(train.labels, config.validation_ratio, seed)
    learned = LabelledImages(train.pixels[~held_back], train.labels[~held_back])
    validation = LabelledImages(train.pixels[held_back], train.labels[held_back])
    device = prepare_torch(config.resources, seed)
    timer = Timer()
    normalisation = Normalisation.of(*mean_and_std(learned.pixels), device)
    network = build_network(config, learned.shape, 10)
    course = Course(normalisation, config.training, config.augmentation, seed)
    fit(network, learned, validation, course, lambda line: None)
    spent = timer.spent()
    logits = compute_logits(network, test.pixels, normalisation, config.training.precision)
    accuracy = float((logits.argmax(1).numpy() == test.labels).mean())
    return Result(f"{name}, {config.model_type}", *spent, accuracy, f"{config.training.epochs} epochs")


def plain_network(shape: tuple[int, int, int]) -> nn.Module:
    channels, height, width = shape
    flat = 64 * ((height - 4) // 2) * ((width - 4) // 2)
    convolutions = [nn.Conv2d(channels, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2)]
    head = [nn.Dropout(0.25), nn.Flatten(), nn.Linear(flat, 128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, 10)]
    return nn.Sequential(*convolutions, *head)


def plain(
    images: tuple[LabelledImages, LabelledImages], seed: int, epochs: int, allowance_s: float = float("inf")
) -> list[Result]:
    """Train by the plain recipe for some epochs or until the CPU seconds are spent; one result per epoch."""
    train, test = images
    torch.manual_seed(seed)
    mean, std = mean_and_std(train.pixels)
    normalisation = Normalisation.of(mean, std, torch.device("cpu"))
    network = plain_network(train.shape)
    optimizer = torch.optim.Adadelta(network.parameters(), lr=1.0)
    rate = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.7)
    pixels, labels = torch.from_numpy(train.pixels), torch.from_numpy(train.labels)
    timer, results, done = Timer(allowance_s), [], 0
    for _ in range(epochs):
        network.train()
        batches = torch.randperm(len(train)).split(64)
        for batch in batches:
            done += 1
            values = (pixels[batch] - normalisation.mean) / normalisation.std
            optimizer.zero_grad()
            functional.cross_entropy(network(values), labels[batch]).backward()
            optimizer.step()
            if timer.is_over():
                break
        rate.step()
        spent = timer.spent()
        logits = compute_logits(network, test.pixels, normalisation, "float32")
        accuracy = float((logits.argmax(1).numpy() == test.labels).mean())
        note = f"{done / len(batches):.2f} epochs"
        results.append(Result("plain recipe", *spent, accuracy, note))
        show(results[-1])
        if timer.is_over():
            break
    return results


def show(result: Result) -> None:
    print(json.dumps(asdict(result)), flush=True)


def run_mnist(arguments: argparse.Namespace) -> None:
    images = mnist(arguments.data)
    threads = f"resources.threads={arguments.threads}"
    found = [ours("mnist_cnn", images, seed, threads) for seed in range(1, arguments.seeds + 1)]
    for each in found:
        show(each)
    cpu_s = statistics.median(each.cpu_s for each in found)
    print(f"the plain recipe for the same {cpu_s:.0f} CPU s:")
    plain(images, 1, 14, cpu_s)
    if arguments.plain_epochs:
        print(f"the plain recipe for {arguments.plain_epochs} of its 14 epochs:")
        plain(images, 1, arguments.plain_epochs)


def run_cifar(arguments: argparse.Namespace) -> None:
    images = cifar(arguments.data)
    for changes in (("model_type=small_cnn",), ("model_type=resnet", "epochs=1", "batch_size=64")):
        probe = ours("cifar10_cnn", images, 1, *changes, "epochs=1")
        epochs = max(1, int(arguments.seconds / probe.cpu_s))
        show(ours("cifar10_cnn", images, 1, *changes, f"epochs={epochs}"))
    plain(images, 1, 10_000, arguments.seconds)


def run_read(arguments: argparse.Namespace) -> None:
    """Read 60,000 images from gold at a snapshot, and the same columns of the same files bare, in turns."""
    from lakehouse.catalog import load, require_tables
    from lakehouse.schema import arrow_schema
    from lakehouse.settings import read_settings
    from lakehouse.tables.vision import gold_images
    from ml.gold import RowFilter, choose_snapshot, read_snapshot
    from ml.vision.image_cnn import COLUMNS
    from ml.vision.images import stack_pixels

    table = gold_images("mnist")
    train, _ = mnist(arguments.data)
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
        in_turns({"gold": gold, "bare Parquet": bare}, arguments.rounds)


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
            timer = Timer()
            read()
            seconds[name].append(timer.spent())
    for name, spent in seconds.items():
        cpu, wall = (statistics.median(each) for each in zip(*spent, strict=True))
        least = min(each[1] for each in spent)
        print(f"{name}: median {cpu:.3f} CPU s, {wall:.3f} wall s, least {least:.3f} wall s, {rounds} rounds in turns")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    for name, run in (("mnist", run_mnist), ("cifar", run_cifar), ("read", run_read)):
        command = commands.add_parser(name)
        command.add_argument("--data", type=Path, required=True)
        command.set_defaults(run=run)
        if name == "mnist":
            command.add_argument("--plain-epochs", type=int, default=1)
            command.add_argument("--seeds", type=int, default=1)
            command.add_argument("--threads", type=int, default=2)
        elif name == "cifar":
            command.add_argument("--seconds", type=float, default=60, help="CPU seconds for each")
        else:
            command.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    main()
