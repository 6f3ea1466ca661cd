"""The outlier rule on made and on real prices."""

from __future__ import annotations

import csv
import io
import zipfile
from pathlib import Path

import numpy as np
import polars as pl

from transforms.finance.lines import NUMBER
from transforms.finance.outliers import (
    DEVIATIONS,
    FLOOR_RATIO,
    MAD_TO_DEVIATION,
    MINIMUM_TRADES,
    WINDOW,
    mark_outliers,
)

SCHEMA = {"instrument_id": pl.String, "price": NUMBER}


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


def flag(named: dict[str, list[float]]) -> dict[str, list[int]]:
    """Mark the prices of several instruments in one go; returns the positions of the outliers."""
    trades = pl.concat(
        pl.DataFrame({"instrument_id": name, "price": price}, SCHEMA).with_row_index("position")
        for name, price in sorted(named.items())
    )
    outliers = mark_outliers(trades).filter("is_outlier")
    return {name: outliers.filter(instrument_id=name)["position"].to_list() for name in named}


def test_mark_outliers_equals_the_rule_applied_one_by_one():
    named = {}
    for step in (0.0001, 0.01, 0.08):
        for count in (1, 10, 11, 50, 51, 52, 700):
            price = walk(count, step, seed=count)
            price[::37] *= 10
            price[5::41] /= 10
            named[f"{count} steps of {step}"] = np.round(price, 6).tolist()
    expected = {name: np.flatnonzero(flag_one_by_one(np.array(price))).tolist() for name, price in named.items()}
    assert sum(map(len, expected.values())) > 50
    assert flag(named) == expected


def test_mark_outliers_on_named_cases():
    found = flag({name: price for name, (price, _) in NAMED.items()})
    assert found == {name: expected for name, (_, expected) in NAMED.items()}


def test_mark_outliers_of_no_trades():
    assert mark_outliers(pl.DataFrame(schema=SCHEMA)).schema == {**SCHEMA, "is_outlier": pl.Boolean}


def read_lean_prices(path: Path) -> np.ndarray:
    with zipfile.ZipFile(path) as archive:
        rows = csv.reader(io.TextIOWrapper(archive.open(archive.namelist()[0])))
        return np.array([int(row[1]) for row in rows]) / 10_000


def test_mark_outliers_leaves_ordinary_real_trades_and_finds_planted_ones(real_data):
    lean = real_data / "ticks/lean/equity/usa/tick"
    price = read_lean_prices(lean / "bac/20131007_trade.zip")[-6_000:]
    planted = np.arange(100, len(price) - 300, 97)
    spoiled = price.copy()
    spoiled[planted[::2]] *= 10
    spoiled[planted[1::2]] /= 10
    calm = read_lean_prices(lean / "aig/20131010_trade.zip")[:6_000]
    found = flag({"bac": price.tolist(), "spoiled": np.round(spoiled, 6).tolist(), "aig": calm.tolist()})
    # bac has three prints at 14.12 while the market is at 13.81
    real = [88009 - 88172 + 6000, 88010 - 88172 + 6000, 88011 - 88172 + 6000]
    assert found == {"bac": real, "spoiled": sorted({*planted.tolist(), *real}), "aig": []}
