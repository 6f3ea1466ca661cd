"""What is done to a batch of bytes on its device before the network sees it: moved, mirrored, covered, normalised."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional

from ml.examples import Floats
from ml.vision.config import Augmentation


@dataclass(frozen=True)
class Normalisation:
    """Bytes to floats of mean 0 and deviation 1, channel by channel."""

    mean: torch.Tensor
    std: torch.Tensor

    @classmethod
    def of(cls, mean: Floats, std: Floats, device: torch.device) -> Normalisation:
        """Bring numbers of 0..1 to the device, in units of a byte."""
        shape = (1, len(mean), 1, 1)
        return cls(*(torch.tensor(each * 255, dtype=torch.float32, device=device).view(shape) for each in (mean, std)))

    def apply(self, pixels: torch.Tensor) -> torch.Tensor:
        """Normalise a batch, channels last, which convolutions read fastest."""
        return ((pixels - self.mean) / self.std).contiguous(memory_format=torch.channels_last)


def augment(pixels: torch.Tensor, chosen: Augmentation, random: torch.Generator) -> torch.Tensor:
    """Move and mirror a batch of bytes, each image by its own draw."""
    if chosen.shift:
        pixels = shift(pixels, chosen.shift, random)
    if chosen.flip:
        is_mirrored = torch.rand(len(pixels), generator=random, device=pixels.device) < 0.5
        pixels = torch.where(is_mirrored.view(-1, 1, 1, 1), pixels.flip(-1), pixels)
    return pixels


def shift(pixels: torch.Tensor, most: int, random: torch.Generator) -> torch.Tensor:
    """Move each image up to `most` pixels each way: crops of the images in a black frame."""
    count, _, height, width = pixels.shape
    crops = functional.pad(pixels, (most,) * 4).unfold(2, height, 1).unfold(3, width, 1)
    down, right = torch.randint(2 * most + 1, (2, count), generator=random, device=pixels.device)
    return crops[torch.arange(count, device=pixels.device), :, down, right]


def cut_out(values: torch.Tensor, side: int, random: torch.Generator) -> torch.Tensor:
    """Lay a square of the mean colour, which is 0 once normalised, over each image; its centre is in the image."""
    count, _, height, width = values.shape
    covers = []
    for extent in (height, width):
        centre = torch.randint(extent, (count, 1), generator=random, device=values.device)
        first = centre - side // 2
        place = torch.arange(extent, device=values.device)
        covers.append((place >= first) & (place < first + side))
    is_covered = covers[0].view(count, 1, height, 1) & covers[1].view(count, 1, 1, width)
    return values.masked_fill(is_covered, 0.0)
