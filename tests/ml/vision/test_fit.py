"""One training's own demands on its images."""

import numpy as np
import pytest

from lakehouse.errors import BadInputError
from ml.config import find_config
from ml.torch_runtime import prepare_torch
from ml.vision.images import LabelledImages


def test_single_image_is_refused_in_words_and_two_are_enough():
    config = find_config("digits_cnn", ["epochs=1"])
    device = prepare_torch(config.resources, 1)

    from ml.vision.augment import Normalisation
    from ml.vision.fit import Course, fit
    from ml.vision.networks import build_network

    def images(count):
        return LabelledImages(np.full((count, 1, 8, 8), 9, np.uint8), np.zeros(count, np.int64))

    normalisation = Normalisation.of(np.array([0.1]), np.array([0.1]), device)
    course = Course(normalisation, config.training, config.augmentation, seed=1)
    network = build_network(config, (1, 8, 8), 2)
    with pytest.raises(BadInputError, match=r"^1 images to learn from, expected 2 for each process or more"):
        fit(network, images(1), images(2), course, print)
    assert len(fit(network, images(2), images(2), course, lambda line: None).train_loss) == 1
