"""A classifier of one image set: a small convolutional network or a residual one, by the configuration's model_type.

mnist_cnn, small_cnn of 29,178 weights, 3 epochs, seed 1: 99.38 % of the 10,000 test images right (softmax regression:
92.3 %), 31 CPU seconds of training on one thread, torch 2.15. digits_cnn, 15 epochs, seed 1: 97.5 % of 360 test images,
3 seconds of training. cifar10_cnn is not measured on the set as published: 90.96 % on all 60,000 images from lossy JPEG
files, as much as Page's recipe on the same (benchmarks/README.md).

Reads   gold.<set>_images: the train split, of which a share is held back for validation; the test split once
Writes  one folder: weights as safetensors, the linear baseline's, model.json

Beside every score stands the strongest of two baselines that were given the same images: the most frequent class, and
softmax regression on the pixels. Torch is imported where it is used, so that configurations can be read without it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.errors import BadInputError
from ml.compare import MCNEMAR
from ml.examples import Floats, Positions
from ml.leakage import LeakError
from ml.model import Evaluation, Model, Say, Validated
from ml.model_files import read_index
from ml.torch_runtime import prepare_torch, require_torch
from ml.vision.config import ImageConfig
from ml.vision.images import Bytes, choose_validation, class_names, is_in_split, shape_of, stack_pixels
from ml.vision.plots import SHOWN_IMAGES, plot
from ml.vision.scores import measure

COLUMNS = (
    *("image_id", "dataset", "split", "label", "label_name", "height", "width", "channels", "pixels", "image_sha256"),
)
GROUP = 0
"""All images are judged together."""
BASELINES = ("most frequent class", "softmax regression on pixels")
EXAMPLES = 3


class ImageModel(Model[ImageConfig], Validated):
    """One network for the images of one set, and the baselines beside it."""

    publish_job = "vision/image_predictions.py"
    is_by_day = False
    paired_test = MCNEMAR

    def columns(self) -> tuple[str, ...]:
        """Return the columns of gold that the model needs."""
        return COLUMNS

    def newest(self, rows: pa.Table) -> None:
        """Return None: images have no time."""

    def check(self, rows: pa.Table) -> None:
        """Look for images of test in train, for several shapes, no training image, and classes that only test has."""
        shape_of(rows)
        class_names(rows)
        is_train = pa.array(is_in_split(rows, "train"))
        trained, tested = rows.filter(is_train), rows.filter(pc.invert(is_train))
        if not trained.num_rows:
            raise BadInputError(f"{self.config.table} has no image of the train split")
        shared = tested.filter(pc.is_in(tested.column("image_sha256"), trained.column("image_sha256").combine_chunks()))
        if shared.num_rows:
            example = shared.column("image_id")[0].as_py()
            raise LeakError(f"{shared.num_rows} images of the test split are in train, too, the first is {example}")

    def train(self, rows: pa.Table, folder: Path, say: Say) -> Mapping[str, list[float]]:
        """Train and write the folder; return what happened in each epoch."""
        require_torch(say)
        from ml.vision.learn import learn_folder

        return learn_folder(self.config, rows, folder, say)

    def score(self, rows: pa.Table, folder: Path) -> pa.Table:
        """Classify the images of the test split and put both baselines beside each.

        Raises:
            BadInputError: there is no test split.
        """
        test = rows.filter(pa.array(is_in_split(rows, "test")))
        if not test.num_rows:
            raise BadInputError(f"{self.config.table} has no image of the test split: nothing to judge a version by")
        return score_images(self.config, test, folder)

    def score_validation(self, rows: pa.Table, folder: Path) -> pa.Table:
        """Classify the images that training held back."""
        train_rows = rows.filter(pa.array(is_in_split(rows, "train")))
        labels = train_rows.column("label").to_numpy()
        held_back = choose_validation(labels, self.config.validation_ratio, self.config.seed)
        return score_images(self.config, train_rows.filter(pa.array(held_back)), folder)

    def evaluate(self, scored: pa.Table) -> Evaluation:
        """Measure the rows, beside the stronger baseline on the same rows."""
        truth, forecast, confidence, naive = (
            scored.column(name).to_numpy() for name in ("truth", "forecast", "confidence", "baseline_loss")
        )
        classes = int(max(truth.max(), forecast.max())) + 1
        metrics = {**measure(truth, forecast, confidence, classes), "baseline_accuracy": float(1 - naive.mean())}
        return Evaluation({**metrics, "images": float(len(truth))}, {GROUP: scored.column("baseline")[0].as_py()})

    def plot(self, scored: pa.Table, folder: Path, target: Path) -> None:
        """Draw learning curves, confusion matrix and the most wrong images."""
        plot(self.config, scored, folder, target)

    def predict(self, rows: pa.Table, folder: Path, first: datetime, last: datetime) -> pa.Table:
        """Classify every image of the rows; both times are without meaning."""
        index, found, _ = classify(self.config, stack_pixels(rows), folder)
        given = found.argmax(axis=1)
        return (
            rows.select(["image_id", "dataset", "split", "label", "image_sha256"])
            .append_column("predicted_label", pa.array(given.astype(np.int32)))
            .append_column("predicted_label_name", pa.array([index["classes"][label] for label in given]))
            .append_column("probability", pa.array(found.max(axis=1)))
        )

    def example(self, rows: pa.Table) -> pa.Table:
        """Return a few images of the train split."""
        return rows.filter(pa.array(is_in_split(rows, "train"))).slice(0, EXAMPLES).select(["pixels"])

    def predict_features(self, folder: Path, features: pa.Table) -> pa.Table:
        """Classify images that somebody else brings, as bytes in the order of `pixels` of gold."""
        index = read_index(folder)
        channels, height, width = index["shape"]
        count = features.num_rows
        shape = {"channels": channels, "height": height, "width": width}
        rows = pa.table({**{name: np.full(count, size) for name, size in shape.items()}, "pixels": features["pixels"]})
        _, found, _ = classify(self.config, stack_pixels(rows), folder)
        given = found.argmax(axis=1)
        return pa.table(
            {
                "label": given,
                "label_name": [index["classes"][label] for label in given],
                "probability": found.max(axis=1),
            }
        )

    def packages(self) -> tuple[str, ...]:
        """Return what reads the weights."""
        return ("torch", "safetensors")


def score_images(config: ImageConfig, rows: pa.Table, folder: Path) -> pa.Table:
    """Return one row per image; the most wrong ones carry their pixels."""
    index, found, linear = classify(config, stack_pixels(rows), folder)
    truth = rows.column("label").to_numpy().astype(np.int64)
    forecast = found.argmax(axis=1)
    confidence = found.max(axis=1)
    answers = {BASELINES[0]: np.full(len(truth), index["majority"]), BASELINES[1]: linear}
    strongest = min(answers, key=lambda name: int((answers[name] != truth).sum()))
    sureness = np.where(forecast != truth, confidence, -1.0)
    is_shown = np.isin(np.arange(len(truth)), np.argsort(-sureness, kind="stable")[:SHOWN_IMAGES]) & (sureness > 0)
    count = len(truth)
    return pa.table(
        {
            "example": rows.column("image_id"),
            "group": np.full(count, GROUP),
            "truth": truth,
            "forecast": forecast,
            "confidence": confidence,
            "loss": (forecast != truth).astype(float),
            "baseline": [strongest] * count,
            "baseline_loss": (answers[strongest] != truth).astype(float),
            "is_test": np.ones(count, dtype=bool),
            "is_trained_on": np.zeros(count, dtype=bool),
            "shown_pixels": pc.if_else(pa.array(is_shown), rows.column("pixels"), None),
        }
    )


def classify(config: ImageConfig, pixels: Bytes, folder: Path) -> tuple[Mapping[str, Any], Floats, Positions]:
    """Return the folder's index, the probability of each class for each image, and the linear baseline's labels."""
    require_torch(lambda line: None)
    from ml.vision.weights import open_classifier

    classifier = open_classifier(config, folder, prepare_torch(config.resources, config.seed))
    if list(pixels.shape[1:]) != classifier.index["shape"]:
        raise BadInputError(
            f"images of {classifier.index['shape']} (channels, height, width), found {pixels.shape[1:]}"
        )
    return classifier.index, classifier.probabilities(config, pixels), classifier.linear_answers(pixels)
