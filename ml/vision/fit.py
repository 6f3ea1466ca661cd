"""Training of a network on one device, or on several with a share of every batch each.

The bytes of all images are brought to the device once. Every draw comes from the seed: on one device, with the same
number of threads, a seed gives the same weights.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import nn
from torch.nn import functional

from lakehouse.errors import BadInputError
from ml.model import Say
from ml.vision.augment import Normalisation, augment, cut_out
from ml.vision.config import Augmentation, Training
from ml.vision.images import Bytes, LabelledImages

JUDGED_AT_ONCE = 1000
"""Images of a batch that is only looked at; without gradients a batch may be large."""
NO_AUGMENTATION = Augmentation(flip=False, shift=0, cutout=0)


@dataclass
class History:
    """What happened in each epoch, as lists of equal length, under the names that MLflow shows."""

    train_loss: list[float] = field(default_factory=list)
    train_accuracy: list[float] = field(default_factory=list)
    """Of the images as they were shown, augmented, while the weights still moved."""
    validation_loss: list[float] = field(default_factory=list)
    validation_accuracy: list[float] = field(default_factory=list)
    images_per_second: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Share:
    """Which part of every batch a process computes; alone it is all of it."""

    rank: int = 0
    processes: int = 1

    def of(self, batch: torch.Tensor) -> torch.Tensor:
        """Return this process's images of a batch."""
        return batch[self.rank :: self.processes]


@dataclass(frozen=True)
class Course:
    """All that one training is made of, except the network and its images."""

    normalisation: Normalisation
    how: Training
    augmentation: Augmentation
    seed: int
    share: Share = Share()


def fit(network: nn.Module, train: LabelledImages, validation: LabelledImages, course: Course, say: Say) -> History:
    """Train a network in place; it must be on its device. A process that has a share averages gradients with others.

    Raises:
        BadInputError: fewer images than two for each process, which batch normalisation needs.
    """
    device, how, share = device_of(network), course.how, course.share
    network.to(memory_format=torch.channels_last)
    wrapped = nn.parallel.DistributedDataParallel(network) if share.processes > 1 else network
    on_device = to_device(train, device)
    optimizer = torch.optim.SGD(
        network.parameters(),
        lr=how.learning_rate,
        momentum=how.momentum,
        nesterov=how.momentum > 0,
        weight_decay=how.weight_decay,
    )
    if len(train) < 2 * share.processes:
        raise BadInputError(
            f"{len(train)} images to learn from, expected 2 for each process or more: deliver more of them"
        )
    # Fewer images than a batch are one batch; of more, the rest that fills none waits for the next epoch's order
    size = min(how.batch_size, len(train) // share.processes * share.processes)
    rate = triangle(optimizer, how, how.epochs * (len(train) // size))
    random = torch.Generator(device).manual_seed(course.seed + share.rank)
    order = torch.Generator().manual_seed(course.seed)
    history = History()
    for epoch in range(how.epochs):
        began, shown = time.monotonic(), 0
        sums = torch.zeros(2, device=device)
        wrapped.train()
        for batch in batches(len(train), size, order, device):
            sums += learn(wrapped, on_device, share.of(batch), course, random)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            rate.step()
            shown += size
        loss, right = (sums / (shown / share.processes)).tolist()  # waits for the device
        history.train_loss.append(loss)
        history.train_accuracy.append(right)
        history.images_per_second.append(shown / (time.monotonic() - began))
        judge(history, network, validation, course)
        say(describe(history, epoch, how.epochs))
    return history


def learn(
    network: nn.Module,
    images: tuple[torch.Tensor, torch.Tensor],
    chosen: torch.Tensor,
    course: Course,
    random: torch.Generator,
) -> torch.Tensor:
    """Compute the gradients of one batch; return its summed loss and its right answers."""
    pixels, labels = images[0][chosen], images[1][chosen]
    values = course.normalisation.apply(augment(pixels, course.augmentation, random))
    if course.augmentation.cutout:
        values = cut_out(values, course.augmentation.cutout, random)
    with torch.autocast(values.device.type, torch.bfloat16, enabled=course.how.precision == "bfloat16"):
        logits = network(values).float()
    loss = functional.cross_entropy(logits, labels, label_smoothing=course.how.label_smoothing)
    loss.backward()
    return torch.stack([loss.detach() * len(chosen), (logits.argmax(1) == labels).sum()])


def device_of(network: nn.Module) -> torch.device:
    """Return where a network's weights lie."""
    return next(network.parameters()).device


def to_device(images: LabelledImages, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Bring all images of a part to the device, once."""
    return torch.from_numpy(images.pixels).to(device), torch.from_numpy(images.labels).to(device)


def triangle(optimizer: torch.optim.Optimizer, how: Training, steps: int) -> torch.optim.lr_scheduler.LRScheduler:
    """Let the learning rate rise from nearly nothing and fall to nothing in straight lines."""
    top = max(1.0, how.warm_up_ratio * steps)

    def factor(step: int) -> float:
        return min((step + 1) / (top + 1), max(0.0, (steps - step) / (steps - top + 1)))

    return torch.optim.lr_scheduler.LambdaLR(optimizer, factor)


def batches(count: int, size: int, random: torch.Generator, device: torch.device) -> Iterator[torch.Tensor]:
    """Yield the positions of whole batches in a new order, brought to the device once: each copy would wait for it."""
    order = torch.randperm(count, generator=random).to(device)
    for first in range(0, count - size + 1, size):
        yield order[first : first + size]


def judge(history: History, network: nn.Module, validation: LabelledImages, course: Course) -> None:
    """Measure the network on the images that were held back."""
    logits = compute_logits(network, validation.pixels, course.normalisation, course.how.precision)
    labels = torch.from_numpy(validation.labels)
    history.validation_loss.append(float(functional.cross_entropy(logits, labels)))
    history.validation_accuracy.append(float((logits.argmax(1) == labels).float().mean()))


def compute_logits(network: nn.Module, pixels: Bytes, normalisation: Normalisation, precision: str) -> torch.Tensor:
    """Return what the network says of images, float32 on the CPU; equal images get equal answers."""
    device = device_of(network)
    network.eval()
    answers = []
    with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"):
        for first in range(0, len(pixels), JUDGED_AT_ONCE):
            batch = torch.from_numpy(pixels[first : first + JUDGED_AT_ONCE].copy()).to(device)
            answers.append(network(normalisation.apply(batch)).float().cpu())
    return torch.cat(answers)


def describe(history: History, epoch: int, epochs: int) -> str:
    """Put an epoch into a line."""
    return (
        f"epoch {epoch + 1} of {epochs}: loss {history.train_loss[-1]:.4f}, "
        f"validation accuracy {history.validation_accuracy[-1]:.4f}, {history.images_per_second[-1]:,.0f} images/s"
    )
