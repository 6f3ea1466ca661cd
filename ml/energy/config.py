"""Schemas of the energy models' configurations."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from lakehouse.tables.energy import GOLD_LOAD_HOURLY
from ml.config import ModelConfig, Section
from ml.hyperparameters import BoostedTrees, Linear, RandomForest, XGBoostTrees

MEASURED = ("load_kw", "completeness_ratio")
"""Columns of gold that are known when the row's hour has ended."""
ORIGIN_FEATURES = tuple(
    name
    for column in GOLD_LOAD_HOURLY.columns
    if column.type in ("double", "int", "boolean") and column.name not in (*GOLD_LOAD_HOURLY.primary_key, *MEASURED)
    for name in (column.name, *column.formerly)
)
"""All other numbers of gold: known when the row's hour begins, which is checked before training (claims.py).

A configuration that was recorded with a run names a column as it was called then.
"""

SAME_HOUR_DAYS = (1, 2, 3, 7)
TARGET_FEATURES = (
    "target_hour",
    "target_weekday",
    "target_is_weekend",
    "target_hour_sin",
    "target_hour_cos",
    *(f"same_hour_{days}d" for days in SAME_HOUR_DAYS),
    "same_hour_mean_7d",
    "same_hour_min_7d",
    "same_hour_max_7d",
    "same_hour_mean_4w",
    "same_hour_profile",
)
"""Built when training (ml/energy/features.py): the forecast hour's calendar, and loads of that hour on earlier days."""


class PowerHyperparameters(Section):
    """One section per model type that the configuration can be switched to."""

    lightgbm: BoostedTrees | None = None
    xgboost: XGBoostTrees | None = None
    random_forest: RandomForest | None = None
    linear: Linear | None = None


class RollingOrigin(Section):
    """How hours are split by time. Between training and test lies a gap as long as the horizon."""

    test_ratio: float = Field(gt=0, lt=0.9)
    """Last share of the hours: what the gate looks at."""
    folds: int = Field(ge=2, le=50)
    """Rolling origins before the test, for the interval and for how steady the errors are."""
    first_fold_ratio: float = Field(gt=0, lt=1)
    """Share of the hours before the test that the first fold trains on."""


class PowerConfig(ModelConfig):
    """A forecast of the hourly load of one meter."""

    code: Literal["power_lgbm"]
    meter_id: str = Field(min_length=1)
    target: Literal["load_kw"]
    features: tuple[str, ...] = Field(min_length=1)
    horizons: tuple[int, ...] = Field(min_length=1)
    interval: float = Field(gt=0, lt=1)
    split: RollingOrigin
    model_type: Literal["lightgbm", "xgboost", "random_forest", "linear"]
    hyperparameters: PowerHyperparameters

    @field_validator("table")
    @classmethod
    def _is_hourly_load(cls, identifier: str) -> str:
        if identifier != GOLD_LOAD_HOURLY.identifier:
            raise ValueError(f"expected {GOLD_LOAD_HOURLY.identifier}")
        return identifier

    @field_validator("features")
    @classmethod
    def _are_known_when_forecast_is_made(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if name in MEASURED:
                raise ValueError(f"{name} of a row is measured after the row's hour began: a feature from the future")
            if name not in ORIGIN_FEATURES and name not in TARGET_FEATURES:
                raise ValueError(f"no feature {name!r}; there are {', '.join((*ORIGIN_FEATURES, *TARGET_FEATURES))}")
        if len(set(names)) != len(names):
            raise ValueError(f"twice there: {', '.join(sorted({name for name in names if names.count(name) > 1}))}")
        return names

    @field_validator("horizons")
    @classmethod
    def _are_hours_of_a_day(cls, hours: tuple[int, ...]) -> tuple[int, ...]:
        if list(hours) != sorted(set(hours)) or hours[0] < 1 or hours[-1] > 24:
            raise ValueError("expected ascending hours between 1 and 24")
        return hours

    @model_validator(mode="after")
    def _has_hyperparameters_of_its_type(self) -> Self:
        if getattr(self.hyperparameters, self.model_type) is None:
            raise ValueError(f"hyperparameters.{self.model_type} is missing")
        return self
