"""What a person wants to see of a tick model: equity with drawdown, outcomes by forecast, and what costs took."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ml.examples import Times
from ml.finance.backtest import Trading, buy_and_hold, decide, execute, last_sign, trade
from ml.finance.config import TickConfig
from ml.finance.evaluation import BPS, market_of
from ml.finance.performance import drawdowns, equity

DECILES = 10


def plot(config: TickConfig, scored: pa.Table, folder: Path, target: Path) -> None:
    """Draw the backtest of the test days and the test forecasts, one file each."""
    from matplotlib.figure import Figure

    market = market_of(scored)
    cost = config.backtest.cost_ratio
    times = np.unique(market.starts)
    found = trade(market, execute(market, decide(market, config.backtest)), cost)
    others = {"buy and hold": buy_and_hold(market, cost), "last sign": last_sign(market, cost)}
    test = scored.filter(pc.field("is_test"))
    drawings: tuple[tuple[str, int, Callable[[Any], None]], ...] = (
        ("equity", 2, lambda axes: draw_equity(axes, times, found, others)),
        ("deciles", 1, lambda axes: draw_deciles(axes[0], test)),
        ("costs", 1, lambda axes: draw_costs(axes[0], times, found, config.backtest.cost_ratio)),
    )
    for name, count, draw in drawings:
        figure = Figure(figsize=(11, 3 + 2.5 * count), layout="constrained")
        axes = figure.subplots(count, 1, squeeze=False, sharex=True)[:, 0]
        draw(axes)
        axes[0].set_title(f"{config.name}, {', '.join(config.instruments)}: {axes[0].get_title()}")
        figure.savefig(target / f"{name}.png", dpi=90, metadata={"Software": None})


def draw_equity(axes: Any, times: Times, found: Trading, others: dict[str, Trading]) -> None:
    """What 1 has become net of costs, the model's and the other policies', and the model's drawdown below it.

    Bars are drawn one beside the other: nights would be straight lines of no meaning.
    """
    places = np.arange(len(times))
    axes[0].plot(places, equity(found.net), label="model, net", color="tab:blue")
    for (name, other), colour in zip(others.items(), ("0.3", "tab:orange"), strict=True):
        axes[0].plot(places, equity(other.net), label=f"{name}, net", color=colour, linewidth=0.9)
    axes[0].axhline(1, color="black", linewidth=0.6)
    axes[0].set(ylabel="equity", title="equity and drawdown of the test days")
    axes[0].legend(loc="best")
    axes[1].fill_between(places, -100 * drawdowns(found.net), color="tab:red", alpha=0.5)
    axes[1].set(ylabel="drawdown, %")
    label_days(axes[1], times)


def draw_deciles(axes: Any, test: pa.Table) -> None:
    """Mean outcome per tenth of the forecasts, with two standard errors, and the mean forecast."""
    forecast, truth = (test.column(name).to_numpy() * BPS for name in ("forecast", "truth"))
    parts = np.array_split(np.argsort(forecast, kind="stable"), DECILES)
    places = np.arange(1, DECILES + 1)
    means = [float(truth[part].mean()) for part in parts]
    errors = [2 * float(truth[part].std()) / np.sqrt(max(1, len(part))) for part in parts]
    axes.bar(places, means, yerr=errors, capsize=3, color="tab:blue", alpha=0.7, label="mean outcome, 2 s.e.")
    axes.plot(places, [float(forecast[part].mean()) for part in parts], "o-", color="tab:orange", label="mean forecast")
    axes.axhline(0, color="black", linewidth=0.6)
    axes.set(xlabel="tenth of the forecasts, lowest first", ylabel="log return, bps", title="outcome by forecast")
    axes.set_xticks(places)
    axes.legend(loc="best")


def draw_costs(axes: Any, times: Times, found: Trading, cost_ratio: float) -> None:
    """Summed returns before and after costs, and the costs between them."""
    places = np.arange(len(times))
    gross, net = (100 * np.cumsum(values) for values in (found.gross, found.net))
    axes.plot(places, gross, label="gross", color="tab:green")
    axes.plot(places, net, label="net", color="tab:blue")
    axes.fill_between(places, net, gross, color="tab:red", alpha=0.25, label=f"costs, {cost_ratio * BPS:g} bps a trade")
    axes.axhline(0, color="black", linewidth=0.6)
    axes.set(ylabel="summed return, % of capital", title="costs against gross")
    axes.legend(loc="best")
    label_days(axes, times)


def label_days(axes: Any, times: Times) -> None:
    """Name the bars at which days begin, ten of them at most."""
    days = times.astype("datetime64[D]")
    begins = np.flatnonzero(np.concatenate([[True], days[1:] != days[:-1]]))
    shown = begins[:: max(1, len(begins) // DECILES)]
    axes.set_xticks(shown, [str(days[place]) for place in shown], rotation=30, ha="right")
    axes.set_xlabel("bars of the test days, UTC")
