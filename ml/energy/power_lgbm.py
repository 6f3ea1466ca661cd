"""Hourly load of one meter, hours ahead: split by time, boosted trees, intervals, naive forecasts beside them.

Measured on the readings of 2007-01-01 to 2007-06-30 (4,344 hours, the last 869 of them, from 2007-05-25 19:00 on, as
test), mean and standard deviation over seeds 1 to 10, kW:

    hours ahead   RMSE              naive RMSE                  skill   80 % interval holds
    1             0.5544 +- 0.0013  0.6582 (last value)         15.8 %  77.8 %
    24            0.6553 +- 0.0016  0.8094 (hour of the week)   19.0 %  80.0 %

Naive is the best of four forecasts on the same hours. Hours built as tests/ml/conftest.py does. Command, per seed:
lakehouse train household_power_lgbm --set seed=1

Reads   rows of gold.load_hourly, given in the order of their hours
Writes  a folder of text files: h<horizon>.txt or .json per horizon, and model.json

One learner per horizon. The model that is judged is the one that is served: it ends where the test begins.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from lakehouse.errors import BadInputError
from lakehouse.tables.energy import GOLD_LOAD_HOURLY
from ml import learners
from ml.compare import rmse
from ml.energy.claims import check_claims
from ml.energy.config import ORIGIN_FEATURES, PowerConfig
from ml.energy.features import WARM_UP_H, baselines, build_examples, lay_out
from ml.energy.forecast import example, forecast_examples, predict, predict_features
from ml.energy.interval import covered, fit_interval
from ml.energy.plots import plot
from ml.examples import Examples
from ml.gold import RowFilter
from ml.leakage import check_past_only, check_split
from ml.model import Evaluation, Model, Say
from ml.model_files import read_index, write_index
from ml.split import Fold, rolling_origins, split_at

LEAK_CUTS = (0.35, 0.6, 0.8, 0.95)
"""Where features are built again without the future, as shares of the hours."""


def columns(config: PowerConfig) -> tuple[str, ...]:
    """Return the columns of gold that the model needs."""
    known = (name for name in config.features if name in ORIGIN_FEATURES)
    return ("hour_start", "occurrence", "available_at", "load_kw", "completeness_ratio", *known)


def row_filter(config: PowerConfig) -> RowFilter:
    """Return the rows: one meter, the days of the training window."""
    window = config.training_window
    return RowFilter((("meter_id", config.meter_id),), first=window.first, last_exclusive=window.last_exclusive)


def newest(config: PowerConfig, rows: pa.Table) -> datetime:
    """Return the newest measured hour; its civil time is taken as UTC, which is near enough to tell an age in days."""
    hours = rows.column("hour_start").to_numpy()[~np.isnan(rows.column("load_kw").to_numpy())]
    if not len(hours):
        raise BadInputError(f"{GOLD_LOAD_HOURLY.identifier} has no measured hour of {config.meter_id}")
    moment: datetime = hours[-1].astype("datetime64[s]").item()
    return moment.replace(tzinfo=UTC)


def check(config: PowerConfig, rows: pa.Table) -> None:
    """Look for leaks in the rows and in what is built from them.

    Raises:
        LeakError: a feature knows the future.
    """
    check_claims(rows, lay_out(rows))
    for horizon in config.horizons:

        def build(cut: int | None, horizon: int = horizon) -> Examples:
            return build_examples(lay_out(rows if cut is None else hide_future(rows, cut)), horizon, config.features)

        check_past_only(build, [int(share * rows.num_rows) for share in LEAK_CUTS])


def hide_future(rows: pa.Table, cut: int) -> pa.Table:
    """Return the rows as they were when the hour at a position began: itself not measured, nothing after it."""
    known = rows.slice(0, cut + 1)
    load_kw = known.column("load_kw").to_numpy().copy()
    load_kw[cut] = np.nan
    return known.set_column(known.schema.get_field_index("load_kw"), "load_kw", pa.array(load_kw, from_pandas=True))


def test_start(config: PowerConfig, length: int) -> int:
    """Return the position of the first test hour."""
    return int(length * (1 - config.split.test_ratio))


def train(config: PowerConfig, rows: pa.Table, folder: Path, say: Say) -> Mapping[str, list[float]]:
    """Fit each horizon's learner and interval, write them, and return the errors of the rolling origins."""
    hours = lay_out(rows)
    parts: dict[str, Any] = {}
    errors: dict[str, list[float]] = {}
    for horizon in config.horizons:
        examples = build_examples(hours, horizon, config.features)
        cut = test_start(config, len(examples))
        first = int(cut * config.split.first_fold_ratio)
        forecasts, truths = [], []
        for number, fold in enumerate(rolling_origins(first, cut, config.split.folds, horizon), start=1):
            learner = fit_fold(config, examples, fold)
            test = with_target(examples.take(fold.test))
            forecasts.append(learner.predict(test.features))
            truths.append(test.targets)
            errors.setdefault(f"fold_rmse_kw_h{horizon}", []).append(rmse(forecasts[-1] - truths[-1]))
            error = errors[f"fold_rmse_kw_h{horizon}"][-1]
            say(f"{horizon} h ahead, fold {number} of {config.split.folds}: RMSE {error:.3f} kW")
        interval = fit_interval(np.concatenate(forecasts), np.concatenate(truths), config.interval)
        final = split_at(cut, len(examples), horizon)
        learner = fit_fold(config, examples, final)
        name = f"h{horizon}{learner.suffix}"
        learner.save(folder / name)
        parts[str(horizon)] = {
            "file": name,
            "interval": asdict(interval),
            "importance": dict(zip(config.features, learner.importance().tolist(), strict=True)),
        }
        say(f"{horizon} h ahead: trained on {len(final.train)} hours before {examples.times[cut]}")
    trained_before = str(hours.starts[test_start(config, len(hours.starts))])
    facts = {"model_type": config.model_type, "features": list(config.features), "trained_before": trained_before}
    write_index(folder, {**facts, "horizons": parts})
    return errors


def fit_fold(config: PowerConfig, examples: Examples, fold: Fold) -> learners.Learner:
    """Fit one learner on a fold's training part, after its split was held against time."""
    chosen = with_target(examples.take(fold.train[fold.train >= WARM_UP_H]))
    check_split(chosen, examples.take(fold.test))
    hyperparameters = config.chosen_hyperparameters()
    return learners.fit(config.model_type, chosen, hyperparameters, config.seed, config.resources.threads)


def with_target(examples: Examples) -> Examples:
    """Leave out hours that were never measured."""
    return examples.take(~np.isnan(examples.targets))


def score(config: PowerConfig, rows: pa.Table, folder: Path) -> pa.Table:
    """Forecast every hour and horizon of the rows and put the truth and the naive forecasts beside it."""
    hours = lay_out(rows)
    index = read_index(folder)
    trained_before = np.datetime64(index["trained_before"])
    cut = test_start(config, len(hours.starts))
    tables = []
    for horizon in config.horizons:
        examples = build_examples(hours, horizon, tuple(index["features"]))
        forecast, lower, upper = forecast_examples(index, folder, horizon, examples)
        naive = baselines(hours, horizon, cut)
        values = {"truth": examples.targets, "forecast": forecast, "lower": lower, "upper": upper, **naive}
        # The same rows for every forecast, or their errors would not compare
        is_scored = ~np.isnan(np.column_stack([*values.values()])).any(axis=1)
        is_test = np.arange(len(examples)) >= cut
        squares = {name: (values[name] - examples.targets) ** 2 for name in naive}
        strongest = min(naive, key=lambda name: float(squares[name][is_scored & is_test].mean()))
        count = len(examples)
        table = pa.table(
            {
                "example": np.datetime_as_string(examples.times, unit="h"),
                "occurrence": hours.occurrences.astype(int),
                "group": np.full(count, horizon),
                **values,
                "loss": (forecast - examples.targets) ** 2,
                "baseline": np.full(count, strongest),
                "baseline_loss": squares[strongest],
                "is_test": is_test,
                "is_trained_on": examples.target_times <= trained_before,
            }
        )
        tables.append(table.filter(pa.array(is_scored)))
    return pa.concat_tables(tables)


def evaluate(config: PowerConfig, scored: pa.Table) -> Evaluation:
    """Measure each horizon on the test rows, beside the strongest naive forecast on the same rows."""
    metrics: dict[str, float] = {}
    strongest: dict[int, str] = {}
    for horizon in config.horizons:
        rows = scored.filter((pa.compute.field("group") == horizon) & pa.compute.field("is_test"))
        if not rows.num_rows:
            raise BadInputError(f"no test hour has a forecast, its truth and every naive forecast {horizon} h ahead")
        truth, forecast, lower, upper = (
            rows.column(name).to_numpy() for name in ("truth", "forecast", "lower", "upper")
        )
        naive = float(np.sqrt(rows.column("baseline_loss").to_numpy().mean()))
        strongest[horizon] = rows.column("baseline")[0].as_py()
        found = {
            "rmse_kw": rmse(forecast - truth),
            "mae_kw": float(np.mean(np.abs(forecast - truth))),
            "naive_rmse_kw": naive,
            "skill": 1 - rmse(forecast - truth) / naive,
            "coverage": covered(truth, (lower, upper)),
            "interval_width_kw": float(np.mean(upper - lower)),
            "test_hours": float(rows.num_rows),
        }
        metrics |= {f"{name}_h{horizon}": value for name, value in found.items()}
    return Evaluation(metrics, strongest)


def packages(config: PowerConfig) -> tuple[str, ...]:
    """Return what reads the model's files."""
    return {"xgboost": ("xgboost-cpu",), "linear": ("numpy",)}.get(config.model_type, ("lightgbm",))


MODEL = Model(
    columns=columns,
    row_filter=row_filter,
    newest=newest,
    check=check,
    train=train,
    score=score,
    evaluate=evaluate,
    plot=plot,
    predict=predict,
    example=example,
    predict_features=predict_features,
    publish_job="energy/load_forecasts.py",
    packages=packages,
)
