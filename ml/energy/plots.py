"""What a person wants to see of a load forecast: the last weeks, errors by hour of day, importance, residuals."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ml.energy.config import PowerConfig
from ml.model_files import read_index

SHOWN_H = 336
"""Two weeks: more, and the days are no longer told apart."""
SHOWN_FEATURES = 15


def plot(config: PowerConfig, scored: pa.Table, folder: Path, target: Path) -> None:
    """Draw the test rows of each horizon, one file each."""
    from matplotlib.figure import Figure

    index = read_index(folder)
    for horizon in config.horizons:
        rows = scored.filter((pc.field("group") == horizon) & pc.field("is_test"))
        importance = index["horizons"][str(horizon)]["importance"]
        drawings: tuple[tuple[str, tuple[int, int], Callable[[Any, Any], None], Any], ...] = (
            ("forecast", (14, 5), draw_weeks, rows),
            ("error_by_hour", (8, 5), draw_hours, rows),
            ("importance", (8, 6), draw_importance, importance),
            ("residuals", (8, 5), draw_residuals, rows),
        )
        for name, size, draw, what in drawings:
            figure = Figure(figsize=size, layout="constrained")
            axes = figure.subplots()
            draw(axes, what)
            axes.set_title(f"{config.name}, {config.meter_id}, {horizon} h ahead: {axes.get_title()}")
            figure.savefig(target / f"{name}_h{horizon}.png", dpi=90, metadata={"Software": None})


def draw_weeks(axes: Any, rows: pa.Table) -> None:
    """Forecast and interval against the truth."""
    last = rows.slice(max(0, rows.num_rows - SHOWN_H))
    times = np.array(last.column("example").to_pylist(), dtype="datetime64[h]")
    axes.fill_between(
        times, last.column("lower").to_numpy(), last.column("upper").to_numpy(), alpha=0.25, label="interval"
    )
    axes.plot(times, last.column("truth").to_numpy(), color="black", linewidth=0.9, label="measured")
    axes.plot(times, last.column("forecast").to_numpy(), color="tab:orange", linewidth=1.1, label="forecast")
    axes.set(ylabel="kW", xlabel="time of forecast, local", title="the last two weeks")
    axes.legend(loc="upper right")


def draw_hours(axes: Any, rows: pa.Table) -> None:
    """Mean absolute error per hour of day, the model's and the strongest naive forecast's."""
    hours = np.array([int(text[11:13]) for text in rows.column("example").to_pylist()])
    losses = {
        "model": rows.column("loss"),
        f"naive: {rows.column('baseline')[0].as_py()}": rows.column("baseline_loss"),
    }
    for number, (label, loss) in enumerate(losses.items()):
        absolute = np.sqrt(loss.to_numpy())
        means = [absolute[hours == hour].mean() if (hours == hour).any() else 0.0 for hour in range(24)]
        axes.bar(np.arange(24) + 0.4 * number, means, width=0.4, label=label)
    axes.set(xlabel="hour of day that the forecast is made in", ylabel="mean absolute error, kW", title="error by hour")
    axes.legend()


def draw_importance(axes: Any, shares: dict[str, float]) -> None:
    """The features that count most."""
    chosen = sorted(shares.items(), key=lambda item: item[1])[-SHOWN_FEATURES:]
    axes.barh([name for name, _ in chosen], [share for _, share in chosen])
    axes.set(xlabel="share", title="feature importance")


def draw_residuals(axes: Any, rows: pa.Table) -> None:
    """Errors against forecasts: where they widen, and whether they lean."""
    forecast = rows.column("forecast").to_numpy()
    axes.scatter(forecast, rows.column("truth").to_numpy() - forecast, s=6, alpha=0.4)
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set(xlabel="forecast, kW", ylabel="measured - forecast, kW", title="residuals")
