"""The outlier rule on made and on real prices."""

from __future__ import annotations

import csv
import io
import zipfile
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from lakehouse.tables.finance import SILVER_TRADES
from spark_jobs.finance.outliers import (
    DEVIATIONS,
    FLOOR_RATIO,
    MAD_TO_DEVIATION,
    MINIMUM_TRADES,
    WINDOW,
    mark_outliers,
)
from spark_jobs.stage import distribute

DAY = date(2024, 8, 8)
SCHEMA = "instrument_id string, event_date date, ts_event timestamp, sequence bigint, delivery_date date, price string"


def flag_one_by_one(price: np.ndarray) -> list[bool]:
    """The rule as its sentence says it."""
    flags = []
    for number, value in enumerate(price):
        before = price[max(0, number - WINDOW) : number]
        if len(before) < MINIMUM_TRADES:
            flags.append(False)
            continue
        median = np.median(before)
        spread = np.median(np.abs(before - median))
        flags.append(abs(value - median) > max(DEVIATIONS * MAD_TO_DEVIATION * spread, FLOOR_RATIO * median))
    return flags


def walk(count: int, step: float, seed: int) -> np.ndarray:
    return np.round(100 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, step, count))), 4)


NAMED = {
    "nine trades are too few to judge by": ([100.0] * 9 + [1000.0], []),
    "ten are enough": ([100.0] * 10 + [1000.0], [10]),
    "2 % off equal prices is near": ([100.0] * 20 + [102.0], []),
    "more than 2 % is far": ([100.0] * 20 + [102.01], [20]),
    "below as above": ([100.0] * 20 + [97.99], [20]),
    "the tolerance grows with the spread": ([99.0, 99.5, 100.0, 100.5, 101.0] * 4 + [107.0], []),
    "and ends": ([99.0, 99.5, 100.0, 100.5, 101.0] * 4 + [108.0], [20]),
    "a lasting move is believed after 25 trades": ([100.0] * 50 + [150.0] * 30, list(range(50, 75))),
    "a burst does not taint its followers": (
        [100.0] * 50 + [1000.0] * 10 + [100.0] * 60,
        list(range(50, 60)),
    ),
}


def flag(spark: SparkSession, named: dict[str, list[float]]) -> dict[str, list[int]]:
    """Mark the prices of several instruments in one go; returns the positions of the outliers."""
    rows = [
        (name, DAY, datetime(2024, 8, 8, 12), number, DAY, repr(float(value)))
        for name, price in named.items()
        for number, value in enumerate(price)
    ]
    frame = spark.createDataFrame(rows, SCHEMA).withColumn("price", F.col("price").cast("decimal(18,8)"))
    found: dict[str, list[int]] = {name: [] for name in named}
    for row in mark_outliers(distribute(frame, SILVER_TRADES, [DAY])).where("is_outlier").orderBy("sequence").collect():
        found[row.instrument_id].append(row.sequence)
    return found


@pytest.mark.parametrize("batch", [65536, 7], ids=["whole days", "batches that end within a day"])
def test_mark_outliers_equals_the_rule_applied_one_by_one(spark, batch):
    spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", batch)
    named = {}
    for step in (0.0001, 0.01, 0.08):
        for count in (1, 10, 11, 50, 51, 52, 700):
            price = walk(count, step, seed=count)
            price[::37] *= 10
            price[5::41] /= 10
            named[f"{count} steps of {step}"] = np.round(price, 6).tolist()
    expected = {name: np.flatnonzero(flag_one_by_one(np.array(price))).tolist() for name, price in named.items()}
    assert sum(map(len, expected.values())) > 50
    found = flag(spark, named)
    spark.conf.unset("spark.sql.execution.arrow.maxRecordsPerBatch")
    assert found == expected


def test_mark_outliers_on_named_cases(spark):
    found = flag(spark, {name: price for name, (price, _) in NAMED.items()})
    assert found == {name: expected for name, (_, expected) in NAMED.items()}


def read_lean_prices(path: Path) -> np.ndarray:
    with zipfile.ZipFile(path) as archive:
        rows = csv.reader(io.TextIOWrapper(archive.open(archive.namelist()[0])))
        return np.array([int(row[1]) for row in rows]) / 10_000


def test_mark_outliers_leaves_ordinary_real_trades_and_finds_planted_ones(spark, real_data):
    lean = real_data / "ticks/lean/equity/usa/tick"
    price = read_lean_prices(lean / "bac/20131007_trade.zip")[-6_000:]
    planted = np.arange(100, len(price) - 300, 97)
    spoiled = price.copy()
    spoiled[planted[::2]] *= 10
    spoiled[planted[1::2]] /= 10
    calm = read_lean_prices(lean / "aig/20131010_trade.zip")[:6_000]
    found = flag(spark, {"bac": price.tolist(), "spoiled": np.round(spoiled, 6).tolist(), "aig": calm.tolist()})
    # bac has three prints at 14.12 while the market is at 13.81
    real = [88009 - 88172 + 6000, 88010 - 88172 + 6000, 88011 - 88172 + 6000]
    assert found == {"bac": real, "spoiled": sorted({*planted.tolist(), *real}), "aig": []}


def test_mark_outliers_orders_trades_within_instrument_and_day(spark: SparkSession):
    day = date(2024, 8, 8)
    noon = datetime(2024, 8, 8, 12)
    trades = [
        # equal times: the sequence orders them, so that the far price comes eleventh and is judged
        *[("A.X", day, noon, number, day, "1000" if number == 11 else "100") for number in range(20, 0, -1)],
        # another instrument's prices are no measure, nor are another day's
        *[("B.X", day, noon + timedelta(seconds=number), number, day, "1000") for number in range(9)],
        *[("B.X", day - timedelta(days=1), noon - timedelta(days=1), number, day, "1") for number in range(12)],
        # one time and sequence from two deliveries: the later delivery's comes last, eleventh, and is judged
        *[("C.X", day, noon, number, day, "5") for number in range(9)],
        ("C.X", day, noon, 10, day + timedelta(days=1), "5000"),
        ("C.X", day, noon, 10, day, "5"),
    ]
    frame = spark.createDataFrame(trades, SCHEMA).withColumn("price", F.col("price").cast("decimal(18,8)"))
    found = mark_outliers(distribute(frame.coalesce(1), SILVER_TRADES, [day])).where("is_outlier")
    found = found.select("event_date", "instrument_id", "delivery_date", "sequence")
    assert sorted(map(tuple, found.collect())) == [
        (day, "A.X", day, 11),
        (day, "C.X", day + timedelta(days=1), 10),
    ]
