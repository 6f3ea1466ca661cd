"""A network's folder: weights as safetensors, which hold numbers and names alone, and model.json to build it from.

Whoever opens the folder has held its files against their sha256 before (ml/model_files.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save_file
from torch import nn

from lakehouse.errors import first_line
from ml.examples import Floats, Positions
from ml.model_files import TamperedError, read_index
from ml.vision.augment import Normalisation
from ml.vision.config import ImageConfig
from ml.vision.fit import compute_logits
from ml.vision.images import Bytes
from ml.vision.networks import build_linear, build_network

NETWORK_FILE = "network.safetensors"
LINEAR_FILE = "linear.safetensors"


@dataclass(frozen=True)
class Classifier:
    """What a folder holds, ready to be asked."""

    index: Mapping[str, Any]
    network: nn.Module
    linear: nn.Module
    normalisation: Normalisation

    def probabilities(self, config: ImageConfig, pixels: Bytes) -> Floats:
        """Return the probability of each class for each image, by the temperature that fits the validation images."""
        logits = compute_logits(self.network, pixels, self.normalisation, config.training.precision)
        found: Floats = torch.softmax(logits.double() / self.index["temperature"], dim=1).numpy()
        return found

    def linear_answers(self, pixels: Bytes) -> Positions:
        """Return the label that the linear baseline gives to each image."""
        found: Positions = compute_logits(self.linear, pixels, self.normalisation, "float32").argmax(1).numpy()
        return found


def save_weights(network: nn.Module, path: Path) -> None:
    """Write a network's weights."""
    save_file({name: values.contiguous().cpu() for name, values in network.state_dict().items()}, path)


def load_weights(network: nn.Module, path: Path) -> None:
    """Read weights into a network of the same shape; nothing in a file is run.

    Raises:
        TamperedError: the file is no safetensors, or of another network.
    """
    try:
        network.load_state_dict(load(path.read_bytes()))
    except (SafetensorError, RuntimeError, ValueError) as error:
        why = first_line(error)
        raise TamperedError(f"{path} holds no weights of this network ({why}); train the model again") from None


def open_classifier(config: ImageConfig, folder: Path, device: torch.device) -> Classifier:
    """Build the networks of a folder on a device.

    Raises:
        TamperedError: the files are not those that training wrote.
    """
    index = read_index(folder)
    channels, height, width = index["shape"]
    shape, classes = (channels, height, width), len(index["classes"])
    network, linear = build_network(config, shape, classes), build_linear(shape, classes)
    for each, name in ((network, NETWORK_FILE), (linear, LINEAR_FILE)):
        load_weights(each, folder / name)
        each.to(device, memory_format=torch.channels_last)
    normalisation = Normalisation.of(np.array(index["mean"]), np.array(index["std"]), device)
    return Classifier(index, network, linear, normalisation)
