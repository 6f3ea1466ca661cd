"""The recipes that image training is measured against, each written again from its publication, and the clock for all.

`mnist_example`: PyTorch's own MNIST example (https://github.com/pytorch/examples, mnist): two convolutions, two linear
layers, dropout, Adadelta, batches of 64, 14 epochs.

`page_resnet`: Page, How to Train Your ResNet (2018, https://myrtle.ai/learn/how-to-train-your-resnet), the recipe that
reached 94 % of CIFAR-10's test images in 24 epochs: nine layers, batches of 512, SGD with Nesterov's momentum, the rate
up to 0.4 in five epochs and down to nothing, crops out of a mirrored frame of 4 pixels, flips, squares of 8 cut out.

Every image lies on the device from the start. On the CPU, CPU seconds are counted; on a GPU, wall seconds.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import torch
from torch import nn
from torch.nn import functional

from ml.vision.augment import Normalisation
from ml.vision.fit import compute_logits
from ml.vision.images import LabelledImages, mean_and_std

Images = tuple[LabelledImages, LabelledImages]
"""Train and test."""
CLASSES = 10
PAGE_EPOCHS, PAGE_BATCH, PAGE_PEAK = 24, 512, 5
PAGE_RATE, PAGE_DECAY = 0.4, 5e-4
FRAME_PX, CUT_PX = 4, 8


@dataclass
class Result:
    """What one training came to; the test split is asked after the clock has stopped."""

    label: str
    device: str
    cpu_s: float
    wall_s: float
    test_accuracy: float
    note: str = ""

    @property
    def seconds(self) -> float:
        """Return what is compared."""
        return self.cpu_s if self.device == "cpu" else self.wall_s


class Timer:
    """Wall and CPU seconds since it was made; `is_over` tells when an allowance is used up."""

    def __init__(self, device: torch.device, allowance_s: float = float("inf")) -> None:
        self.device, self.allowance_s = device, allowance_s
        self.wait()
        self.began = time.process_time(), time.perf_counter()

    def wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def spent(self) -> tuple[float, float]:
        self.wait()
        return time.process_time() - self.began[0], time.perf_counter() - self.began[1]

    def is_over(self) -> bool:
        on_cpu = self.device.type == "cpu"
        spent = time.process_time() - self.began[0] if on_cpu else time.perf_counter() - self.began[1]
        return spent >= self.allowance_s


def mnist_example(
    images: Images, device: torch.device, seed: int, epochs: int, allowance_s: float = float("inf")
) -> Iterator[Result]:
    """Train for some epochs or until the allowance is spent; one result per epoch, whose judging costs no allowance."""
    train, test = images
    free_kernels()
    torch.manual_seed(seed)
    normalisation = normalisation_of(train, device)
    network = example_network(train.shape).to(device)
    optimizer = torch.optim.Adadelta(network.parameters(), lr=1.0)
    rate = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.7)
    pixels, labels = torch.from_numpy(train.pixels).to(device), torch.from_numpy(train.labels).to(device)
    done, cpu_s, wall_s, left_s = 0, 0.0, 0.0, allowance_s
    for _ in range(epochs):
        network.train()
        timer = Timer(device, left_s)
        batches = torch.randperm(len(train), device=device).split(64)
        for batch in batches:
            done += 1
            values = (pixels[batch] - normalisation.mean) / normalisation.std
            optimizer.zero_grad()
            functional.cross_entropy(network(values), labels[batch]).backward()
            optimizer.step()
            if timer.is_over():
                break
        rate.step()
        is_over = timer.is_over()
        spent = timer.spent()
        cpu_s, wall_s = cpu_s + spent[0], wall_s + spent[1]
        left_s -= spent[0] if device.type == "cpu" else spent[1]
        accuracy = accuracy_of(network, test, normalisation, "float32")
        yield Result("PyTorch's example", device.type, cpu_s, wall_s, accuracy, f"{done / len(batches):.2f} epochs")
        if is_over:
            break


def free_kernels() -> None:
    """Let torch choose the quickest kernels: the recipes need no repeatable ones, as this project's training does."""
    torch.use_deterministic_algorithms(False)
    torch.backends.cudnn.benchmark = True


def example_network(shape: tuple[int, int, int]) -> nn.Module:
    channels, height, width = shape
    flat = 64 * ((height - 4) // 2) * ((width - 4) // 2)
    convolutions = [nn.Conv2d(channels, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2)]
    head = [nn.Dropout(0.25), nn.Flatten(), nn.Linear(flat, 128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, CLASSES)]
    return nn.Sequential(*convolutions, *head)


def page_resnet(images: Images, device: torch.device, seed: int) -> Result:
    """Train all 24 epochs, on every training image, in bfloat16 where the device has it in hardware."""
    train, test = images
    free_kernels()
    torch.manual_seed(seed)
    precision = "bfloat16" if device.type == "cuda" else "float32"
    timer = Timer(device)
    normalisation = normalisation_of(train, device)
    network = page_network(train.shape[0]).to(device, memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(network.parameters(), PAGE_RATE, momentum=0.9, nesterov=True, weight_decay=PAGE_DECAY)
    pixels, labels = torch.from_numpy(train.pixels).to(device), torch.from_numpy(train.labels).to(device)
    framed = functional.pad(normalisation.apply(pixels), (FRAME_PX,) * 4, mode="reflect")
    steps = len(train) // PAGE_BATCH

    def factor(step: int) -> float:
        epoch = (step + 1) / steps
        return min(epoch / PAGE_PEAK, max(0.0, (PAGE_EPOCHS - epoch) / (PAGE_EPOCHS - PAGE_PEAK)))

    rate = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
    for _ in range(PAGE_EPOCHS):
        network.train()
        for batch in torch.randperm(len(train), device=device)[: steps * PAGE_BATCH].split(PAGE_BATCH):
            values = cut(crop_and_flip(framed[batch]))
            with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"):
                logits = network(values).float()
            functional.cross_entropy(logits, labels[batch]).backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            rate.step()
    spent = timer.spent()
    accuracy = accuracy_of(network, test, normalisation, precision)
    return Result("Page's recipe", device.type, *spent, accuracy, f"{PAGE_EPOCHS} epochs")


def crop_and_flip(framed: torch.Tensor) -> torch.Tensor:
    """Take a crop out of each frame by its own draw, half of them mirrored."""
    count, side = len(framed), framed.shape[-1] - 2 * FRAME_PX
    down, right = torch.randint(2 * FRAME_PX + 1, (2, count, 1), device=framed.device)
    extent = torch.arange(side, device=framed.device)
    columns = right + torch.where(torch.rand(count, 1, device=framed.device) < 0.5, extent, side - 1 - extent)
    every = torch.arange(count, device=framed.device).view(-1, 1, 1)
    crops = framed[every, :, (down + extent).unsqueeze(2), columns.unsqueeze(1)]  # images, height, width, channels
    return crops.permute(0, 3, 1, 2)


def cut(values: torch.Tensor) -> torch.Tensor:
    """Lay a square, wholly inside, over each image."""
    count, _, height, width = values.shape
    inside = []
    for extent in (height, width):
        first = torch.randint(extent - CUT_PX + 1, (count, 1), device=values.device)
        place = torch.arange(extent, device=values.device)
        inside.append((place >= first) & (place < first + CUT_PX))
    return values.masked_fill(inside[0].view(count, 1, height, 1) & inside[1].view(count, 1, 1, width), 0.0)


class PageResidual(nn.Sequential):
    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return maps + super().forward(maps)


class PageHead(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(512, CLASSES, bias=False)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return self.linear(maps.amax(dim=(2, 3))) * 0.125


def page_network(channels: int) -> nn.Module:
    def block(before: int, after: int) -> list[nn.Module]:
        return [nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]

    return nn.Sequential(
        *block(channels, 64),
        *block(64, 128),
        nn.MaxPool2d(2),
        PageResidual(*block(128, 128), *block(128, 128)),
        *block(128, 256),
        nn.MaxPool2d(2),
        *block(256, 512),
        nn.MaxPool2d(2),
        PageResidual(*block(512, 512), *block(512, 512)),
        PageHead(),
    )


def normalisation_of(images: LabelledImages, device: torch.device) -> Normalisation:
    return Normalisation.of(*mean_and_std(images.pixels), device)


def accuracy_of(network: nn.Module, images: LabelledImages, normalisation: Normalisation, precision: str) -> float:
    logits = compute_logits(network, images.pixels, normalisation, precision)
    return float((logits.argmax(1).numpy() == images.labels).mean())


def show(result: Result) -> None:
    print(json.dumps(asdict(result)), flush=True)
