"""Returns of the next minutes from 60-bar windows of indicators: a GRU, walk-forward folds, a backtest after costs.

Measured on AIG and BAC, 2013-10-07 to 2013-10-11, the last day (642 forecasts of 10 minutes) as test, seed 1:

    RMSE 15.159 bps, naive 15.116 bps (no change), skill -0.3 % (folds 0.1 +- 1.0 %), Diebold-Mariano p 0.68
    no forecast reaches the 20 bps that a trade there and back costs, so nothing is traded: Sharpe ratio 0
    gate failed, as it should: five days teach nothing and are too few to test on

27 CPU seconds and 1.27 GB at the peak, of which loading torch takes 7 s; a GRU of 32 on windows of 60 x 12 trains on
about 10,500 windows per CPU second, once warm, on one thread. Command: lakehouse train tick_gru

Reads   rows of gold.tick_features of some instruments
Writes  a folder of files: the network's weights or the trees' text, and model.json

The model that is judged is the one that is served: it ends before the test begins, by purge and embargo. Most honest
runs do not pass the gate, which is what the gate is for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.errors import BadInputError
from lakehouse.tables.finance import GOLD_TICK_FEATURES
from ml.examples import Examples, Floats, Positions
from ml.finance import scoring
from ml.finance.claims import check_claims
from ml.finance.config import NETWORKS, TickConfig
from ml.finance.evaluation import deflate, evaluate, market_of, measure_errors, measure_trading
from ml.finance.features import MINUTE, Bars, columns_of, lay_out
from ml.finance.forecaster import Forecaster, fit_forecaster, save_forecaster
from ml.finance.plots import plot
from ml.finance.scoring import examples_of, forecast_bars, table_of_forecasts
from ml.finance.walk_forward import Splitter, WalkForwardFold
from ml.finance.windows import window_ends
from ml.gold import RowFilter
from ml.leakage import check_past_only, check_split
from ml.model import Backtested, Deflated, Evaluation, Model, Say
from ml.model_files import write_index

LEAK_CUTS = (0.35, 0.6, 0.8, 0.95)
"""Where features are built again without the future, as shares of an instrument's bars."""
OWN_COLUMNS = ("close", "minutes_since_open")
"""What is read of a bar in any case: targets, returns and sessions come from it."""


class TickModel(Model[TickConfig], Deflated, Backtested):
    """One forecaster for windows of bars of all instruments."""

    publish_job = "finance/tick_predictions.py"

    def columns(self) -> tuple[str, ...]:
        """Return the close, the place in the session, and what the features are made from."""
        made_from = (column for name in self.config.features for column in columns_of(name))
        return tuple(dict.fromkeys((*OWN_COLUMNS, *made_from)))

    def columns_to_check(self) -> tuple[str, ...]:
        """Return the volume, which the columns are computed from again."""
        return ("volume",)

    def row_filter(self) -> RowFilter:
        """Return the rows: the instruments, the days of the training window."""
        window, instruments = self.config.training_window, ("instrument_id", self.config.instruments)
        return RowFilter(any_of=(instruments,), first=window.first, last_exclusive=window.last_exclusive)

    def newest(self, rows: pa.Table) -> datetime:
        """Return the start of the newest bar, UTC."""
        if not rows.num_rows:
            raise BadInputError(f"{GOLD_TICK_FEATURES.identifier} has no bar of {', '.join(self.config.instruments)}")
        found: datetime = pc.max(rows.column("bar_start")).as_py().astimezone(UTC)
        return found

    def check(self, rows: pa.Table) -> None:
        """Look for leaks in the rows and in what is built from them, and for instruments without rows."""
        present = set(pc.unique(rows.column("instrument_id")).to_pylist())
        missing = sorted(set(self.config.instruments) - present)
        if missing:
            raise BadInputError(f"{GOLD_TICK_FEATURES.identifier} has no bar of {', '.join(missing)}")
        check_claims(rows, {name: columns_of(name) for name in self.config.features})
        for instrument in self.config.instruments:
            own = rows.filter(pc.field("instrument_id") == instrument)
            own = own.filter(pc.field("minutes_since_open").is_valid()).sort_by("bar_start")

            def build(cut: int | None, own: pa.Table = own) -> Examples:
                known = own if cut is None else own.slice(0, cut + 1)
                return as_examples(self.config, lay_out(known, self.config.features))

            check_past_only(build, [int(share * own.num_rows) for share in LEAK_CUTS])

    def train(self, rows: pa.Table, folder: Path, say: Say) -> Mapping[str, list[float]]:
        """Fit and measure each fold, fit what is served, write it; return what the folds came to, and their spread."""
        config, bars = self.config, lay_out(rows, self.config.features)
        examples, ahead = examples_of(config, bars)
        splitter = Splitter(bars, examples, config.window, config.horizon, config.split)
        found: dict[str, list[float]] = {}
        for number, fold in enumerate(splitter.folds(), start=1):
            forecaster = fit_fold(config, bars, fold, ahead, say)
            measured = measure_fold(config, bars, fold, ahead, forecaster)
            for name, value in measured.items():
                found.setdefault(f"fold_{name}", []).append(value)
            say(
                f"fold {number} of {config.split.folds}, {len(fold.train)} windows before {fold.begin}: "
                + ", ".join(f"{name} {value:.4f}" for name, value in measured.items())
            )
        spread: dict[str, list[float]] = {}
        for name, values in found.items():
            spread |= {f"{name}_mean": [float(np.mean(values))], f"{name}_std": [float(np.std(values, ddof=1))]}
            say(f"{name} over the folds: {np.mean(values):.4f} +- {np.std(values, ddof=1):.4f}")
        final = splitter.final()
        forecaster = fit_fold(config, bars, final, ahead, say)
        trained_before = bars.ends(config.horizon)[final.train].max()
        write_index(folder, {**save_forecaster(config, forecaster, folder), "trained_before": str(trained_before)})
        say(f"trained on {len(final.train)} windows, whose targets end by {trained_before}; test from {final.begin} on")
        return found | spread

    def score(self, rows: pa.Table, folder: Path) -> pa.Table:
        """Forecast every bar and put its truth, the naive forecasts and what trading needs beside it."""
        return scoring.score(self.config, rows, folder)

    def evaluate(self, scored: pa.Table) -> Evaluation:
        """Measure the errors of the test rows and what trading on them would have brought."""
        return evaluate(self.config, scored)

    def deflate(self, evaluation: Evaluation, others: Sequence[Mapping[str, float]]) -> Evaluation:
        """Add the deflated Sharpe ratio."""
        return deflate(evaluation, others)

    def plot(self, scored: pa.Table, folder: Path, target: Path) -> None:
        """Draw what trading on the forecasts would have brought."""
        plot(self.config, scored, folder, target)

    def predict(self, rows: pa.Table, folder: Path, first: datetime, last: datetime) -> pa.Table:
        """Forecast the bars that start in `[first, last)`, UTC."""
        return scoring.predict(self.config, rows, folder, first, last)

    def backtest(self, rows: pa.Table, folder: Path, first: date, last: date) -> Sequence[str]:
        """Trade on the forecasts of the days `[first, last)`, UTC."""
        scored = scoring.score_days(self.config, rows, folder, first)
        days = scored.filter(pc.field("is_backtested"))
        test = days.filter(pc.field("is_test"))
        if not test.num_rows:
            raise BadInputError(
                f"{GOLD_TICK_FEATURES.identifier} has no bar of [{first}, {last}) with {self.config.window} bars "
                f"before it and {self.config.horizon} after it, without a gap"
            )
        known = int(pc.sum(pc.cast(days.column("is_trained_on"), pa.int64())).as_py())
        lines = [f"{name} {value:.4f}" for name, value in self.evaluate(scored).metrics.items()]
        if known:
            lines.append(f"beware: the version was trained on {known} of these {days.num_rows} bars")
        return lines

    def example(self, rows: pa.Table) -> pa.Table:
        """Return the last whole window: one column per bar and feature."""
        return scoring.example(self.config, rows)

    def predict_features(self, folder: Path, features: pa.Table) -> pa.Table:
        """Forecast from windows that somebody else built, one a row."""
        return scoring.predict_features(self.config, folder, features)

    def packages(self) -> tuple[str, ...]:
        """Return what reads the forecaster's file."""
        return ("torch", "safetensors") if self.config.model_type in NETWORKS else ("lightgbm",)


def as_examples(config: TickConfig, bars: Bars) -> Examples:
    """Return every bar's features, whether it ends a window, and its target, with the times when they are known."""
    _, ahead = examples_of(config, bars)
    has_window = np.zeros((len(bars), 1))
    has_window[window_ends(bars, config.window)] = 1.0
    features = np.hstack([has_window, bars.features.astype(np.float64)])
    return Examples(("has_window", *config.features), bars.ends(), bars.ends(config.horizon), features, ahead)


def fit_fold(config: TickConfig, bars: Bars, fold: WalkForwardFold, ahead: Floats, say: Say) -> Forecaster:
    """Fit one forecaster on a fold's training part, after checking that its split lies in time."""
    check_split(spans(config, bars, fold.train, ahead), spans(config, bars, fold.test, ahead))
    return fit_forecaster(config, bars, fold.train, ahead[fold.train], say)


def spans(config: TickConfig, bars: Bars, chosen: Positions, ahead: Floats) -> Examples:
    """Return examples with the time that they reach back to and the time when their target is known."""
    begins = bars.starts[chosen] - (config.window - 1) * MINUTE
    return Examples((), begins, bars.ends(config.horizon)[chosen], np.empty((len(chosen), 0)), ahead[chosen])


def measure_fold(
    config: TickConfig, bars: Bars, fold: WalkForwardFold, ahead: Floats, forecaster: Forecaster
) -> dict[str, float]:
    """Measure a fold's test as the gate's test is measured."""
    is_inside = (bars.starts >= fold.begin) & (bars.starts < fold.end)
    found = forecast_bars(config, bars, forecaster)
    scored = table_of_forecasts(bars, ahead, found, test=fold.test, is_backtested=is_inside)
    market = market_of(scored)
    errors = measure_errors(scored.filter(pc.field("is_test")), config.horizon)
    days = np.unique(market.starts.astype("datetime64[D]"))
    trading = measure_trading(config, market, (days[0].item(), days[-1].item()))
    wanted = ("rmse_bps", "naive_rmse_bps", "skill", "sharpe_net", "sharpe_gross", "maximum_drawdown")
    return {name: (errors | trading)[name] for name in wanted}
