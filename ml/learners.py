"""Learners that a configuration's model_type picks, each with a text format: nothing here is ever pickled.

LightGBM and the random forest are LightGBM text, XGBoost is its JSON, the linear model is its coefficients as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ml.examples import Examples, Floats


class Learner(Protocol):
    """A fitted model of one target."""

    @property
    def suffix(self) -> str:
        """How the name of its file ends."""

    def predict(self, features: Floats) -> Floats:
        """Return a forecast per row of features."""

    def save(self, path: Path) -> None:
        """Write it as text."""

    def importance(self) -> Floats:
        """Return how much each feature counts, adding up to 1."""


@dataclass(frozen=True)
class Boosted:
    """Trees of LightGBM."""

    booster: Any
    suffix: str = ".txt"

    def predict(self, features: Floats) -> Floats:
        """Return a forecast per row of features."""
        return np.asarray(self.booster.predict(features), dtype=np.float64)

    def save(self, path: Path) -> None:
        """Write LightGBM's text."""
        path.write_text(self.booster.model_to_string(), encoding="utf-8")

    def importance(self) -> Floats:
        """Return each feature's share of the gain."""
        return shares(np.asarray(self.booster.feature_importance("gain"), dtype=np.float64))


@dataclass(frozen=True)
class Extreme:
    """Trees of XGBoost."""

    booster: Any
    suffix: str = ".json"

    def predict(self, features: Floats) -> Floats:
        """Return a forecast per row of features."""
        return np.asarray(self.booster.inplace_predict(features), dtype=np.float64)

    def save(self, path: Path) -> None:
        """Write XGBoost's JSON."""
        self.booster.save_model(path)

    def importance(self) -> Floats:
        """Return each feature's share of the gain."""
        gains = self.booster.get_score(importance_type="total_gain")
        return shares(np.array([gains.get(f"f{number}", 0.0) for number in range(self.booster.num_features())]))


@dataclass(frozen=True)
class Ridge:
    """Ridge regression; `centre` also stands in for a missing value. All of it was fitted on training rows."""

    centre: tuple[float, ...]
    scale: tuple[float, ...]
    coefficients: tuple[float, ...]
    intercept: float
    suffix: str = ".json"

    def predict(self, features: Floats) -> Floats:
        """Return a forecast per row of features."""
        design = standardize(features, np.array(self.centre), np.array(self.scale))
        return np.asarray(design @ np.array(self.coefficients) + self.intercept, dtype=np.float64)

    def save(self, path: Path) -> None:
        """Write the numbers; JSON keeps every bit of them."""
        path.write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")

    def importance(self) -> Floats:
        """Return each coefficient's share; features are standardized, so they compare."""
        return shares(np.abs(np.array(self.coefficients)))


def shares(values: Floats) -> Floats:
    """Scale values to add up to 1; all zero where they are."""
    total = values.sum()
    return values / total if total > 0 else values


def standardize(features: Floats, centre: Floats, scale: Floats) -> Floats:
    """Centre and scale, a missing value being the centre."""
    return np.asarray(np.where(np.isnan(features), 0.0, (features - centre) / scale), dtype=np.float64)


def fit(model_type: str, train: Examples, hyperparameters: Mapping[str, Any], seed: int, threads: int) -> Learner:
    """Fit one learner on examples whose targets are all known."""
    return KINDS[model_type].fit(train, hyperparameters, seed, threads)


def load(model_type: str, path: Path) -> Learner:
    """Read what `save` wrote; the caller has checked the file's sha256."""
    return KINDS[model_type].load(path)


def fit_lightgbm(train: Examples, hyperparameters: Mapping[str, Any], seed: int, threads: int) -> Learner:
    """Grow boosted trees on squared errors, the same on every machine."""
    chosen = dict(hyperparameters)
    rounds = chosen.pop("rounds")
    return grow(train, {**chosen, "bagging_freq": 1}, rounds, seed, threads)


def fit_random_forest(train: Examples, hyperparameters: Mapping[str, Any], seed: int, threads: int) -> Learner:
    """Grow independent trees on random rows and features."""
    chosen = dict(hyperparameters)
    rounds = chosen.pop("trees")
    share = chosen.pop("feature_fraction")
    parameters = {**chosen, "boosting": "rf", "bagging_freq": 1, "feature_fraction_bynode": share}
    return grow(train, parameters, rounds, seed, threads)


def grow(train: Examples, parameters: Mapping[str, Any], rounds: int, seed: int, threads: int) -> Learner:
    """Train LightGBM with what makes it repeatable."""
    import lightgbm

    fixed = {
        "objective": "regression",
        "seed": seed,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": threads,
        "verbosity": -1,
    }

    frame = lightgbm.Dataset(train.features, train.targets, feature_name=list(train.names))
    return Boosted(lightgbm.train({**fixed, **parameters}, frame, rounds))


def fit_xgboost(train: Examples, hyperparameters: Mapping[str, Any], seed: int, threads: int) -> Learner:
    """Grow XGBoost's trees on squared errors."""
    import xgboost

    chosen = dict(hyperparameters)
    rounds = chosen.pop("rounds")
    fixed = {"objective": "reg:squarederror", "tree_method": "hist", "seed": seed, "nthread": threads, "verbosity": 0}
    frame = xgboost.DMatrix(train.features, train.targets)
    return Extreme(xgboost.train({**fixed, **chosen}, frame, rounds))


def fit_linear(train: Examples, hyperparameters: Mapping[str, Any], seed: int, threads: int) -> Learner:
    """Solve ridge regression; centre and scale are those of the training rows."""
    centre = np.nanmean(train.features, axis=0)
    spread = np.nanstd(train.features, axis=0)
    scale = np.where(spread > 0, spread, 1.0)
    design = standardize(train.features, centre, scale)
    mean = float(train.targets.mean())
    normal = design.T @ design + hyperparameters["l2"] * np.eye(design.shape[1])
    coefficients = np.linalg.solve(normal, design.T @ (train.targets - mean))
    return Ridge(tuple(centre.tolist()), tuple(scale.tolist()), tuple(coefficients.tolist()), mean)


def load_boosted(path: Path) -> Learner:
    """Read LightGBM's text."""
    import lightgbm

    return Boosted(lightgbm.Booster(model_str=path.read_text(encoding="utf-8")))


def load_extreme(path: Path) -> Learner:
    """Read XGBoost's JSON."""
    import xgboost

    return Extreme(xgboost.Booster(model_file=path))


def load_ridge(path: Path) -> Learner:
    """Read the coefficients."""
    values = json.loads(path.read_text(encoding="utf-8"))
    centre, scale, coefficients = (tuple(values[name]) for name in ("centre", "scale", "coefficients"))
    return Ridge(centre, scale, coefficients, values["intercept"])


@dataclass(frozen=True)
class Kind:
    """How the learners of a model type are fitted, and how they are read from their file."""

    fit: Callable[[Examples, Mapping[str, Any], int, int], Learner]
    load: Callable[[Path], Learner]


KINDS = {
    "lightgbm": Kind(fit_lightgbm, load_boosted),
    "xgboost": Kind(fit_xgboost, load_extreme),
    "random_forest": Kind(fit_random_forest, load_boosted),
    "linear": Kind(fit_linear, load_ridge),
}
"""By model type."""
