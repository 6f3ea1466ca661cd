"""Forecasts of a trained tick model: of every bar with its truth, of some days, and of windows a server is given.

Reads   a model's folder, its files checked against their sha256; rows of gold.tick_features

A forecast is made when a bar has ended, of the log return from its close to the close some bars later.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa

from lakehouse.errors import BadInputError
from lakehouse.tables.finance import GOLD_TICK_FEATURES
from ml.examples import Floats, Positions
from ml.finance.config import TickConfig
from ml.finance.features import Bars, Flags, Matrix, bar_returns, forward_log_returns, lay_out
from ml.finance.forecaster import Forecaster, load_forecaster
from ml.finance.walk_forward import Splitter
from ml.finance.windows import window_ends
from ml.model_files import read_index

BAR = "bar"
"""How the columns begin that a server is asked with: bar_0 is the oldest bar's features."""


def examples_of(config: TickConfig, bars: Bars) -> tuple[Positions, Floats]:
    """Return the bars that have a window and a target, and the log returns ahead of all bars."""
    ends, ahead = window_ends(bars, config.window), forward_log_returns(bars, config.horizon)
    return ends[~np.isnan(ahead[ends])], ahead


@dataclass(frozen=True)
class Forecasts:
    """Forecasts of all bars, NaN where no window ends; what naive forecasts say, the same for each bar."""

    values: Floats
    naive: Mapping[str, float]


def forecast_bars(config: TickConfig, bars: Bars, forecaster: Forecaster) -> Forecasts:
    """Forecast every bar that ends a window."""
    ends = window_ends(bars, config.window)
    found = np.full(len(bars), np.nan)
    found[ends] = forecaster.predict(bars, ends)
    return Forecasts(found, forecaster.naive())


def score(config: TickConfig, rows: pa.Table, folder: Path) -> pa.Table:
    """Forecast every bar and put its truth, the naive forecasts and what trading needs beside it."""
    bars = lay_out(rows, config.features)
    examples, ahead = examples_of(config, bars)
    final = Splitter(bars, examples, config.window, config.horizon, config.split).final()
    found = forecast_bars(config, bars, load_forecaster(config, read_index(folder), folder))
    scored = table_of_forecasts(bars, ahead, found, test=final.test, is_backtested=bars.starts >= final.begin)
    return mark(config, scored, bars, folder)


def score_days(config: TickConfig, rows: pa.Table, folder: Path, first: date) -> pa.Table:
    """Score the bars from a day on, all of them as test."""
    bars = lay_out(rows, config.features)
    examples, ahead = examples_of(config, bars)
    found = forecast_bars(config, bars, load_forecaster(config, read_index(folder), folder))
    is_inside = bars.starts >= np.datetime64(first, "m")
    scored = table_of_forecasts(bars, ahead, found, test=examples[is_inside[examples]], is_backtested=is_inside)
    return mark(config, scored, bars, folder)


def mark(config: TickConfig, scored: pa.Table, bars: Bars, folder: Path) -> pa.Table:
    """Add the group that errors are judged in, and say of each bar whether the model has seen it in training."""
    trained_before = np.datetime64(read_index(folder)["trained_before"])
    group = pa.array(np.full(len(bars), config.horizon))
    return scored.append_column("group", group).append_column("is_trained_on", pa.array(bars.ends() <= trained_before))


def table_of_forecasts(
    bars: Bars, ahead: Floats, found: Forecasts, *, test: Positions, is_backtested: Flags
) -> pa.Table:
    """Lay forecasts out as the common steps want them; without forecast or truth a bar has no loss and is no test."""
    losses = {name: (value - ahead) ** 2 for name, value in found.naive.items()}
    strongest = min(losses, key=lambda name: float(losses[name][test].mean()) if len(test) else 0.0)
    is_test = np.zeros(len(bars), dtype=bool)
    is_test[test] = True
    returns, gap_returns = bar_returns(bars)
    moments = np.datetime_as_string(bars.starts, unit="m")
    names = np.array(bars.instruments)[bars.instrument]
    return pa.table(
        {
            "example": [f"{moment} {name}" for moment, name in zip(moments, names, strict=True)],
            "occurrence": np.ones(len(bars), dtype=np.int64),
            "moment": moments,
            "instrument_id": names,
            "bar_start": bars.starts.astype("datetime64[us]"),
            "run": bars.runs,
            "bar_return": returns,
            "gap_return": gap_returns,
            "truth": pa.array(ahead, from_pandas=True),
            "forecast": pa.array(found.values, from_pandas=True),
            "loss": pa.array((found.values - ahead) ** 2, from_pandas=True),
            "baseline": [strongest] * len(bars),
            "baseline_loss": pa.array(losses[strongest], from_pandas=True),
            "is_test": is_test,
            "is_backtested": is_backtested,
        }
    )


def predict(config: TickConfig, rows: pa.Table, folder: Path, first: datetime, last: datetime) -> pa.Table:
    """Forecast the bars that start in `[first, last)`, UTC.

    Raises:
        BadInputError: none of them ends a whole window.
    """
    bars = lay_out(rows, config.features)
    forecast = forecast_bars(config, bars, load_forecaster(config, read_index(folder), folder)).values
    wanted = (bars.starts >= np.datetime64(first)) & (bars.starts < np.datetime64(last)) & ~np.isnan(forecast)
    if not wanted.any():
        raise BadInputError(
            f"{GOLD_TICK_FEATURES.identifier} has bars from {bars.starts.min()} to {bars.starts.max()}: none in "
            f"[{first}, {last}) ends {config.window} bars without a gap"
        )
    starts = bars.starts[wanted]
    return pa.table(
        {
            "instrument_id": np.array(bars.instruments)[bars.instrument[wanted]],
            "event_date": starts.astype("datetime64[D]"),
            "bar_start": pa.array(starts.astype("datetime64[us]")).cast(pa.timestamp("us", "UTC")),
            "horizon": np.full(len(starts), config.horizon, dtype=np.int32),
            "forecast_log_return": forecast[wanted],
        }
    )


def example(config: TickConfig, rows: pa.Table) -> pa.Table:
    """Return a few windows, as a server of the model would be asked: one column per bar and feature."""
    bars = lay_out(rows.slice(max(0, rows.num_rows - 20 * config.window)), config.features)
    ends = window_ends(bars, config.window)
    if not len(ends):
        bars = lay_out(rows, config.features)
        ends = window_ends(bars, config.window)
    if not len(ends):
        raise BadInputError(f"no {config.window} bars follow each other without a gap")
    last = bars.features[ends[-1] - config.window + 1 : ends[-1] + 1]
    return pa.table(dict(zip(served_names(config.features, config.window), last.reshape(-1, 1), strict=True)))


def served_names(features: tuple[str, ...], window: int) -> list[str]:
    """Name the numbers of a window, the oldest bar's features first."""
    return [f"{BAR}_{step}_{name}" for step in range(window) for name in features]


def predict_features(config: TickConfig, folder: Path, features: pa.Table) -> pa.Table:
    """Forecast from windows that somebody else built, one a row."""
    index = read_index(folder)
    names = served_names(config.features, config.window)
    flat = np.column_stack([features.column(name).to_numpy() for name in names]).astype(np.float32)
    stacked: Matrix = np.ascontiguousarray(flat.reshape(-1, len(config.features)))
    count = len(flat)
    runs = np.repeat(np.arange(count), config.window)
    zeros = np.zeros(len(stacked), dtype="datetime64[m]")
    bars = Bars(("",), np.zeros(len(stacked), dtype=np.int64), zeros, np.ones(len(stacked)), runs, stacked)
    ends = np.arange(count) * config.window + config.window - 1
    found = load_forecaster(config, index, folder).predict(bars, ends)
    return pa.table({"forecast_log_return": found})
