"""Tick features: indicators per one-minute bar, carried over midnight.

Reads   lakehouse.gold.bars_1m   the event days, and the table's own state at the end of each instrument's last day
Writes  lakehouse.gold.tick_features   replaces those event days, and later ones until the state is the same again

The state after an instrument's last bar of a day stands in that bar's row, in _carry: a day's features are its bars and
the carry before them, nothing else.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from datetime import date
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.schema import arrow_schema, spark_schema
from lakehouse.tables.finance import GOLD_BARS_1M, GOLD_TICK_FEATURES
from spark_jobs import gold
from spark_jobs.command_line import main
from spark_jobs.finance import indicators
from spark_jobs.finance.indicators import State
from spark_jobs.gold import Derivation, gold_job
from spark_jobs.stage import Branch

COPIED = ("instrument_id", "event_date", "bar_start", "minutes_since_open", "is_filled")
"""Columns that a feature row has from its bar as they are."""


def last_carries(features: DataFrame) -> DataFrame:
    """Return each instrument's latest state: instrument_id and _carry."""
    states = features.where(F.col("_carry").isNotNull())
    return states.groupBy("instrument_id").agg(F.max_by("_carry", "bar_start").alias("_carry"))


def features_of_instrument(bars: pa.Table, carries: pa.Table) -> pa.Table:
    """Compute one instrument's features, day by day from its state; without bars there are none."""
    schema = arrow_schema(GOLD_TICK_FEATURES, GOLD_TICK_FEATURES.digest_columns)
    if bars.num_rows == 0:
        return schema.empty_table()
    bars = bars.sort_by("bar_start")
    state = State.from_list(carries.column("_carry")[0].as_py() if carries.num_rows else None)
    bar_days = bars.column("event_date").to_numpy()
    starts = [0, *(np.flatnonzero(bar_days[1:] != bar_days[:-1]) + 1).tolist(), len(bar_days)]
    days = []
    for begin, end in pairwise(starts):
        day = bars.slice(begin, end - begin)
        columns, state = indicators.compute(day["close"].to_pylist(), day["volume"].to_pylist(), state)
        carry = [None] * (end - begin - 1) + [state.as_list()]
        computed = {name: pa.array(values, from_pandas=True) for name, values in columns.items()}
        whole = {**{name: day[name] for name in (*COPIED, "close")}, **computed, "_carry": carry}
        days.append(pa.table({name: whole[name] for name in schema.names}, schema=schema))
    return pa.concat_tables(days)


def transform(bars: DataFrame, carries: DataFrame) -> DataFrame:
    """Build gold.tick_features, but for _ingested_at, from all of the days' gold.bars_1m.

    `carries` is what `last_carries` returns of the days before the first of them; between the days lies no other day
    with bars.
    """
    needed = bars.select(*COPIED, F.col("close").cast("double"), F.col("volume").cast("double"))
    schema = spark_schema(GOLD_TICK_FEATURES, GOLD_TICK_FEATURES.digest_columns)
    return (
        needed.groupBy("instrument_id")
        .cogroup(carries.groupBy("instrument_id"))
        .applyInArrow(features_of_instrument, schema)
    )


def build(bars: DataFrame, features: DataFrame, days: Sequence[date]) -> DataFrame:
    """Compute the days from the state that the table has before them."""
    return transform(bars, last_carries(features.where(F.col("event_date") < min(days))))


def read_state(features: DataFrame, day: date) -> Mapping[str, Any]:
    """Return each instrument's state at the end of a day, as text: equal texts are equal to the last bit."""
    carries = last_carries(features.where(F.col("event_date") <= day))
    return {row["instrument_id"]: repr(row["_carry"]) for row in carries.collect()}


def compare_bars(spark: SparkSession, branch: Branch, days: Sequence[date]) -> Mapping[str, Any]:
    """Count the bars that have no features, and features without a bar."""
    key = ("instrument_id", "bar_start")
    bars = (
        spark.table(GOLD_BARS_1M.full_name)
        .where(F.col("event_date").isin(list(days)))
        .select(*key, F.lit(1).alias("n"))
    )
    rows = bars.unionByName(branch.read_days(days).select(*key, F.lit(-1).alias("n")))
    unmatched = rows.groupBy(*key).agg(F.sum("n").alias("n")).where(F.col("n") != 0).count()
    return {"bars_without_features": unmatched}


JOB = gold_job(
    "finance.tick_features",
    Derivation(
        table=GOLD_TICK_FEATURES,
        upstream=GOLD_BARS_1M,
        transform=build,
        read_state=read_state,
        facts=compare_bars,
    ),
    code=(sys.modules[__name__], indicators, gold),
)

if __name__ == "__main__":
    main(JOB)
