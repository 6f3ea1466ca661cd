"""Schemas of the hyperparameters of ml/learners.py; a configuration has a section per model type that it offers."""

from __future__ import annotations

from pydantic import Field

from ml.config import Section


class BoostedTrees(Section):
    """Hyperparameters of LightGBM, with its own names except `rounds`, the number of trees."""

    rounds: int = Field(ge=1, le=100_000)
    num_leaves: int = Field(ge=2, le=131_072)
    learning_rate: float = Field(gt=0, le=1)
    min_data_in_leaf: int = Field(ge=1)
    feature_fraction: float = Field(gt=0, le=1)
    bagging_fraction: float = Field(gt=0, le=1)
    lambda_l2: float = Field(ge=0)


class XGBoostTrees(Section):
    """Hyperparameters of XGBoost, with its own names except `rounds`."""

    rounds: int = Field(ge=1, le=100_000)
    max_depth: int = Field(ge=1, le=30)
    learning_rate: float = Field(gt=0, le=1)
    min_child_weight: float = Field(ge=0)
    colsample_bynode: float = Field(gt=0, le=1)
    subsample: float = Field(gt=0, le=1)
    reg_lambda: float = Field(ge=0)


class RandomForest(Section):
    """Hyperparameters of a random forest, which LightGBM grows: its trees have a text format."""

    trees: int = Field(ge=1, le=10_000)
    num_leaves: int = Field(ge=2, le=131_072)
    min_data_in_leaf: int = Field(ge=1)
    feature_fraction: float = Field(gt=0, le=1)
    bagging_fraction: float = Field(gt=0, lt=1)


class Linear(Section):
    """Hyperparameters of ridge regression on standardized features."""

    l2: float = Field(ge=0)
