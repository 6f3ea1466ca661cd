"""Features over days: computed one by one, in any order, they equal the same days computed at once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from pyspark.sql import SparkSession

from lakehouse.tables.finance import GOLD_TICK_FEATURES
from spark_jobs.finance.bars_1m import CARRY_DAYS
from spark_jobs.finance.indicators import FEATURES, State, compute_features, encode_state
from spark_jobs.finance.tick_features import transform

FIRST = date(2024, 8, 5)
BAR_SCHEMA = """instrument_id string, event_date date, bar_start timestamp, close decimal(18,8), volume decimal(28,8),
minutes_since_open int, is_filled boolean"""
CARRY_SCHEMA = "event_date date, instrument_id string, _carry array<double>"


def day_number(number: int) -> date:
    return FIRST + timedelta(days=number)


def generated_bars(days: Sequence[int], instruments: str = "AB", per_day: int = 40) -> list[tuple]:
    """Bars of a seeded walk; 40 a day, so that on the second day the means begin to be carried."""
    rows = []
    for instrument in instruments:
        count = (max(days) + 1) * per_day
        closes = 100 * np.exp(np.cumsum(np.random.default_rng(ord(instrument)).normal(0, 0.001, count)))
        volumes = np.random.default_rng(1).lognormal(0, 1, count)
        for day in days:
            midnight = datetime.combine(day_number(day), datetime.min.time(), UTC)
            for minute in range(per_day):
                close, volume = closes[day * per_day + minute], volumes[day * per_day + minute]
                amounts = Decimal(f"{close:.8f}"), Decimal(f"{volume:.8f}")
                start = midnight + timedelta(minutes=minute)
                rows.append((instrument, day_number(day), start, *amounts, minute, minute % 7 == 0))
    return rows


def features_of(spark: SparkSession, bars: list[tuple], carry: Sequence[tuple] = ()) -> pa.Table:
    frame = spark.createDataFrame(bars, BAR_SCHEMA).repartition(3)
    features = transform(frame, spark.createDataFrame(carry, CARRY_SCHEMA))
    assert features.columns == list(GOLD_TICK_FEATURES.digest_columns)
    return features.toArrow().sort_by([("instrument_id", "ascending"), ("bar_start", "ascending")])


def carry_rows(features: pa.Table) -> list[tuple]:
    names = ("event_date", "instrument_id", "_carry")
    return [row for row in zip(*(features[name].to_pylist() for name in names), strict=True) if row[2] is not None]


def test_transform_copies_the_bar_and_carries_state_on_the_last_bar_of_each_day(spark):
    bars = generated_bars([0, 1], "A")
    features = features_of(spark, bars)
    close = np.array([float(row[3]) for row in bars])
    computed, state_1 = compute_features(close, np.array([float(row[4]) for row in bars]), State())
    _, state_0 = compute_features(close[:40], np.array([float(row[4]) for row in bars[:40]]), State())
    expected = {
        "instrument_id": ["A"] * 80,
        "event_date": [row[1] for row in bars],
        "bar_start": [row[2] for row in bars],
        "close": close.tolist(),
        "volume": [float(row[4]) for row in bars],
        **{name: [None if np.isnan(value) else value for value in computed[name].tolist()] for name in FEATURES},
        "minutes_since_open": [row[5] for row in bars],
        "is_filled": [row[6] for row in bars],
        "_carry": [None] * 39 + [encode_state(state_0)] + [None] * 39 + [encode_state(state_1)],
    }
    assert features.to_pydict() == {name: expected[name] for name in GOLD_TICK_FEATURES.digest_columns}


@pytest.mark.parametrize(
    "runs",
    [
        pytest.param([[0], [1], [2], [3]], id="one by one"),
        pytest.param([[0, 1], [2, 3]], id="two by two"),
        # days 0 and 2 are computed again in one run, although day 1 between them is not part of it
        pytest.param([[0], [1], [2], [3], [0, 2], [3]], id="again with a gap"),
        # the days come in the wrong order, then those that had no state before them are computed again
        pytest.param([[3], [2], [0], [1], [2, 3]], id="late days"),
    ],
)
def test_transform_of_days_in_any_order_has_the_bits_of_all_days_at_once(spark, runs):
    at_once = features_of(spark, generated_bars([0, 1, 2, 3]))
    published: dict[int, pa.Table] = {}
    for days in runs:
        before = [row for day, table in published.items() if day not in days for row in carry_rows(table)]
        features = features_of(spark, generated_bars(days), before)
        for day in days:
            published[day] = features.filter(pc.equal(features["event_date"], pa.scalar(day_number(day))))
    together = pa.concat_tables([published[day] for day in sorted(published)])
    assert together.sort_by([("instrument_id", "ascending"), ("bar_start", "ascending")]) == at_once


def test_transform_starts_anew_after_a_long_silence(spark):
    carry = carry_rows(features_of(spark, generated_bars([0], "A")))
    on_time = features_of(spark, generated_bars([CARRY_DAYS], "A"), carry)
    too_late = features_of(spark, generated_bars([CARRY_DAYS + 1], "A"), carry)
    assert on_time["log_return"][0].as_py() is not None
    assert too_late["log_return"].to_pylist()[:2] == [None, too_late["log_return"][1].as_py()]
    assert too_late.column("sma_20").null_count == 19
