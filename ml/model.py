"""What the common steps ask of the code of a model; a domain's module gives one `MODEL` and knows no MLflow.

The steps read gold, pin, track, judge, register and promote; the code says which columns and rows it wants, learns,
forecasts and draws. Its model is a folder of text and numbers, so that nothing that is loaded can run code.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from ml.compare import DIEBOLD_MARIANO, PairedTest
from ml.config import ModelConfig
from ml.gold import RowFilter

Say = Callable[[str], None]
"""Shows progress to a person."""

SCORE_COLUMNS = ("example", "group", "truth", "forecast", "loss", "baseline_loss", "is_test", "is_trained_on")

KEY_COLUMNS = ("example", "occurrence", "group")
"""What tells scored rows apart; `occurrence` where an example can come twice."""


@dataclass(frozen=True)
class Evaluation:
    """What came of the test rows. `metrics` are named as the configuration's thresholds name them.

    `baselines` says, for each group of rows that are judged together (a horizon), which naive forecast was strongest.
    """

    metrics: Mapping[str, float]
    baselines: Mapping[int, str]


@dataclass(frozen=True)
class Model:
    """The code of one kind of model.

    `score` returns SCORE_COLUMNS at least, one row per example and group, in the order of time, for all rows given:
    `example` names a row alike for every model of the same target. `baseline_loss` is that of the group's strongest
    naive forecast.
    """

    columns: Callable[[Any], tuple[str, ...]]
    row_filter: Callable[[Any], RowFilter]
    newest: Callable[[Any, pa.Table], datetime]
    check: Callable[[Any, pa.Table], None]
    train: Callable[[Any, pa.Table, Path, Say], Mapping[str, list[float]]]
    score: Callable[[Any, pa.Table, Path], pa.Table]
    evaluate: Callable[[Any, pa.Table], Evaluation]
    plot: Callable[[Any, pa.Table, Path, Path], None]
    predict: Callable[[Any, pa.Table, Path, datetime, datetime], pa.Table]
    example: Callable[[Any, pa.Table], pa.Table]
    predict_features: Callable[[Path, pa.Table], pa.Table]
    publish_job: str
    """Script below spark_jobs that publishes what `predict` returns."""
    packages: Callable[[Any], tuple[str, ...]]
    """Packages, by their names on the index, that the model's files need to be read."""
    deflate: Callable[[Evaluation, Sequence[Mapping[str, float]]], Evaluation] | None = None
    """Takes the metrics of the other configurations that were tried and adds what is left of a result beside them."""
    backtest: Callable[[Any, pa.Table, Path, date, date], Sequence[str]] | None = None
    """Tells, line by line, what trading on the forecasts of the days `[first, last)` would have brought."""

    paired_test: PairedTest = DIEBOLD_MARIANO
    """Says whether a version is better than the champion."""
    score_validation: Callable[[Any, pa.Table, Path], pa.Table] | None = None
    """Scores rows that were held back from training, as `score` does, `is_test` marking those to judge. Where it is
    there, the gate is held against them first, and `score` looks at the test rows once, if they pass.
    """
    is_by_day: bool = True
    """Forecasts are of days that somebody names; else `predict` is of every row, whatever the two times are."""


def find_model(config: ModelConfig) -> Model:
    """Return the code that a configuration names."""
    module = importlib.import_module(f"ml.{config.domain}.{config.code}")
    found: Model = module.MODEL
    return found


def key_columns(scored: pa.Table) -> list[str]:
    """Return which of KEY_COLUMNS scored rows have."""
    return [name for name in KEY_COLUMNS if name in scored.column_names]
