"""What the common steps ask of the code of a model: a base class, extended once by each ml/<domain>/<code>.py.

The steps read gold, pin, track, judge, register and promote; the code says which columns and rows it wants, learns,
forecasts and draws, and knows no MLflow. A trained model is a folder of text and numbers, so that nothing that is
loaded can run code.

Code is found, not registered: `domain` and `code` of a configuration name the module, and the module defines one
subclass of Model. The schema of its configuration is the subclass of ModelConfig in ml/<domain>/config.py whose `code`
is that name.
"""

from __future__ import annotations

import importlib
import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import ClassVar, Generic, TypeVar

import pyarrow as pa

from lakehouse.errors import BadInputError
from ml.compare import DIEBOLD_MARIANO, PairedTest
from ml.config import ModelConfig
from ml.gold import RowFilter

Say = Callable[[str], None]
"""Shows progress to a person."""

KEY_COLUMNS = ("example", "occurrence", "group")
"""What tells scored rows apart; `occurrence` where an example can come twice."""

ConfigT = TypeVar("ConfigT", bound=ModelConfig)
ConfigT_co = TypeVar("ConfigT_co", bound=ModelConfig, covariant=True)


@dataclass(frozen=True)
class Evaluation:
    """What came of the test rows. `metrics` are named as the configuration's thresholds name them.

    `baselines` says, for each group of rows that are judged together (a horizon), which naive forecast was strongest.
    """

    metrics: Mapping[str, float]
    baselines: Mapping[int, str]


class Model(ABC, Generic[ConfigT_co]):
    """The code of one kind of model, made for one configuration.

    `rows` are rows of the configuration's gold table, ascending by its primary key, with the columns that `columns`
    names. `folder` holds the model's files: `train` writes them, all others read them.
    """

    publish_job: ClassVar[str]
    """Script below spark_jobs that publishes what `predict` returns."""
    is_by_day: ClassVar[bool] = True
    """Whether forecasts are of days that somebody names; else `predict` is of every row, whatever the two times are."""
    paired_test: ClassVar[PairedTest] = DIEBOLD_MARIANO
    """The test of whether a version is better than the champion."""

    def __init__(self, config: ConfigT_co) -> None:
        self.config = config

    @abstractmethod
    def columns(self) -> tuple[str, ...]:
        """Return the columns of gold that training and forecasting read; the primary key is read in any case."""

    def columns_to_check(self) -> tuple[str, ...]:
        """Return the columns that `check` reads and nothing else does."""
        return ()

    def row_filter(self) -> RowFilter:
        """Return which rows of gold are read: all of the training window's days, unless a model wants fewer."""
        window = self.config.training_window
        return RowFilter(first=window.first, last_exclusive=window.last_exclusive)

    @abstractmethod
    def newest(self, rows: pa.Table) -> datetime | None:
        """Return the time of the newest row, UTC; None for rows that have no time.

        Raises:
            BadInputError: there is no row.
        """

    @abstractmethod
    def check(self, rows: pa.Table) -> None:
        """Check, before anything is trained, that rows and features hold nothing that must not be known.

        Raises:
            LeakError: they do.
            BadInputError: the rows are not what training takes for granted.
        """

    @abstractmethod
    def train(self, rows: pa.Table, folder: Path, say: Say) -> Mapping[str, list[float]]:
        """Fit on rows before the test, write the model's files, and return the course of training by metric name.

        Equal rows and configurations give equal files.
        """

    @abstractmethod
    def score(self, rows: pa.Table, folder: Path) -> pa.Table:
        """Forecast the rows and put the truth and the strongest naive forecast beside each, in the order of time.

        One row per example and group, with at least these columns: `example` (text that names a row alike for every
        model of the same target), `group` (whole number: rows that are judged together, e.g. a horizon), `truth`,
        `forecast` (in the unit of the target), `loss` and `baseline_loss` (of the forecast and of the group's strongest
        naive one, in squares of that unit or 0 and 1), `baseline` (its name), `is_test`, `is_trained_on`. `occurrence`
        is there where an example can come twice, `moment` where several examples are of one time and err together.
        """

    @abstractmethod
    def evaluate(self, scored: pa.Table) -> Evaluation:
        """Measure the test rows among scored rows.

        Raises:
            BadInputError: there are none.
        """

    @abstractmethod
    def plot(self, scored: pa.Table, folder: Path, target: Path) -> None:
        """Draw scored rows into files below `target`."""

    @abstractmethod
    def predict(self, rows: pa.Table, folder: Path, first: datetime, last: datetime) -> pa.Table:
        """Forecast `[first, last)`, in the time of the table, with the columns that `publish_job` publishes.

        Raises:
            BadInputError: the rows do not reach there.
        """

    @abstractmethod
    def example(self, rows: pa.Table) -> pa.Table:
        """Return a few rows of features, as a server of the model would be asked."""

    @abstractmethod
    def predict_features(self, folder: Path, features: pa.Table) -> pa.Table:
        """Forecast from features that somebody else built, one row each, with columns as `example` has them."""

    @abstractmethod
    def packages(self) -> tuple[str, ...]:
        """Return the packages, by their names on the index, that reading the model's files needs."""


class Deflated(ABC):
    """A model whose result is judged beside the configurations that were tried before."""

    @abstractmethod
    def deflate(self, evaluation: Evaluation, others: Sequence[Mapping[str, float]]) -> Evaluation:
        """Add what is left of a result, given the metrics of the other configurations."""


class Backtested(ABC):
    """A model whose forecasts can be traded on."""

    @abstractmethod
    def backtest(self, rows: pa.Table, folder: Path, first: date, last: date) -> Sequence[str]:
        """Describe, line by line, what trading on the forecasts of the days `[first, last)` would have brought.

        Raises:
            BadInputError: the rows do not reach there.
        """


class Validated(ABC):
    """A model that holds rows back from training: the gate looks at them first, and at the test rows once, after."""

    @abstractmethod
    def score_validation(self, rows: pa.Table, folder: Path) -> pa.Table:
        """Score the rows that were held back as `score` does, with `is_test` marking those to judge."""


def find_model(config: ConfigT) -> Model[ConfigT]:
    """Return the code that a configuration names, made for that configuration.

    Raises:
        BadInputError: there is no such module, or it does not define one subclass of Model.
    """
    name = f"ml.{config.domain}.{config.code}"
    path = f"{name.replace('.', '/')}.py"
    if importlib.util.find_spec(name) is None:
        raise BadInputError(f"{config.name}: code {config.code!r} of its configuration needs {path}, which is missing")
    found = [
        value
        for value in vars(importlib.import_module(name)).values()
        if isinstance(value, type) and issubclass(value, Model) and value.__module__ == name
    ]
    if len(found) != 1:
        classes = ", ".join(each.__name__ for each in found) or "none"
        raise BadInputError(f"{path}: expected one class that extends ml.model.Model, found {classes}")
    return found[0](config)


def key_columns(scored: pa.Table) -> list[str]:
    """Return which of KEY_COLUMNS scored rows have."""
    return [name for name in KEY_COLUMNS if name in scored.column_names]
