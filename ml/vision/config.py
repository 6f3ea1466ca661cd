"""Schemas of the image models' configurations."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from ml.config import ModelConfig, Section, TrainingWindow


class Training(Section):
    """How weights are found: SGD with Nesterov's momentum, the learning rate up and down again in straight lines."""

    epochs: int = Field(ge=1, le=10_000)
    batch_size: int = Field(ge=2, le=65_536)
    learning_rate: float = Field(gt=0, le=100)
    """At the top of the triangle, for the mean loss of a batch."""
    warm_up_ratio: float = Field(gt=0, lt=1)
    """Share of the steps in which the rate rises."""
    momentum: float = Field(ge=0, lt=1)
    weight_decay: float = Field(ge=0, le=1)
    label_smoothing: float = Field(ge=0, lt=1)
    precision: Literal["float32", "bfloat16"]
    """Of convolutions; weights, sums and losses are float32 in any case."""


class SmallCnn(Training):
    """One convolution per width, each of 3 x 3, halved, normalised; one linear layer."""

    widths: tuple[int, ...] = Field(min_length=1, max_length=8)


class ResNet(Training):
    """A convolution that prepares, then one stage per further width, every other one with a residual block."""

    widths: tuple[int, ...] = Field(min_length=2, max_length=8)


class ImageHyperparameters(Section):
    """One section per model type that the configuration can be switched to."""

    small_cnn: SmallCnn | None = None
    resnet: ResNet | None = None


class Augmentation(Section):
    """What is done to a training image each time it is shown, at random; nothing is done to images that are judged."""

    flip: bool
    """Left for right: where a mirrored thing is still the same thing, which a digit is not."""
    shift: int = Field(ge=0, le=64)
    """Pixels, up to which the image is moved each way; what comes in is black."""
    cutout: int = Field(ge=0, le=256)
    """Side in pixels of a grey square laid over the image; 0 is none."""


class ImageConfig(ModelConfig):
    """A classifier of one image set."""

    code: Literal["image_cnn"]
    table: str = Field(pattern=r"^gold\.[a-z][a-z0-9_]*_images$")
    validation_ratio: float = Field(gt=0, le=0.5)
    """Share of each class of the train split that is held back: looked at during development, never learned from."""
    augmentation: Augmentation
    model_type: Literal["small_cnn", "resnet"]
    hyperparameters: ImageHyperparameters
    processes: int = Field(ge=1, le=64)
    """One per GPU, each with its share of every batch; the CPU is one."""

    @model_validator(mode="after")
    def _fits_images(self) -> Self:
        if getattr(self.hyperparameters, self.model_type) is None:
            raise ValueError(f"hyperparameters.{self.model_type} is missing")
        if self.training_window != TrainingWindow():
            raise ValueError("training_window: images have no days, expected {first: null, last_exclusive: null}")
        if self.data.maximum_age_days is not None:
            raise ValueError("data.maximum_age_days: images have no time, expected null")
        if self.training.batch_size % self.processes:
            raise ValueError(
                f"batch_size {self.training.batch_size} is not shared evenly by {self.processes} processes"
            )
        return self

    @property
    def training(self) -> Training:
        """Hyperparameters of the chosen model type."""
        chosen: Training = getattr(self.hyperparameters, self.model_type)
        return chosen
