"""Indicators against TA-Lib, and cut anywhere against one pass."""

from __future__ import annotations

import csv
import io
import math
import zipfile
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import talib

from lakehouse.errors import BadInputError
from lakehouse.tables.finance import GOLD_TICK_FEATURES
from transforms.finance.indicators import HISTORY, State, compute_features, decode_state, encode_state


def walk(count: int, level: float = 60_000.0, seed: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Generated closes and volumes with stretches in which nothing trades."""
    generator = np.random.default_rng(seed)
    steps = generator.normal(0, 0.0005, count)
    volume = generator.lognormal(0, 1, count)
    silent = generator.random(count) < 0.2
    silent[count // 2 : count // 2 + 70] = True
    steps[silent], volume[silent] = 0, 0
    return level * np.exp(np.cumsum(steps)), volume


def read_real_closes(folder: Path) -> np.ndarray:
    """Last price of every minute of three days of XRPETH, carried over minutes without a trade."""
    last: dict[int, float] = {}
    for day in ("2019-10-11", "2019-10-12", "2019-10-13"):
        with zipfile.ZipFile(folder / f"ticks/binance/XRPETH/XRPETH-trades-{day}.zip") as archive:
            for row in csv.reader(io.TextIOWrapper(archive.open(archive.namelist()[0]))):
                last[int(row[4]) // 60_000] = float(row[1])
    closes = []
    for minute in range(min(last), max(last) + 1):
        closes.append(last.get(minute, closes[-1] if closes else math.nan))
    return np.array(closes)


def talib_features(close: np.ndarray) -> dict[str, np.ndarray]:
    macd, signal, histogram = talib.MACD(close, 12, 26, 9)
    upper, _, lower = talib.BBANDS(close, 20, 2, 2)
    return {
        "sma_20": talib.SMA(close, 20),
        "sma_50": talib.SMA(close, 50),
        "ema_12": talib.EMA(close, 12),
        "ema_26": talib.EMA(close, 26),
        "macd": macd,
        "macd_signal": signal,
        "macd_histogram": histogram,
        "rsi_14": talib.RSI(close, 14),
        "bollinger_upper": upper,
        "bollinger_lower": lower,
    }


def assert_equal_to_talib(close: np.ndarray) -> None:
    features, _ = compute_features(close, np.ones(len(close)), State())
    for name, expected in talib_features(close).items():
        # equal nulls, too; RSI is a number from 0 to 100, all others are prices
        tolerance = 1e-9 if name == "rsi_14" else 1e-9 * close.min()
        np.testing.assert_allclose(features[name], expected, rtol=0, atol=tolerance, err_msg=name)


@pytest.mark.parametrize("level", [60_000.0, 1.0, 0.00002], ids=["bitcoin", "one", "a fraction of a cent"])
def test_compute_features_equals_talib_on_a_generated_walk(level):
    assert_equal_to_talib(walk(3000, level)[0])


def test_compute_features_equals_talib_on_real_closes(real_data):
    closes = read_real_closes(real_data)
    assert len(closes) == 3560
    assert_equal_to_talib(closes)


def test_compute_features_equals_talib_where_prices_never_move():
    assert_equal_to_talib(np.full(100, 500.0))


def test_macd_equals_the_difference_of_the_means_from_the_200th_bar_on():
    close = np.concatenate((np.linspace(100, 50, 12), walk(400, 60.0)[0]))  # as bad a seed as there is
    features, _ = compute_features(close, np.ones(len(close)), State())
    difference = np.abs(features["ema_12"] - features["ema_26"] - features["macd"])
    assert difference[199:].max() < 1e-9
    assert difference[33] > 1e-2


def test_compute_features_by_hand_where_talib_has_no_word():
    close, volume = walk(60)
    features, _ = compute_features(close, volume, State())
    returns = [math.log(after / before) for before, after in pairwise(close)]
    assert math.isnan(features["log_return"][0])
    np.testing.assert_allclose(features["log_return"][1:], returns, rtol=0, atol=1e-15)
    assert np.isnan(features["realized_volatility_30"][:30]).all()  # 30 returns need 31 bars
    assert features["realized_volatility_30"][30] == pytest.approx(
        math.sqrt(sum(r * r for r in returns[:30])), rel=1e-12
    )
    window = volume[:30]
    assert np.isnan(features["volume_zscore_30"][:29]).all()
    assert features["volume_zscore_30"][29] == pytest.approx((volume[29] - window.mean()) / window.std(), rel=1e-12)


def test_volume_zscore_is_null_where_volumes_are_equal():
    features, _ = compute_features(walk(40)[0], np.full(40, 0.1), State())  # 30 * 0.1 is not 3 in binary
    assert np.isnan(features["volume_zscore_30"]).all()


def compute_in_pieces(
    close: np.ndarray, volume: np.ndarray, cuts: list[int]
) -> tuple[dict[str, np.ndarray], list[float]]:
    pieces, carry = [], encode_state(State())
    for begin, end in pairwise([0, *cuts, len(close)]):
        features, state = compute_features(close[begin:end], volume[begin:end], decode_state(carry))
        carry = encode_state(state)
        pieces.append(features)
    return {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}, carry


@pytest.mark.parametrize(
    "cuts",
    [
        pytest.param(list(range(1, 400)), id="every bar by itself"),
        pytest.param([HISTORY - 1, HISTORY, HISTORY + 1], id="where the means begin to be carried"),
        pytest.param([10, 10, 200, 200], id="pieces without a bar"),
        *(
            pytest.param(sorted(np.random.default_rng(seed).integers(0, 400, 1 + seed).tolist()), id=f"seed {seed}")
            for seed in range(30)
        ),
    ],
)
def test_compute_features_in_pieces_has_the_bits_of_one_pass(cuts):
    close, volume = walk(400)
    whole, state = compute_features(close, volume, State())
    pieces, carry = compute_in_pieces(close, volume, cuts)
    assert {name: column.tobytes() for name, column in pieces.items()} == {
        name: column.tobytes() for name, column in whole.items()
    }
    assert np.array(carry).tobytes() == np.array(encode_state(state)).tobytes()


def test_state_forgets_a_changed_bar():
    close, volume = walk(4000)
    _, state = compute_features(close, volume, State())
    close[3], volume[3] = close[3] * 1.05, 7.0
    _, after_change = compute_features(close, volume, State())
    _, with_a_bar_less = compute_features(close[1:], volume[1:], State())
    assert encode_state(after_change) == encode_state(state) == encode_state(with_a_bar_less)


@pytest.mark.parametrize(
    "carry",
    [[], [0.0, 1.0], [49.0] + [1.0] * 78, [50.0] + [1.0] * 85],
    ids=["empty", "too long", "no means", "too many"],
)
def test_decode_state_refuses_what_is_no_state(carry):
    with pytest.raises(BadInputError, match=f"{len(carry)} numbers are no state"):
        decode_state(carry)


def test_every_declared_column_has_its_formula_and_every_formula_its_column():
    declared = {column.name for column in GOLD_TICK_FEATURES.columns if column.type == "double"} - {"close", "volume"}
    made = set(compute_features(*walk(1), State())[0])
    assert not declared - made, (
        "declared in lakehouse/tables/finance.py, no formula in transforms/finance/indicators.py"
    )
    assert not made - declared, (
        "a formula in transforms/finance/indicators.py, not declared in lakehouse/tables/finance.py"
    )
