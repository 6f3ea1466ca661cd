"""From the images of gold to a folder of weights: the network, the linear baseline beside it, and what they need.

Writes  network.safetensors, linear.safetensors, model.json (shape, classes, normalisation, temperature, history)

Nothing in the folder depends on the clock, so that training again gives the same files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from ml.model import Say
from ml.model_files import write_index
from ml.torch_runtime import prepare_torch
from ml.vision.augment import Normalisation
from ml.vision.config import ImageConfig, Training
from ml.vision.distributed import fit_on_processes
from ml.vision.fit import NO_AUGMENTATION, Course, compute_logits, fit
from ml.vision.images import class_names, mean_and_std, split_train
from ml.vision.networks import build_linear, build_network
from ml.vision.scores import fit_temperature
from ml.vision.weights import LINEAR_FILE, NETWORK_FILE, load_weights, save_weights

LINEAR = Training(
    epochs=5,
    batch_size=250,
    learning_rate=0.02,
    warm_up_ratio=0.2,
    momentum=0.9,
    weight_decay=1e-4,
    label_smoothing=0.0,
    precision="float32",
)
LINEAR_STEPS = 1000
"""The linear baseline gets as many at least, however few images there are: a weak baseline flatters the network."""
TIMINGS = ("images_per_second",)


def learn_folder(config: ImageConfig, rows: pa.Table, folder: Path, say: Say) -> Mapping[str, list[float]]:
    """Train on the train split except what validation holds back; return the course of the epochs."""
    train, validation = split_train(rows, config.validation_ratio, config.seed)
    names = class_names(rows)
    device = prepare_torch(config.resources, config.seed)
    mean, std = mean_and_std(train.pixels)
    normalisation = Normalisation.of(mean, std, device)
    shape = train.shape
    say(
        f"{len(train):,} images of {' x '.join(map(str, shape))}, {len(names)} classes, {len(validation):,} held back "
        f"for validation; {config.model_type} on {describe_device(device)}"
    )
    linear = build_linear(shape, len(names)).to(device)
    epochs = max(LINEAR.epochs, LINEAR_STEPS // max(1, len(train) // LINEAR.batch_size))
    how = LINEAR.model_copy(update={"epochs": epochs})
    fit(linear, train, validation, Course(normalisation, how, NO_AUGMENTATION, config.seed), lambda line: None)
    save_weights(linear, folder / LINEAR_FILE)

    torch.manual_seed(config.seed)
    network = build_network(config, shape, len(names)).to(device)
    if config.processes > 1:
        history = fit_on_processes(config, train, validation, folder / NETWORK_FILE, say)
        load_weights(network, folder / NETWORK_FILE)
        network.to(memory_format=torch.channels_last)
    else:
        course = Course(normalisation, config.training, config.augmentation, config.seed)
        history = asdict(fit(network, train, validation, course, say))
        save_weights(network, folder / NETWORK_FILE)

    logits = compute_logits(network, validation.pixels, normalisation, config.training.precision)
    write_index(
        folder,
        {
            "model_type": config.model_type,
            "shape": list(shape),
            "classes": names,
            "mean": mean.tolist(),
            "std": std.tolist(),
            "temperature": fit_temperature(logits.double().numpy(), validation.labels),
            "majority": int(np.bincount(train.labels).argmax()),
            "history": {name: values for name, values in history.items() if name not in TIMINGS},
        },
    )
    return {f"epoch_{name}": values for name, values in history.items()}


def describe_device(device: torch.device) -> str:
    """Name a device for a person."""
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    return f"the CPU, {torch.get_num_threads()} threads"
