"""What a tick model's forecasts are worth: errors beside naive forecasts, and trading on them after costs.

Errors are of log returns over the horizon, in 10^-4 (bps). They are averaged over the instruments of a minute before
they are tested, since instruments err together. Trading is measured on every bar of the test days, net of costs, at
one-minute steps, and annualised by the sessions of the instruments' own calendar.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.errors import BadInputError
from ml.compare import MINIMUM_ROWS, diebold_mariano, rmse
from ml.examples import Floats
from ml.finance.backtest import (
    Market,
    Trading,
    buy_and_hold,
    count_entries,
    decide,
    execute,
    hit_rate,
    last_sign,
    random_policies,
    trade,
)
from ml.finance.config import TickConfig
from ml.finance.performance import (
    Moments,
    annual_sharpe,
    bars_per_year,
    deflated_sharpe,
    equity,
    maximum_drawdown,
    moments,
    probabilistic_sharpe,
)
from ml.model import Evaluation

BPS = 1e4


def market_of(scored: pa.Table) -> Market:
    """Return the bars of the backtest as a market."""
    rows = scored.filter(pc.field("is_backtested"))

    def numbers(name: str) -> Floats:
        return np.asarray(rows.column(name).to_numpy(zero_copy_only=False), dtype=np.float64)

    names, numbered = np.unique(rows.column("instrument_id").to_numpy(zero_copy_only=False), return_inverse=True)
    return Market(
        tuple(map(str, names)),
        numbered,
        rows.column("bar_start").to_numpy().astype("datetime64[m]"),
        numbers("run").astype(np.int64),
        numbers("bar_return"),
        numbers("gap_return"),
        numbers("forecast"),
    )


def evaluate(config: TickConfig, scored: pa.Table) -> Evaluation:
    """Measure the test rows.

    Raises:
        BadInputError: no test row has a forecast and its truth.
    """
    rows = scored.filter(pc.field("is_test"))
    if not rows.num_rows:
        raise BadInputError("no test bar has a whole window before it and a whole horizon after it")
    metrics = measure_errors(rows, config.horizon)
    days = pc.unique(pc.cast(rows.column("bar_start"), pa.date32())).to_pylist()
    metrics |= {"test_days": float(len(days)), "forecasts": float(rows.num_rows)}
    metrics |= measure_trading(config, market_of(scored), (min(days), max(days)))
    return Evaluation(metrics, {config.horizon: rows.column("baseline")[0].as_py()})


def measure_errors(rows: pa.Table, horizon: int) -> dict[str, float]:
    """Measure the forecasts' errors beside those of the strongest naive forecast."""
    means = rows.group_by("moment").aggregate([("loss", "mean"), ("baseline_loss", "mean")])
    means = means.sort_by("moment")
    own, naive = (means.column(name).to_numpy() for name in ("loss_mean", "baseline_loss_mean"))
    is_enough = len(own) >= max(MINIMUM_ROWS, horizon)
    truth, forecast = (rows.column(name).to_numpy() for name in ("truth", "forecast"))
    naive_rmse = float(np.sqrt(rows.column("baseline_loss").to_numpy().mean()))
    return {
        "rmse_bps": rmse(forecast - truth) * BPS,
        "naive_rmse_bps": naive_rmse * BPS,
        "skill": 1 - rmse(forecast - truth) / naive_rmse if naive_rmse > 0 else 0.0,
        "diebold_mariano_p": diebold_mariano(own, naive, horizon).p_value if is_enough else 1.0,
    }


def measure_trading(config: TickConfig, market: Market, days: tuple[date, date]) -> dict[str, float]:
    """Trade on the forecasts and beside them, and measure what came of it."""
    cost = config.backtest.cost_ratio
    per_year = bars_per_year(config.calendar, *days)
    found = trade(market, execute(market, decide(market, config.backtest)), cost)
    number_of_days = len(np.unique(market.starts.astype("datetime64[D]")))
    of_net = moments(found.net)
    metrics = {
        "sharpe_net": annual_sharpe(found.net, per_year),
        "sharpe_gross": annual_sharpe(found.gross, per_year),
        "maximum_drawdown": maximum_drawdown(found.net),
        "return_net": total(found.net),
        "return_gross": total(found.gross),
        "cost_paid": float(found.costs.sum()),
        "hit_rate": hit_rate(market, found.positions),
        "exposure": float(np.abs(found.positions).mean()),
        "trades": float(count_entries(market, found.positions)),
        "turnover_per_day": float(found.turnover.sum()) / number_of_days,
        "probabilistic_sharpe": probabilistic_sharpe(of_net),
        "bars_per_year": per_year,
        **{f"net_{name}": float(value) for name, value in asdict(of_net).items()},
    }
    for name, other in (("buy_and_hold", buy_and_hold(market, cost)), ("last_sign", last_sign(market, cost))):
        metrics |= {f"{name}_sharpe": annual_sharpe(other.net, per_year), f"{name}_return": total(other.net)}
    return metrics | measure_luck(config, market, found, per_year) | by_instrument(config, market, found, per_year)


def measure_luck(config: TickConfig, market: Market, found: Trading, per_year: float) -> dict[str, float]:
    """Compare a result with random policies with the same turnover."""
    chosen = config.backtest
    draws = random_policies(market, found.positions, chosen.cost_ratio, chosen.random_draws, config.seed)
    sharpes = np.array([annual_sharpe(each.net, per_year) for each in draws])
    own = annual_sharpe(found.net, per_year)
    return {
        "random_sharpe_mean": float(sharpes.mean()),
        "random_sharpe_p95": float(np.quantile(sharpes, 0.95)),
        "random_share_as_good": float((sharpes >= own).mean()),
    }


def by_instrument(config: TickConfig, market: Market, found: Trading, per_year: float) -> dict[str, float]:
    """Measure each of several instruments alone, all capital in it."""
    metrics: dict[str, float] = {}
    for number, name in enumerate(market.names if len(config.instruments) > 1 else ()):
        positions = found.positions[market.instrument == number]
        result = trade(market.only(number), positions, config.backtest.cost_ratio)
        metrics |= {
            f"sharpe_net_{name}": annual_sharpe(result.net, per_year),
            f"return_net_{name}": total(result.net),
        }
    return metrics


def total(returns: Floats) -> float:
    """Return what was gained over all bars, as a share of the capital."""
    return float(equity(returns)[-1]) - 1 if len(returns) else 0.0


def deflate(evaluation: Evaluation, others: Sequence[Mapping[str, float]]) -> Evaluation:
    """Add the deflated Sharpe ratio, given the metrics of the other configurations that were tried."""
    metrics = evaluation.metrics
    found = Moments(metrics["net_sharpe"], int(metrics["net_count"]), metrics["net_skewness"], metrics["net_kurtosis"])
    sharpes = [each["net_sharpe"] for each in others if "net_sharpe" in each]
    trials = 1 + len(others)
    deflated = deflated_sharpe(found, [found.sharpe, *sharpes], trials)
    return replace(evaluation, metrics={**metrics, "trials": float(trials), "deflated_sharpe": deflated})
