"""Indicators per one-minute bar, carried over midnight.

Reads   lakehouse.gold.bars_1m          the event days
        lakehouse.gold.tick_features    `_carry` of days before them
Writes  lakehouse.gold.tick_features    replaces those event days

The formulas are in indicators.py. A day starts from the state that the instrument's last day before it left behind, so
that days computed one by one equal the same days computed at once, bit for bit. After CARRY_DAYS days without a bar an
instrument starts anew, as bars do.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame

from lakehouse.tables.finance import GOLD_TICK_FEATURES
from spark_jobs.finance.bars_1m import CARRY_DAYS
from spark_jobs.finance.indicators import FEATURES, State, compute_features, decode_state, encode_state

MAXIMUM_AGE = timedelta(days=CARRY_DAYS)
COPIED = ("instrument_id", "event_date", "bar_start", "close", "minutes_since_open", "is_filled")
"""Columns that are the bar's own."""
FEATURE_SCHEMA = ", ".join(
    f"{name} {GOLD_TICK_FEATURES.column(name).type}" for name in GOLD_TICK_FEATURES.digest_columns
)


def transform(bars: DataFrame, previous_carry: DataFrame) -> DataFrame:
    """Build gold.tick_features, but for _ingested_at, from all of the days' gold.bars_1m.

    `previous_carry` has event_date, instrument_id and `_carry` of days that are not among the bars' but at most
    CARRY_DAYS before one of them; days need not adjoin, each takes the latest state before it.
    """
    needed = bars.selectExpr(*COPIED, "CAST(volume AS DOUBLE) AS volume").withColumn(
        "close", bars["close"].cast("double")
    )
    states = previous_carry.select("instrument_id", "event_date", "_carry")
    return (
        needed.groupBy("instrument_id")
        .cogroup(states.groupBy("instrument_id"))
        .applyInArrow(features_of_instrument, FEATURE_SCHEMA)
    )


def features_of_instrument(bars: pa.Table, states: pa.Table) -> pa.Table:
    """Compute one instrument's days in order, each from the latest state before it."""
    bars = bars.sort_by("bar_start")
    close, volume = bars["close"].to_numpy(), bars["volume"].to_numpy()
    days, begins = np.unique(bars["event_date"].to_numpy(), return_index=True)
    ends = [*begins[1:].tolist(), len(bars)]
    carries = dict(zip(states["event_date"].to_pylist(), states["_carry"].to_pylist(), strict=True))
    carry_of_bar: list[list[float] | None] = [None] * len(bars)
    columns = {name: np.empty(len(bars)) for name in FEATURES}
    for day, begin, end in zip(days.tolist(), begins.tolist(), ends, strict=True):
        features, state = compute_features(close[begin:end], volume[begin:end], latest_state(carries, day))
        carries[day] = carry_of_bar[end - 1] = encode_state(state)
        for name, values in features.items():
            columns[name][begin:end] = values
    computed = {name: pa.array(values, from_pandas=True) for name, values in columns.items()}  # NaN becomes null
    copied = {name: bars[name] for name in COPIED}
    carry = pa.array(carry_of_bar, pa.list_(pa.float64()))
    return pa.table({**copied, **computed, "_carry": carry}).select(GOLD_TICK_FEATURES.digest_columns)


def latest_state(carries: Mapping[date, list[float]], day: date) -> State:
    """Return the state of the last day before `day`, or the state of a new instrument where that is too long ago."""
    known = [other for other in carries if day - MAXIMUM_AGE <= other < day]
    return decode_state(carries[max(known)]) if known else State()
