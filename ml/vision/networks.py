"""The networks: plain layers in a row, built for whatever size, channels and classes an image set has.

A stage is a 3 x 3 convolution, a halving by the maximum, normalisation, ReLU. Halving comes before the normalisation:
the maximum of a rising function is the function of the maximum, up to the sign of the scale, at a quarter of the work.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn

from ml.vision.config import ImageConfig

SMALLEST_HALVED_PX = 4
"""A map of fewer pixels a side is not halved again."""
LOGIT_SCALE = 0.125
"""Of the residual network's last layer, whose maxima over the whole map are large at first (Page, 2018)."""
Shape = tuple[int, int, int]
"""Channels, height, width."""


def build_network(config: ImageConfig, shape: Shape, classes: int) -> nn.Module:
    """Return a new network of the configured type; its weights come from torch's seed."""
    widths = config.chosen_hyperparameters()["widths"]
    build = {"small_cnn": build_small_cnn, "resnet": build_resnet}[config.model_type]
    return build(widths, shape, classes)


def build_small_cnn(widths: Sequence[int], shape: Shape, classes: int) -> nn.Module:
    """Stages of the given widths, then one linear layer over the whole map."""
    channels, height, width = shape
    layers: list[nn.Module] = []
    for out in widths:
        is_halved = min(height, width) >= SMALLEST_HALVED_PX
        layers += stage(channels, out, is_halved)
        height, width = (height // 2, width // 2) if is_halved else (height, width)
        channels = out
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels * height * width, classes))


def build_resnet(widths: Sequence[int], shape: Shape, classes: int) -> nn.Module:
    """A stage that prepares, then halving stages, every other one with a residual block; the maximum over the map."""
    channels, height, width = shape
    layers = stage(channels, widths[0], is_halved=False)
    for number, (before, out) in enumerate(pairwise(widths)):
        is_halved = min(height, width) >= SMALLEST_HALVED_PX
        layers += stage(before, out, is_halved)
        height, width = (height // 2, width // 2) if is_halved else (height, width)
        if number % 2 == 0:
            layers.append(Residual(*stage(out, out, is_halved=False), *stage(out, out, is_halved=False)))
    return nn.Sequential(*layers, MaximumOverMap(), nn.Linear(widths[-1], classes, bias=False), Scale(LOGIT_SCALE))


def build_linear(shape: Shape, classes: int) -> nn.Module:
    """Softmax regression on pixels: the baseline that a network has to beat."""
    channels, height, width = shape
    return nn.Sequential(nn.Flatten(), nn.Linear(channels * height * width, classes))


def stage(channels: int, out: int, is_halved: bool) -> list[nn.Module]:
    """Return the layers of one stage."""
    halving = [nn.MaxPool2d(2)] if is_halved else []
    return [nn.Conv2d(channels, out, 3, padding=1, bias=False), *halving, nn.BatchNorm2d(out), nn.ReLU()]


class Residual(nn.Sequential):  # type: ignore[misc]
    """What its layers make of their input is added to it."""

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Add the layers' answer."""
        return maps + super().forward(maps)


class MaximumOverMap(nn.Module):  # type: ignore[misc]
    """The largest value of each channel; unlike torch's adaptive pooling it can be repeated exactly on a GPU."""

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Take the maximum over height and width."""
        return maps.amax(dim=(2, 3))


class Scale(nn.Module):  # type: ignore[misc]
    """A constant factor."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Multiply."""
        return values * self.factor
