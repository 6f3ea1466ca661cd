"""Indicators per one-minute bar, carried over midnight.

Reads   lakehouse.gold.bars_1m          the event days
        lakehouse.gold.tick_features    `_carry` of days before them
Writes  lakehouse.gold.tick_features    replaces those event days

The formulas are in indicators.py. A day starts from the state that the instrument's last day before it left behind, so
that days computed one by one equal the same days computed at once, bit for bit. After CARRY_DAYS days without a bar an
instrument starts anew, as bars do.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from lakehouse.lake.scans import PinnedTable, pin_current
from lakehouse.tables.finance import GOLD_BARS_1M, GOLD_TICK_FEATURES
from spark_jobs.engine import day_files
from spark_jobs.engine.day_files import map_in_tasks, write_rows
from spark_jobs.engine.stage import Branch, DataFile
from spark_jobs.finance import bars_1m
from spark_jobs.finance.bars_1m import CARRY_DAYS
from spark_jobs.layers import gold
from spark_jobs.layers.command_line import main
from spark_jobs.layers.convert import Target, deal, target_of
from spark_jobs.layers.gold import Derivation, Inputs, by_tasks, gold_job
from transforms.finance import indicators
from transforms.finance.indicators import FEATURES, State, compute_features, decode_state, encode_state

MAXIMUM_AGE = timedelta(days=CARRY_DAYS)
BARS_PER_TASK = 100_000
"""An instrument's days are computed one after another, by one task; with fewer bars it would start for too little."""
COPIED = ("instrument_id", "event_date", "bar_start", "close", "volume", "minutes_since_open", "is_filled")
"""Columns that are the bar's own."""


class Carry(NamedTuple):
    """The state that an instrument's day left behind."""

    day: date
    numbers: Sequence[float]


Carries = Mapping[str, Carry]
"""The latest state per instrument."""


def transform(days: Iterable[pl.DataFrame], carries: Carries) -> Iterator[pl.DataFrame]:
    """Build gold.tick_features, but for _ingested_at, day by day from each day's bars of whole instruments.

    The days ascend, and `carries` are of days before them. A day without bars has no features.
    """
    latest = dict(carries)
    for bars in days:
        by_instrument = bars.sort("instrument_id", "bar_start").partition_by("instrument_id", maintain_order=True)
        parts = [features_of_instrument(part, latest.get(part["instrument_id"][0])) for part in by_instrument]
        if parts:
            features = pl.concat(parts)
            latest |= latest_carries(features)
            yield features


def features_of_instrument(bars: pl.DataFrame, carry: Carry | None) -> pl.DataFrame:
    """Compute one instrument's bars of one day, in order, from the state before them."""
    close, volume = (to_doubles(bars[name]) for name in ("close", "volume"))
    features, state = compute_features(close, volume, state_of(carry, bars["event_date"][0]))
    carries = pl.Series([*[None] * (len(bars) - 1), encode_state(state)], dtype=pl.List(pl.Float64))
    computed = {name: pl.Series(features[name]).fill_nan(None) for name in FEATURES}
    columns = bars.with_columns(close=pl.Series(close), volume=pl.Series(volume), _carry=carries, **computed)
    return columns.select(GOLD_TICK_FEATURES.digest_columns)


def to_doubles(decimals: pl.Series) -> npt.NDArray[np.float64]:
    """Turn decimals with eight places into the doubles that are nearest to them.

    Whole units below 2^53 are doubles themselves, so that the division rounds once; Python's does so for larger ones.
    """
    units, unit = decimals.to_physical(), 10**8
    doubles: npt.NDArray[np.float64] = units.cast(pl.Float64).to_numpy(writable=True) / unit
    for position in (units.abs() >= 2**53).arg_true():
        doubles[position] = units[position] / unit
    return doubles


def state_of(carry: Carry | None, day: date) -> State:
    """Return the state to start a day from: that of a new instrument where the last one is too old."""
    return decode_state(carry.numbers) if carry and day - carry.day <= MAXIMUM_AGE else State()


def latest_carries(features: pl.DataFrame) -> Carries:
    """Return the latest state per instrument in rows of event_date, instrument_id and `_carry`."""
    states = features.filter(pl.col("_carry").is_not_null()).sort("event_date")
    rows = states.select("instrument_id", "event_date", "_carry").rows()
    return {instrument_id: Carry(day, numbers) for instrument_id, day, numbers in rows}


def read_state(features: PinnedTable, day: date) -> Carries:
    """Return each instrument's state by the end of a day that days after it may start from."""
    recent = [day - timedelta(days=number) for number in range(CARRY_DAYS)]
    of_days = features.rows(pl.col("event_date").is_in(recent), pl.col("_carry").is_not_null())
    return latest_carries(of_days.select("instrument_id", "event_date", "_carry").collect())


def write_features(inputs: Inputs, branch: Branch, days: Sequence[date]) -> list[DataFile]:
    """Have Spark tasks compute the days from the states that the table has before them, some instruments each."""
    context = branch.spark.sparkContext
    bars, target = inputs.upstream, target_of(inputs.settings, GOLD_TICK_FEATURES, branch.run_id, branch.started_at)
    rows = count_bars(bars, days)
    carries = read_state(pin_current(inputs.settings, GOLD_TICK_FEATURES, branch.name), min(days) - timedelta(days=1))
    groups = deal(rows, min(len(rows), context.defaultParallelism, sum(rows.values()) // BARS_PER_TASK + 1))
    pieces = [{name: carries.get(name) for name in sorted(group)} for group in groups]
    written = map_in_tasks(context, pieces, lambda piece: make(bars, target, days, piece))
    return [file for files in written for file in files]


def count_bars(bars: PinnedTable, days: Sequence[date]) -> Mapping[str, int]:
    """Count the days' bars of each instrument."""
    counted = bars.rows(pl.col("event_date").is_in(days)).group_by("instrument_id").len()
    return dict(counted.collect(engine="streaming").rows())


def make(bars: PinnedTable, target: Target, days: Sequence[date], piece: Mapping[str, Carry | None]) -> list[DataFile]:
    """Compute some instruments' days, in order, and write their files."""
    rows = bars.rows(pl.col("instrument_id").is_in(tuple(piece))).select(COPIED)
    rows_of_days = (rows.filter(pl.col("event_date") == day).collect() for day in days)
    carries = {instrument_id: carry for instrument_id, carry in piece.items() if carry is not None}
    return [
        file
        for features in transform(rows_of_days, carries)
        for file in write_rows(target, features["event_date"][0], features)
    ]


def compare_bars(inputs: Inputs, branch: Branch, days: Sequence[date]) -> Mapping[str, Any]:
    """Count the bars that have no features, and features without a bar."""
    key = ("instrument_id", "bar_start")
    features = pin_current(inputs.settings, GOLD_TICK_FEATURES, branch.name)
    different = 0
    for day in days:
        sides = [
            table.rows(pl.col("event_date") == day).select(*key, n=pl.lit(n))
            for table, n in ((inputs.upstream, 1), (features, -1))
        ]
        summed = pl.concat(sides).group_by(key).agg(pl.col("n").sum())
        different += summed.filter(pl.col("n") != 0).collect().height
    return {"bars_without_features": different}


JOB = gold_job(
    "finance.tick_features",
    Derivation(
        table=GOLD_TICK_FEATURES,
        upstream=GOLD_BARS_1M,
        stage=by_tasks(write_features),
        read_state=read_state,
        facts=compare_bars,
    ),
    code=(sys.modules[__name__], indicators, bars_1m, gold, day_files),
)

if __name__ == "__main__":
    main(JOB)
