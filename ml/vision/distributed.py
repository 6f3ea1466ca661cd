"""Training on several devices: PyTorch's own launcher starts one process for each, which average their gradients.

`python -m torch.distributed.run --nproc-per-node N -m ml.vision.distributed FOLDER` is what runs; FOLDER holds the
configuration and the images as arrays, and gets the weights and the history.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import distributed

from lakehouse.errors import LakehouseError
from ml.config import parse_config
from ml.model import Say
from ml.torch_runtime import prepare_torch
from ml.vision.augment import Normalisation
from ml.vision.config import ImageConfig
from ml.vision.fit import Course, Share, fit
from ml.vision.images import LabelledImages, mean_and_std
from ml.vision.networks import build_network
from ml.vision.weights import save_weights

CONFIG, HISTORY, WEIGHTS = "config.json", "history.json", "network.safetensors"
PARTS = ("train", "validation")


class WorkersFailedError(LakehouseError):
    """A process of a distributed training ended with an error; nothing was written."""


def fit_on_processes(
    config: ImageConfig, train: LabelledImages, validation: LabelledImages, target: Path, say: Say
) -> Mapping[str, list[float]]:
    """Train on `config.processes` processes, write the weights, and return the history.

    Raises:
        WorkersFailedError: a process failed.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / CONFIG).write_text(config.as_json(), encoding="utf-8")
        for part, images in zip(PARTS, (train, validation), strict=True):
            np.save(folder / f"{part}_pixels.npy", images.pixels)
            np.save(folder / f"{part}_labels.npy", images.labels)
        launcher = ("torch.distributed.run", "--standalone", f"--nproc-per-node={config.processes}")
        command = [sys.executable, "-m", *launcher, "-m", "ml.vision.distributed", str(folder)]
        environment = os.environ | {"OMP_NUM_THREADS": str(config.resources.threads)}
        errors = folder / "errors.txt"
        with (
            errors.open("w") as complaints,
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=complaints, text=True, env=environment) as process,
        ):
            for line in process.stdout or ():
                say(line.rstrip())
        if process.returncode or not (folder / HISTORY).exists():
            lines = errors.read_text(encoding="utf-8").splitlines()
            told = next((line for line in lines if "Error" in line), f"exit code {process.returncode}")
            raise WorkersFailedError(f"training on {config.processes} processes failed: {told.strip()}")
        target.write_bytes((folder / WEIGHTS).read_bytes())
        history: Mapping[str, list[float]] = json.loads((folder / HISTORY).read_text(encoding="utf-8"))
        return history


def work(folder: Path) -> None:
    """Train as one of several processes; the first writes."""
    config = parse_config((folder / CONFIG).read_text(encoding="utf-8"), CONFIG)
    assert isinstance(config, ImageConfig)  # noqa: S101 - the parent wrote it
    device = prepare_torch(config.resources, config.seed)
    rank, processes = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    train, validation = (
        LabelledImages(np.load(folder / f"{part}_pixels.npy"), np.load(folder / f"{part}_labels.npy")) for part in PARTS
    )
    network = build_network(config, train.shape, int(train.labels.max()) + 1).to(device)
    normalisation = Normalisation.of(*mean_and_std(train.pixels), device)
    share = Share(rank, processes)
    course = Course(normalisation, config.training, config.augmentation, config.seed, share)

    def say(line: str) -> None:
        if rank == 0:
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()

    history = fit(network, train, validation, course, say)
    if rank == 0:
        save_weights(network, folder / WEIGHTS)
        (folder / HISTORY).write_text(json.dumps(asdict(history)), encoding="utf-8")
    distributed.destroy_process_group()


if __name__ == "__main__":
    work(Path(sys.argv[1]))
