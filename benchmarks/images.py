"""Image training against published recipes; image_recipes.py has them, image_reading.py measures the reading of gold.

    python benchmarks/images.py mnist --data <folder with MNIST's four files> [--plain-epochs 1] [--seeds 3]
    python benchmarks/images.py cifar --data <folder with data_batch_*.bin> [--seconds 60 | --page] [--device gpu]

`mnist` and `cifar` give this project's networks and PyTorch's MNIST example the same seconds; `cifar --page` trains the
residual network and Page's recipe to their ends. The images are in memory already. On the CPU, CPU seconds count: the
machine may have other work.
"""

from __future__ import annotations

import argparse
import gzip
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ml.config import find_config
from ml.torch_runtime import prepare_torch, require_torch
from ml.vision.images import LabelledImages, choose_validation

require_torch(print)

import torch  # noqa: E402
from image_recipes import (  # noqa: E402
    CLASSES,
    Images,
    Result,
    Timer,
    accuracy_of,
    mnist_example,
    normalisation_of,
    page_resnet,
    show,
)

from ml.vision.fit import Course, fit  # noqa: E402
from ml.vision.networks import build_network  # noqa: E402


def read_idx(path: Path) -> np.ndarray[Any, Any]:
    content = gzip.decompress(path.read_bytes())
    shape = np.frombuffer(content, ">i4", content[3], 4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * content[3]).reshape(shape)


def mnist(folder: Path) -> Images:
    parts = []
    for name in ("train", "t10k"):
        pixels = read_idx(folder / f"{name}-images-idx3-ubyte.gz")[:, None]
        labels = read_idx(folder / f"{name}-labels-idx1-ubyte.gz").astype(np.int64)
        parts.append(LabelledImages(pixels.copy(), labels))
    return parts[0], parts[1]


def cifar(folder: Path) -> Images:
    """Every record that is there; where the test file is not, a fifth of each class is held back as test."""
    train = records(sorted(folder.glob("data_batch_*.bin")))
    if (folder / "test_batch.bin").exists():
        return train, records([folder / "test_batch.bin"])
    is_test = choose_validation(train.labels, 0.2, seed=0)
    parts = (LabelledImages(train.pixels[chosen], train.labels[chosen]) for chosen in (~is_test, is_test))
    return next(parts), next(parts)


def records(files: Sequence[Path]) -> LabelledImages:
    found = np.concatenate([np.fromfile(path, np.uint8).reshape(-1, 3073) for path in files])
    return LabelledImages(found[:, 1:].reshape(-1, 3, 32, 32), found[:, 0].astype(np.int64))


def ours(name: str, images: Images, device: str, seed: int, *changes: str) -> Result:
    """Train as `lakehouse train` does, validation and all, on all training images but those held back."""
    config = find_config(name, [f"seed={seed}", f"resources.device={device}", *changes])
    train, test = images
    held_back = choose_validation(train.labels, config.validation_ratio, seed)
    learned = LabelledImages(train.pixels[~held_back], train.labels[~held_back])
    validation = LabelledImages(train.pixels[held_back], train.labels[held_back])
    chosen = prepare_torch(config.resources, seed)
    timer = Timer(chosen)
    normalisation = normalisation_of(learned, chosen)
    network = build_network(config, learned.shape, CLASSES).to(chosen)
    course = Course(normalisation, config.training, config.augmentation, seed)
    fit(network, learned, validation, course, lambda line: None)
    spent = timer.spent()
    accuracy = accuracy_of(network, test, normalisation, config.training.precision)
    return Result(f"{name}, {config.model_type}", chosen.type, *spent, accuracy, f"{config.training.epochs} epochs")


def run_mnist(arguments: argparse.Namespace) -> None:
    images = mnist(arguments.data)
    threads = f"resources.threads={arguments.threads}"
    found = []
    for seed in range(1, arguments.seeds + 1):
        found.append(ours("mnist_cnn", images, arguments.device, seed, threads))
        show(found[-1])
    device = torch.device(found[0].device)
    allowance_s = statistics.median(each.seconds for each in found)
    print(f"PyTorch's example for the same {allowance_s:.1f} s:")
    for result in mnist_example(images, device, 1, 14, allowance_s):
        show(result)
    if arguments.plain_epochs:
        print(f"PyTorch's example for {arguments.plain_epochs} of its 14 epochs:")
        for result in mnist_example(images, device, 1, arguments.plain_epochs):
            show(result)


def run_cifar(arguments: argparse.Namespace) -> None:
    """Both networks and the example for equal seconds, or, with --page, ours against Page's recipe, each whole."""
    images = cifar(arguments.data)
    print(f"{len(images[0]):,} images to learn from, {len(images[1]):,} to be judged by")
    if arguments.page:
        for seed in range(1, arguments.seeds + 1):
            result = ours("cifar10_cnn", images, arguments.device, seed)
            show(result)
            show(page_resnet(images, torch.device(result.device), seed))
        return
    threads = f"resources.threads={arguments.threads}"
    for model_type, given in (("small_cnn", arguments.small_cnn), ("resnet", arguments.resnet)):
        changes = (f"model_type={model_type}", threads, *given)
        probe = ours("cifar10_cnn", images, arguments.device, 1, *changes, "epochs=1")
        epochs = max(1, int(arguments.seconds / probe.seconds))
        show(ours("cifar10_cnn", images, arguments.device, 1, *changes, f"epochs={epochs}"))
    *_, last = mnist_example(images, torch.device(probe.device), 1, 10_000, arguments.seconds)
    show(last)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    for name, run in (("mnist", run_mnist), ("cifar", run_cifar)):
        command = commands.add_parser(name)
        command.add_argument("--data", type=Path, required=True)
        command.add_argument("--device", choices=["cpu", "gpu"], default="cpu")
        command.add_argument("--seeds", type=int, default=1)
        command.add_argument("--threads", type=int, default=1)
        command.set_defaults(run=run)
        if name == "mnist":
            command.add_argument("--plain-epochs", type=int, default=1)
        else:
            command.add_argument("--seconds", type=float, default=60, help="for each network")
            for model_type in ("--small_cnn", "--resnet"):
                command.add_argument(
                    model_type, nargs="*", default=[], metavar="KEY=VALUE", help="changes to its settings"
                )
            command.add_argument("--page", action="store_true", help="against Page's recipe, both to their ends")
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    main()
