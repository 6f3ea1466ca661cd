"""What a person wants to see of a classifier: how it learned, what it confuses, and where it is surely wrong."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ml.model_files import read_index
from ml.vision.config import ImageConfig
from ml.vision.scores import confusion_matrix

SHOWN_IMAGES = 25
WRITTEN_CLASSES = 12
"""Of more classes, the counts in a confusion matrix can't be read."""


def plot(config: ImageConfig, scored: pa.Table, folder: Path, target: Path) -> None:
    """Draw learning curves, confusion matrix and the most wrong images."""
    from matplotlib.figure import Figure

    index = read_index(folder)
    for name, size, draw in (
        ("learning_curves", (11, 4.5), draw_curves),
        ("confusion_matrix", (8, 7), draw_confusion),
        ("most_wrong", (9, 9.5), draw_most_wrong),
    ):
        figure = Figure(figsize=size, layout="constrained")
        draw(figure, index, scored)
        figure.suptitle(f"{config.name}: {name.replace('_', ' ')}")
        figure.savefig(target / f"{name}.png", dpi=90, metadata={"Software": None})


def draw_curves(figure: Any, index: Mapping[str, Any], scored: pa.Table) -> None:
    """Loss and accuracy by epoch; the training's are of augmented images, while the weights still moved."""
    history = index["history"]
    epochs = np.arange(1, len(history["train_loss"]) + 1)
    for axes, what in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        for part, colour in (("train", "tab:blue"), ("validation", "tab:orange")):
            axes.plot(epochs, history[f"{part}_{what}"], marker="o", markersize=3, label=part, color=colour)
        axes.set(xlabel="epoch", ylabel=what)
        axes.grid(alpha=0.3)
        axes.legend()
        axes.xaxis.get_major_locator().set_params(integer=True)


def draw_confusion(figure: Any, index: Mapping[str, Any], scored: pa.Table) -> None:
    """Counts by true and given class; the colour leaves out the diagonal, where nearly all are."""
    names = index["classes"]
    truth, forecast = (scored.column(name).to_numpy() for name in ("truth", "forecast"))
    counts = confusion_matrix(truth, forecast, len(names))
    axes = figure.subplots()
    errors = counts - np.diag(np.diag(counts))
    drawn = axes.imshow(errors, cmap="Oranges", vmin=0, vmax=max(1, errors.max()))
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right")
    axes.set_yticks(range(len(names)), names)
    right = int(np.diag(counts).sum())
    axes.set(xlabel="given", ylabel="true", title=f"{right:,} of {len(truth):,} right; colour: wrong images")
    figure.colorbar(drawn, ax=axes, shrink=0.8)
    if len(names) <= WRITTEN_CLASSES:
        for row, column in np.argwhere(counts > 0):
            axes.text(column, row, counts[row, column], ha="center", va="center", fontsize=8)


def draw_most_wrong(figure: Any, index: Mapping[str, Any], scored: pa.Table) -> None:
    """The images of which the model was surest and wrong: worth a look at the image, and at its label."""
    wrong = scored.filter(pc.field("shown_pixels").is_valid()).sort_by([("confidence", "descending")])
    names = index["classes"]
    side = int(np.ceil(np.sqrt(SHOWN_IMAGES)))
    grid = figure.subplots(side, side).ravel()
    for axes in grid:
        axes.set_axis_off()
    for axes, row in zip(grid, wrong.to_pylist(), strict=False):
        image = np.frombuffer(row["shown_pixels"], np.uint8).reshape(index["shape"]).transpose(1, 2, 0)
        axes.imshow(image.squeeze(-1) if image.shape[-1] == 1 else image[..., :3], cmap="gray", vmin=0, vmax=255)
        title = f"{names[row['truth']]}, not {names[row['forecast']]} ({row['confidence']:.0%})"
        axes.set_title(title, fontsize=7)
    if not wrong.num_rows:
        figure.text(0.5, 0.5, "no image is wrong", ha="center")
