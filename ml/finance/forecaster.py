"""A forecaster of returns: scaling that was fitted on training windows alone, and a learner over windows.

Writes  forecaster.safetensors (networks) or forecaster.txt (trees), and what describes it for model.json

Trees see a window flattened, networks as it is. Both see features scaled and cut off at CLIP deviations, and learn
targets in units of their deviation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ml import learners
from ml.examples import Examples, Floats, Positions
from ml.finance.config import NETWORKS, TickConfig
from ml.finance.features import Bars, Matrix
from ml.finance.networks import fit_network, load_network
from ml.finance.windows import Windows, as_sequence, flat_names
from ml.model import Say

CLIP = 5.0
"""Deviations beyond which a number says only that it is extreme; prices have tails that nothing should hang on."""
FILES = {True: "forecaster.safetensors", False: "forecaster.txt"}
"""By whether torch made it."""


@dataclass(frozen=True)
class Scaling:
    """Centre and deviation of each feature, deviation and mean of the target; all of training examples."""

    centre: tuple[float, ...]
    scale: tuple[float, ...]
    target_scale: float
    target_mean: float

    def apply(self, features: Matrix) -> Matrix:
        """Scale features of any bars; one contiguous array, which windows are views of."""
        scaled = (features - np.array(self.centre)) / np.array(self.scale)
        return np.ascontiguousarray(np.clip(scaled, -CLIP, CLIP), dtype=np.float32)


def fit_scaling(windows: Windows, ends: Positions, targets: Floats) -> Scaling:
    """Fit on the bars that lie in the windows of training examples, and on their targets."""
    seen = windows.touched(ends)
    spread = seen.std(axis=0)
    scale = np.where(spread > 0, spread, 1.0)
    target_scale = float(targets.std()) or 1.0
    return Scaling(tuple(seen.mean(axis=0).tolist()), tuple(scale.tolist()), target_scale, float(targets.mean()))


class WindowLearner(Protocol):
    """What forecasts scaled targets of windows."""

    def predict(self, windows: Windows, ends: Positions) -> Floats:
        """Forecast the windows that end with some rows."""

    def save(self, path: Path) -> None:
        """Write it."""


@dataclass(frozen=True)
class Trees:
    """Trees of LightGBM over flattened windows."""

    learner: learners.Learner

    def predict(self, windows: Windows, ends: Positions) -> Floats:
        """Forecast the windows that end with some rows."""
        flat = (batch.reshape(len(batch), -1).astype(np.float64) for batch in windows.batches(ends))
        found = [self.learner.predict(batch) for batch in flat]
        return np.concatenate(found) if found else np.empty(0)

    def save(self, path: Path) -> None:
        """Write LightGBM's text."""
        self.learner.save(path)


@dataclass(frozen=True)
class Forecaster:
    """Forecasts the log return over the next bars."""

    scaling: Scaling
    learner: WindowLearner
    length: int

    def naive(self) -> dict[str, float]:
        """Return the naive forecasts: the price stays, or moves as it did on the average of training."""
        return {"no_change": 0.0, "mean_of_training": self.scaling.target_mean}

    def predict(self, bars: Bars, ends: Positions) -> Floats:
        """Forecast the windows that end with some bars."""
        windows = Windows(self.scaling.apply(bars.features), self.length)
        return self.learner.predict(windows, ends) * self.scaling.target_scale


def fit_forecaster(config: TickConfig, bars: Bars, ends: Positions, targets: Floats, say: Say) -> Forecaster:
    """Fit scaling and learner on the windows that end with some bars; `targets` are theirs."""
    raw = Windows(bars.features, config.window)
    scaling = fit_scaling(raw, ends, targets)
    windows = Windows(scaling.apply(bars.features), config.window)
    scaled = np.clip(targets / scaling.target_scale, -CLIP, CLIP)
    chosen = config.chosen_hyperparameters()
    learner: WindowLearner
    if config.model_type in NETWORKS:
        learner = fit_network(
            config.model_type,
            windows,
            ends,
            scaled,
            hyperparameters=chosen,
            seed=config.seed,
            resources=config.resources,
            say=say,
        )
    else:
        times = bars.starts[ends]
        names = flat_names(config.features, config.window)
        train = Examples(names, times, times, as_sequence(windows, ends), scaled)
        learner = Trees(learners.fit(config.model_type, train, chosen, config.seed, config.resources.threads))
    return Forecaster(scaling, learner, config.window)


def save_forecaster(config: TickConfig, forecaster: Forecaster, folder: Path) -> dict[str, Any]:
    """Write the learner's file; return what model.json has to say to read it back."""
    name = FILES[config.model_type in NETWORKS]
    forecaster.learner.save(folder / name)
    return {
        "file": name,
        "model_type": config.model_type,
        "hyperparameters": config.chosen_hyperparameters(),
        "features": list(config.features),
        "window": config.window,
        "horizon": config.horizon,
        "scaling": asdict(forecaster.scaling),
    }


def load_forecaster(config: TickConfig, index: Mapping[str, Any], folder: Path) -> Forecaster:
    """Read a forecaster; `index` is its model.json, whose files were checked against their sha256."""
    values = index["scaling"]
    scaling = Scaling(tuple(values["centre"]), tuple(values["scale"]), values["target_scale"], values["target_mean"])
    path, model_type, length = folder / index["file"], index["model_type"], index["window"]
    learner: WindowLearner
    if model_type in NETWORKS:
        shape = (len(index["features"]), length)
        learner = load_network(model_type, path, shape, index["hyperparameters"], config.resources)
    else:
        learner = Trees(learners.load(model_type, path))
    return Forecaster(scaling, learner, length)
