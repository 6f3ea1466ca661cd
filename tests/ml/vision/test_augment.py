import numpy as np
import pytest

from ml.torch_runtime import require_torch
from ml.vision.config import Augmentation

require_torch(lambda line: None)
torch = pytest.importorskip("torch")

from ml.vision.augment import Normalisation, augment, cut_out, shift  # noqa: E402


def seeded(seed=1):
    return torch.Generator().manual_seed(seed)


def test_shift_moves_each_image_by_whole_pixels_and_brings_in_black():
    image = torch.arange(1, 21, dtype=torch.uint8).view(1, 1, 4, 5)
    found = shift(image.repeat(200, 1, 1, 1), 1, seeded())
    framed = torch.nn.functional.pad(image[0, 0], (1, 1, 1, 1))
    allowed = {tuple(framed[y : y + 4, x : x + 5].flatten().tolist()) for y in range(3) for x in range(3)}
    assert {tuple(each.flatten().tolist()) for each in found} == allowed  # all nine of them in 200 draws
    assert found.dtype == torch.uint8


def test_augment_mirrors_about_half_of_the_images_and_changes_none_without_being_told():
    pixels = torch.arange(12, dtype=torch.uint8).view(1, 1, 3, 4).repeat(400, 1, 1, 1)
    found = augment(pixels, Augmentation(flip=True, shift=0, cutout=0), seeded())
    is_mirrored = (found == pixels.flip(-1)).flatten(1).all(1)
    assert ((found == pixels).flatten(1).all(1) ^ is_mirrored).all()
    assert 150 < int(is_mirrored.sum()) < 250
    assert augment(pixels, Augmentation(flip=False, shift=0, cutout=0), seeded()) is pixels


def test_cut_out_covers_one_square_in_all_channels():
    found = cut_out(torch.ones(100, 2, 8, 9), 3, seeded())
    covered = found == 0
    assert (covered[:, 0] == covered[:, 1]).all()
    areas = covered[:, 0].flatten(1).sum(1)
    assert int(areas.max()) == 9
    assert int(areas.min()) >= 4  # at an edge, part of the square is outside


def test_augmentation_draws_the_same_for_a_seed():
    pixels = torch.from_numpy(np.random.default_rng(1).integers(0, 256, (50, 3, 8, 8), dtype=np.uint8))
    chosen = Augmentation(flip=True, shift=2, cutout=0)
    first, again, other = (augment(pixels, chosen, seeded(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_normalisation_gives_mean_zero_and_deviation_one():
    pixels = np.random.default_rng(1).integers(0, 256, (64, 3, 8, 8), dtype=np.uint8)
    values = pixels.transpose(1, 0, 2, 3).reshape(3, -1) / 255
    found = Normalisation.of(values.mean(1), values.std(1), torch.device("cpu")).apply(torch.from_numpy(pixels))
    assert found.dtype == torch.float32
    assert torch.allclose(found.mean((0, 2, 3)), torch.zeros(3), atol=1e-5)
    assert torch.allclose(found.std((0, 2, 3), correction=0), torch.ones(3), atol=1e-5)
    assert found.is_contiguous(memory_format=torch.channels_last)
