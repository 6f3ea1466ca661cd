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
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.schema import arrow_schema
from lakehouse.tables.finance import GOLD_BARS_1M, GOLD_TICK_FEATURES
from spark_jobs import gold
from spark_jobs.command_line import main
from spark_jobs.finance import bars_1m, indicators
from spark_jobs.finance.bars_1m import CARRY_DAYS
from spark_jobs.finance.indicators import FEATURES, State, compute_features, decode_state, encode_state
from spark_jobs.gold import Derivation, gold_job
from spark_jobs.stage import Branch

MAXIMUM_AGE = timedelta(days=CARRY_DAYS)
COPIED = ("instrument_id", "event_date", "bar_start", "close", "volume", "minutes_since_open", "is_filled")
"""Columns that are the bar's own."""
FEATURE_SCHEMA = ", ".join(
    f"{name} {GOLD_TICK_FEATURES.column(name).type}" for name in GOLD_TICK_FEATURES.digest_columns
)


def transform(bars: DataFrame, previous_carry: DataFrame) -> DataFrame:
    """Build gold.tick_features, but for _ingested_at, from all of the days' gold.bars_1m.

    `previous_carry` has event_date, instrument_id and `_carry` of days that are not among the bars' but at most
    CARRY_DAYS before one of them; days need not adjoin, each takes the latest state before it.
    """
    needed = bars.select(*COPIED).withColumns({name: F.col(name).cast("double") for name in ("close", "volume")})
    states = previous_carry.select("instrument_id", "event_date", "_carry")
    return (
        needed.groupBy("instrument_id")
        .cogroup(states.groupBy("instrument_id"))
        .applyInArrow(features_of_instrument, FEATURE_SCHEMA)
    )


def features_of_instrument(bars: pa.Table, states: pa.Table) -> pa.Table:
    """Compute one instrument's days in order, each from the latest state before it."""
    if bars.num_rows == 0:  # an instrument that has a state and no bar on these days
        return arrow_schema(GOLD_TICK_FEATURES, GOLD_TICK_FEATURES.digest_columns).empty_table()
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


def carries_before(features: DataFrame, day: date) -> DataFrame:
    """Return the states that a day may start from: event_date, instrument_id and _carry."""
    recent = F.col("event_date").between(day - MAXIMUM_AGE, day - timedelta(days=1))
    return features.where(recent & F.col("_carry").isNotNull()).select("event_date", "instrument_id", "_carry")


def build(bars: DataFrame, branch: Branch, days: Sequence[date]) -> DataFrame:
    """Compute the days from the states that the table has before them."""
    return transform(bars, carries_before(branch.read(), min(days)))


def read_state(features: DataFrame, day: date) -> Mapping[str, Any]:
    """Return each instrument's state by the end of a day, with its day; equal texts are equal to the last bit."""
    carries = carries_before(features, day + timedelta(days=1)).groupBy("instrument_id")
    latest = carries.agg(F.max("event_date").alias("day"), F.max_by("_carry", "event_date").alias("carry"))
    return {row["instrument_id"]: (row["day"], repr(row["carry"])) for row in latest.collect()}


def compare_bars(spark: SparkSession, branch: Branch, days: Sequence[date]) -> Mapping[str, Any]:
    """Count the bars that have no features, and features without a bar."""
    key = ("instrument_id", "bar_start")
    bars = spark.table(GOLD_BARS_1M.full_name).where(F.col("event_date").isin(list(days)))
    both = bars.select(*key, F.lit(1).alias("n")).unionByName(branch.read_days(days).select(*key, F.lit(-1).alias("n")))
    return {"bars_without_features": both.groupBy(*key).agg(F.sum("n").alias("n")).where(F.col("n") != 0).count()}


JOB = gold_job(
    "finance.tick_features",
    Derivation(
        table=GOLD_TICK_FEATURES,
        upstream=GOLD_BARS_1M,
        transform=build,
        read_state=read_state,
        facts=compare_bars,
    ),
    code=(sys.modules[__name__], indicators, bars_1m, gold),
)

if __name__ == "__main__":
    main(JOB)
