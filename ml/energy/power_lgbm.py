"""Hourly load of one meter, hours ahead: split by time, boosted trees, intervals, naive forecasts beside them.

Measured on the readings of 2007-01-01 to 2007-06-30 (4,344 hours, the last 869 of them, from 2007-05-25 19:00 on, as
test), mean and standard deviation over seeds 1 to 10, kW:

    hours ahead   RMSE              naive RMSE                  skill   80 % interval holds
    1             0.5544 +- 0.0011  0.6582 (last value)         15.8 %  78.0 %
    24            0.6532 +- 0.0019  0.8094 (hour of the week)   19.3 %  82.4 %

Naive is the best of four forecasts on the same hours. Hours as transforms/energy makes them. Command, per seed:
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
from ml.energy import forecast
from ml.energy.claims import check_claims
from ml.energy.config import ORIGIN_FEATURES, PowerConfig
from ml.energy.features import WARM_UP_H, baselines, build_examples, lay_out
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


class PowerModel(Model[PowerConfig]):
    """One learner and one interval per horizon, on hours of one meter."""

    publish_job = "energy/load_forecasts.py"

    def columns(self) -> tuple[str, ...]:
        """Return the load, how whole it is, and the features that gold has."""
        known = (name for name in self.config.features if name in ORIGIN_FEATURES)
        return ("hour_start", "occurrence", "load_kw", "completeness_ratio", *known)

    def columns_to_check(self) -> tuple[str, ...]:
        """Return the time from which a row's features are known."""
        return ("available_at",)

    def row_filter(self) -> RowFilter:
        """Return the rows: one meter, the days of the training window."""
        window = self.config.training_window
        meter = ("meter_id", self.config.meter_id)
        return RowFilter((meter,), first=window.first, last_exclusive=window.last_exclusive)

    def newest(self, rows: pa.Table) -> datetime:
        """Return the newest measured hour; its civil time is taken as UTC, which is near enough for an age in days."""
        hours = rows.column("hour_start").to_numpy()[~np.isnan(rows.column("load_kw").to_numpy())]
        if not len(hours):
            raise BadInputError(f"{GOLD_LOAD_HOURLY.identifier} has no measured hour of {self.config.meter_id}")
        moment: datetime = hours[-1].astype("datetime64[s]").item()
        return moment.replace(tzinfo=UTC)

    def check(self, rows: pa.Table) -> None:
        """Look for leaks in the rows and in what is built from them."""
        check_claims(rows, lay_out(rows))
        for horizon in self.config.horizons:

            def build(cut: int | None, horizon: int = horizon) -> Examples:
                known = rows if cut is None else hide_future(rows, cut)
                return build_examples(lay_out(known), horizon, self.config.features)

            check_past_only(build, [int(share * rows.num_rows) for share in LEAK_CUTS])

    def train(self, rows: pa.Table, folder: Path, say: Say) -> Mapping[str, list[float]]:
        """Fit each horizon's learner and interval, write them, and return the errors of the rolling origins, in kW."""
        config, hours = self.config, lay_out(rows)
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

    def score(self, rows: pa.Table, folder: Path) -> pa.Table:
        """Forecast every hour and horizon of the rows and put the truth and the naive forecasts beside it."""
        hours, index = lay_out(rows), read_index(folder)
        trained_before = np.datetime64(index["trained_before"])
        cut = test_start(self.config, len(hours.starts))
        tables = []
        for horizon in self.config.horizons:
            examples = build_examples(hours, horizon, tuple(index["features"]))
            found, lower, upper = forecast.forecast_examples(index, folder, horizon, examples)
            naive = baselines(hours, horizon, cut)
            values = {"truth": examples.targets, "forecast": found, "lower": lower, "upper": upper, **naive}
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
                    "loss": (found - examples.targets) ** 2,
                    "baseline": np.full(count, strongest),
                    "baseline_loss": squares[strongest],
                    "is_test": is_test,
                    "is_trained_on": examples.target_times <= trained_before,
                }
            )
            tables.append(table.filter(pa.array(is_scored)))
        return pa.concat_tables(tables)

    def evaluate(self, scored: pa.Table) -> Evaluation:
        """Measure each horizon on the test rows, beside the strongest naive forecast on the same rows."""
        metrics: dict[str, float] = {}
        strongest: dict[int, str] = {}
        for horizon in self.config.horizons:
            rows = scored.filter((pa.compute.field("group") == horizon) & pa.compute.field("is_test"))
            if not rows.num_rows:
                raise BadInputError(
                    f"no test hour has a forecast, its truth and every naive forecast {horizon} h ahead"
                )
            strongest[horizon] = rows.column("baseline")[0].as_py()
            metrics |= {f"{name}_h{horizon}": value for name, value in measure(rows).items()}
        return Evaluation(metrics, strongest)

    def plot(self, scored: pa.Table, folder: Path, target: Path) -> None:
        """Draw the test rows of each horizon."""
        plot(self.config, scored, folder, target)

    def predict(self, rows: pa.Table, folder: Path, first: datetime, last: datetime) -> pa.Table:
        """Forecast the hours of `[first, last)`, civil time, at every horizon for which the rows reach far enough."""
        return forecast.predict(self.config, rows, folder, first, last)

    def example(self, rows: pa.Table) -> pa.Table:
        """Return a few rows of features."""
        return forecast.example(self.config, rows)

    def predict_features(self, folder: Path, features: pa.Table) -> pa.Table:
        """Forecast from features that somebody else built, one horizon beside the other, in kW."""
        return forecast.predict_features(folder, features)

    def packages(self) -> tuple[str, ...]:
        """Return what reads the learner's files."""
        return {"xgboost": ("xgboost-cpu",), "linear": ("numpy",)}.get(self.config.model_type, ("lightgbm",))


def hide_future(rows: pa.Table, cut: int) -> pa.Table:
    """Return the rows as they were when the hour at a position began: itself not measured, nothing after it."""
    known = rows.slice(0, cut + 1)
    load_kw = known.column("load_kw").to_numpy().copy()
    load_kw[cut] = np.nan
    return known.set_column(known.schema.get_field_index("load_kw"), "load_kw", pa.array(load_kw, from_pandas=True))


def test_start(config: PowerConfig, length: int) -> int:
    """Return the position of the first test hour."""
    return int(length * (1 - config.split.test_ratio))


def fit_fold(config: PowerConfig, examples: Examples, fold: Fold) -> learners.Learner:
    """Fit one learner on a fold's training part, after checking that its split lies in time."""
    chosen = with_target(examples.take(fold.train[fold.train >= WARM_UP_H]))
    check_split(chosen, examples.take(fold.test))
    hyperparameters = config.chosen_hyperparameters()
    return learners.fit(config.model_type, chosen, hyperparameters, config.seed, config.resources.threads)


def with_target(examples: Examples) -> Examples:
    """Leave out hours that were never measured."""
    return examples.take(~np.isnan(examples.targets))


def measure(rows: pa.Table) -> dict[str, float]:
    """Measure test rows of one horizon; errors and widths in kW, skill is 1 - RMSE / RMSE of the naive forecast."""
    truth, found, lower, upper = (rows.column(name).to_numpy() for name in ("truth", "forecast", "lower", "upper"))
    naive = float(np.sqrt(rows.column("baseline_loss").to_numpy().mean()))
    return {
        "rmse_kw": rmse(found - truth),
        "mae_kw": float(np.mean(np.abs(found - truth))),
        "naive_rmse_kw": naive,
        "skill": 1 - rmse(found - truth) / naive,
        "coverage": covered(truth, (lower, upper)),
        "interval_width_kw": float(np.mean(upper - lower)),
        "test_hours": float(rows.num_rows),
    }
