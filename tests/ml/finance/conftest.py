"""Generated ticks with a planted signal, as rows of gold.tick_features; nobody's prices.

A tick is a trade: time, price and size. Ticks become one-minute bars and indicators as the project's jobs make them,
with its own pure function; tests of training need no Spark. The planted signal is a drift whose direction holds for
one to three hours: the past hour tells it, the more clearly the stronger it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from lakehouse.config.settings import Settings
from lakehouse.lake.catalog import load
from lakehouse.lake.migration import require_tables
from lakehouse.lake.schema import arrow_schema
from lakehouse.reference.instruments import describe_instrument, sessions
from lakehouse.tables.finance import GOLD_TICK_FEATURES
from transforms.finance.indicators import State, compute_features, encode_state

MODEL = "tick_gru"
FIRST = date(2013, 10, 7)
TICKS_A_MINUTE = 3
NOISE_BPS = 5.0
"""Deviation of a minute's return: about 1 % a day."""

QUICK = (
    "instruments=[GENA.USA]",
    "model_type=lightgbm",
    "hyperparameters.lightgbm.rounds=30",
    "hyperparameters.lightgbm.learning_rate=0.1",
    "window=20",
    "split.embargo_bars=30",
    "split.folds=2",
    "split.test_ratio=0.4",
    "backtest.random_draws=50",
    "data.minimum_rows=500",
    "features=[log_return, rsi_14, sma_20_distance, sma_50_distance, ema_26_distance]",
)
"""Of the real configuration what makes a test quick; the gate, costs and rules of trading are the real ones."""


@dataclass(frozen=True)
class Ticks:
    """Trades of one instrument in the order of time."""

    instrument_id: str
    times: np.ndarray
    prices: np.ndarray
    sizes: np.ndarray


def generated_ticks(days: int, drift_bps: float, seed: int = 5, instrument_id: str = "GENA.USA") -> Ticks:
    """Generate trades inside sessions; `drift_bps` a minute is the planted signal, 0 is a random walk."""
    random = np.random.default_rng(seed)
    calendar = describe_instrument(instrument_id).calendar
    times = []
    for opened, closed in sessions(calendar, FIRST, FIRST + timedelta(days=2 * days + 7))[:days]:
        begin, minutes = np.datetime64(opened.replace(tzinfo=None), "ms"), (closed - opened) // timedelta(minutes=1)
        offsets = np.sort(random.integers(0, 60_000, (minutes, TICKS_A_MINUTE)), axis=1)
        times.append((begin + np.arange(minutes)[:, None] * 60_000 + offsets).ravel())
    times = np.concatenate(times)
    count = len(times)
    direction = np.empty(count)
    place = 0
    while place < count:
        length = TICKS_A_MINUTE * int(random.integers(60, 180))
        direction[place : place + length] = random.choice((-1.0, 1.0))
        place += length
    noise = random.normal(0, NOISE_BPS / np.sqrt(TICKS_A_MINUTE), count)
    steps = (noise + drift_bps / TICKS_A_MINUTE * direction) / 1e4
    return Ticks(instrument_id, times, np.round(50 * np.exp(np.cumsum(steps)), 4), 100.0 * random.integers(1, 9, count))


def rows_of(ticks: Sequence[Ticks]) -> pa.Table:
    """Turn ticks into rows of gold.tick_features."""
    return pa.concat_tables([rows_of_instrument(each) for each in ticks])


def rows_of_instrument(ticks: Ticks) -> pa.Table:
    """Make bars, last price and summed size of each minute, and their indicators."""
    minutes, begins = np.unique(ticks.times.astype("datetime64[m]"), return_index=True)
    close = ticks.prices[np.concatenate([begins[1:], [len(ticks.times)]]) - 1]
    volume = np.add.reduceat(ticks.sizes, begins)
    features, state = compute_features(close, volume, State())
    opened = np.array(
        [
            np.datetime64(each[0].replace(tzinfo=None), "m")
            for each in sessions(
                describe_instrument(ticks.instrument_id).calendar,
                minutes[0].astype("datetime64[D]").item(),
                minutes[-1].astype("datetime64[D]").item(),
            )
        ]
    )
    since = (minutes - opened[np.searchsorted(opened, minutes, side="right") - 1]).astype(int)
    count = len(minutes)
    columns = {
        "instrument_id": [ticks.instrument_id] * count,
        "event_date": minutes.astype("datetime64[D]"),
        "bar_start": pa.array(minutes.astype("datetime64[us]")).cast(pa.timestamp("us", "UTC")),
        "close": close,
        "volume": volume,
        **{name: pa.array(values, from_pandas=True) for name, values in features.items()},
        "minutes_since_open": since,
        "is_filled": [False] * count,
        "_carry": pa.array([None] * (count - 1) + [encode_state(state)], pa.list_(pa.float64())),
        "_ingested_at": [datetime.now(UTC)] * count,
    }
    schema = arrow_schema(GOLD_TICK_FEATURES)
    return pa.table({name: columns[name] for name in schema.names}).cast(schema)


def publish_rows(settings: Settings, rows: pa.Table) -> int:
    """Put rows in place of all of gold.tick_features; return the snapshot that has them."""
    require_tables(settings, [GOLD_TICK_FEATURES])
    load(settings, GOLD_TICK_FEATURES).overwrite(rows)
    snapshot = load(settings, GOLD_TICK_FEATURES).current_snapshot()
    assert snapshot is not None
    return snapshot.snapshot_id


@dataclass
class TickTraining:
    """A lakehouse of a test with generated ticks in gold, and what its training works with."""

    settings: Settings
    context: Any
    lines: list[str]

    def train(self, overrides: Sequence[str] = (), **arguments: Any) -> Any:
        """Train the real configuration, made quick."""
        from ml.steps import train_model

        chosen = () if "run_id" in arguments else (*QUICK, *overrides)
        return train_model(self.context, MODEL, overrides=chosen, **arguments)


@pytest.fixture(scope="session")
def ticks() -> Any:
    """ticks.generated(days, drift_bps, seed, instrument_id), ticks.rows([...]), ticks.publish(settings, rows)."""

    class Generated:
        generated = staticmethod(generated_ticks)
        rows = staticmethod(rows_of)
        publish = staticmethod(publish_rows)
        quick = QUICK

    return Generated


@pytest.fixture(scope="module")
def train_on(empty_mlflow: Path) -> Callable[[Path, pa.Table], TickTraining]:
    """Make a lakehouse with rows in gold below a folder."""
    import shutil

    from lakehouse.config.settings import read_settings
    from ml.tracking import open_tracking

    def make(home: Path, rows: pa.Table) -> TickTraining:
        settings = read_settings({"LAKEHOUSE_HOME": str(home)})
        (home / "mlflow").mkdir(parents=True)
        shutil.copy(empty_mlflow, home / "mlflow" / "mlflow.db")
        publish_rows(settings, rows)
        lines: list[str] = []
        return TickTraining(settings, open_tracking(settings, lines.append), lines)

    return make
