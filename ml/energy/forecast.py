"""Forecasts of a trained load model: of examples, of the hours of some days, and of features that a server is given.

Reads   a model's folder, its files checked against their sha256; rows of gold.load_hourly
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from lakehouse.errors import BadInputError
from ml import learners
from ml.energy.config import PowerConfig
from ml.energy.features import WARM_UP_H, Hours, build_examples, lay_out
from ml.energy.interval import Interval
from ml.examples import Examples, Floats, Times
from ml.model_files import read_index


def forecast_examples(
    index: Mapping[str, Any], folder: Path, horizon: int, examples: Examples
) -> tuple[Floats, Floats, Floats]:
    """Return forecast and interval of each example; a load is never negative.

    Raises:
        BadInputError: the model has no such horizon.
    """
    part = index["horizons"].get(str(horizon))
    if part is None:
        raise BadInputError(f"the model forecasts {', '.join(index['horizons'])} h ahead, not {horizon}")
    learner = learners.load(index["model_type"], folder / part["file"])
    forecast = np.maximum(learner.predict(examples.features), 0.0)
    interval = Interval(**{name: tuple(values) for name, values in part["interval"].items()})
    return forecast, *interval.around(forecast)


def predict(config: PowerConfig, rows: pa.Table, folder: Path, first: datetime, last: datetime) -> pa.Table:
    """Forecast the hours of `[first, last)`, civil time, at every horizon for which the rows reach far enough."""
    hours = lay_out(rows)
    index = read_index(folder)
    tables = []
    for horizon in config.horizons:
        examples = build_examples(hours, horizon, tuple(index["features"]))
        targets, occurrences = target_hours(hours, horizon)
        wanted = (targets >= np.datetime64(first)) & (targets < np.datetime64(last))
        chosen = np.flatnonzero(wanted & (np.arange(len(examples)) >= WARM_UP_H))
        if len(chosen):
            forecast, lower, upper = forecast_examples(index, folder, horizon, examples.take(chosen))
            tables.append(
                pa.table(
                    {
                        "meter_id": [config.meter_id] * len(chosen),
                        "event_date": targets[chosen].astype("datetime64[D]"),
                        "target_start": targets[chosen].astype("datetime64[us]"),
                        "target_occurrence": occurrences[chosen].astype(np.int32),
                        "horizon": np.full(len(chosen), horizon, dtype=np.int32),
                        "origin_start": examples.times[chosen].astype("datetime64[us]"),
                        "load_kw": forecast,
                        "load_kw_lower": lower,
                        "load_kw_upper": upper,
                        "interval_ratio": np.full(len(chosen), config.interval),
                    }
                )
            )
    if not tables:
        raise BadInputError(
            f"gold has hours of {config.meter_id} from {hours.starts[0]} to {hours.starts[-1]}: none from which "
            f"[{first}, {last}) can be forecast {', '.join(map(str, config.horizons))} h ahead"
        )
    return pa.concat_tables(tables)


def target_hours(hours: Hours, horizon: int) -> tuple[Times, Floats]:
    """Return the hour that each example forecasts, and which showing of it: gold's own where it has a row for it."""
    offset = horizon - 1
    known = max(0, len(hours.starts) - offset)
    targets = hours.starts + np.timedelta64(offset, "h")
    occurrences = np.ones(len(targets))
    targets[:known] = hours.starts[offset:]
    occurrences[:known] = hours.occurrences[offset:]
    return targets, occurrences


def example(config: PowerConfig, rows: pa.Table) -> pa.Table:
    """Return a few rows of features, as a server of the model would be asked."""
    examples = build_examples(lay_out(rows), config.horizons[0], config.features)
    last = examples.features[-3:]
    return pa.table({name: last[:, number] for number, name in enumerate(config.features)})


def predict_features(folder: Path, features: pa.Table) -> pa.Table:
    """Forecast from features that somebody else built, one horizon beside the other."""
    index = read_index(folder)
    matrix = np.column_stack([features.column(name).to_numpy() for name in index["features"]]).astype(float)
    times = np.zeros(len(matrix), dtype="datetime64[h]")
    examples = Examples(tuple(index["features"]), times, times, matrix, np.full(len(matrix), np.nan))
    columns: dict[str, Floats] = {}
    for horizon in index["horizons"]:
        forecast, lower, upper = forecast_examples(index, folder, int(horizon), examples)
        columns |= {f"load_kw_h{horizon}": forecast, f"lower_h{horizon}": lower, f"upper_h{horizon}": upper}
    return pa.table(columns)
