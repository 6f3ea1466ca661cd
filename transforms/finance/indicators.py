"""Indicators of one instrument's one-minute bars, computed from any bar on and carried in a small state.

A series cut anywhere and continued from the carried state gives the same bits as the series in one pass. Sums over a
window are therefore added up per window, oldest bar first, and recursions run bar by bar. Running sums, pairwise sums
and vectorised logarithms are left out: their last bit depends on where a series begins or on the processor.

Formulas and seeds are TA-Lib's (SMA, EMA, MACD, RSI, BBANDS), equal to 1e-9 of the price from the first value on. As
there, macd starts its 12-bar mean at the same bar as its 26-bar one, so that it equals ema_12 - ema_26 only from about
the 200th bar on, and rsi_14 is 0 where no price has moved yet.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from lakehouse.errors import BadInputError

Series = npt.NDArray[np.float64]

HISTORY = 49
"""Closes kept: with the new bar they fill the longest window, sma_50."""
VOLUME_HISTORY = 29


@dataclass(frozen=True)
class Recursion:
    """The recursive means after a bar; `macd_fast` is the 12-bar mean that macd is made from."""

    ema_12: float
    ema_26: float
    macd_fast: float
    macd_signal: float
    average_gain: float
    average_loss: float


@dataclass(frozen=True)
class State:
    """What the next bar needs; closes that are fewer than HISTORY are all there ever were, and tell the rest."""

    closes: tuple[float, ...] = ()
    volumes: tuple[float, ...] = ()
    recursion: Recursion | None = None


def encode_state(state: State) -> list[float]:
    """Write a state as the `_carry` column has it: the closes, the volumes and, from HISTORY closes on, the means."""
    recursion = state.recursion
    means = () if recursion is None else tuple(getattr(recursion, name) for name in Recursion.__dataclass_fields__)
    return [float(len(state.closes)), *state.closes, *state.volumes, *means]


def decode_state(carry: Sequence[float]) -> State:
    """Read what `encode_state` wrote.

    Raises:
        BadInputError: the numbers are not as many as a state has, so another version of the code wrote them.
    """
    count = int(carry[0]) if len(carry) else -1
    volumes_end = 1 + count + min(count, VOLUME_HISTORY)
    is_warm = count == HISTORY
    expected = volumes_end + (len(Recursion.__dataclass_fields__) if is_warm else 0)
    if not 0 <= count <= HISTORY or len(carry) != expected:
        raise BadInputError(
            f"_carry of gold.tick_features: {len(carry)} numbers are no state of this code; recompute all days"
        )
    closes, volumes = tuple(carry[1 : 1 + count]), tuple(carry[1 + count : volumes_end])
    return State(closes, volumes, Recursion(*carry[volumes_end:]) if is_warm else None)


def compute_features(close: Series, volume: Series, state: State) -> tuple[dict[str, Series], State]:
    """Compute every feature of the bars after `state`; NaN where there are too few bars before.

    Bars are one instrument's, in order and without a gap. Returns the declared columns of gold.tick_features that are
    not the bar's own, by name, and the state after the last bar.
    """
    closes = np.concatenate((np.array(state.closes), close))
    volumes = np.concatenate((np.array(state.volumes), volume))
    returns = log_returns(closes)
    mean_20, deviation_20 = rolling_sum(closes, 20) / 20, rolling_deviation(closes, 20)
    volume_deviation = rolling_deviation(volumes, 30)
    volume_deviation[volume_deviation == 0] = np.nan
    means, recursion = recursive_means(closes, state.recursion)
    columns = {
        "log_return": returns,
        "sma_20": mean_20,
        "sma_50": rolling_sum(closes, 50) / 50,
        **means,
        "bollinger_upper": mean_20 + 2 * deviation_20,
        "bollinger_lower": mean_20 - 2 * deviation_20,
        "realized_volatility_30": np.sqrt(rolling_sum(returns * returns, 30)),
        "volume_zscore_30": (volumes - rolling_sum(volumes, 30) / 30) / volume_deviation,
    }
    features = {name: values[len(values) - len(close) :] for name, values in columns.items()}
    state_after = State(tuple(closes[-HISTORY:].tolist()), tuple(volumes[-VOLUME_HISTORY:].tolist()), recursion)
    return features, state_after


def log_returns(closes: Series) -> Series:
    """ln(close / close before); NaN for the first."""
    values = closes.tolist()
    return np.array([math.nan, *(math.log(close / before) for before, close in pairwise(values))])[: len(values)]


def rolling_sum(values: Series, length: int) -> Series:
    """Sum of the last `length` values, added oldest first; NaN before there are as many."""
    sums = np.full(len(values), np.nan)
    count = len(values) - length + 1
    if count > 0:
        total = values[:count].copy()
        for offset in range(1, length):
            total += values[offset : offset + count]
        sums[length - 1 :] = total
    return sums


def rolling_deviation(values: Series, length: int) -> Series:
    """Population deviation of the last `length` values, exactly 0 for equal ones: distances are from the oldest."""
    deviations = np.full(len(values), np.nan)
    count = len(values) - length + 1
    if count > 0:
        oldest = values[:count]
        distances = [values[offset : offset + count] - oldest for offset in range(1, length)]
        mean = np.zeros(count)
        for distance in distances:
            mean += distance
        mean /= length
        squares = mean * mean
        for distance in distances:
            squares += (distance - mean) * (distance - mean)
        deviations[length - 1 :] = np.sqrt(squares / length)
    return deviations


def recursive_means(closes: Series, before: Recursion | None) -> tuple[dict[str, Series], Recursion | None]:
    """Compute what depends on all bars before, and the means after the last bar, None while bars are too few.

    Without `before` the first close is the instrument's first; with it, the first HISTORY closes are done already.
    """
    done = HISTORY if before else 0
    values = closes[done:].tolist()
    moves = np.diff(closes[max(done - 1, 0) :])
    gains, losses = np.maximum(moves, 0.0).tolist(), np.maximum(-moves, 0.0).tolist()
    ema_12 = exponential_mean(values, 12, before.ema_12 if before else None)
    ema_26 = exponential_mean(values, 26, before.ema_26 if before else None)
    if before:
        fast = exponential_mean(values, 12, before.macd_fast)
        macd = np.array(fast) - np.array(ema_26)
        signal = exponential_mean(macd.tolist(), 9, before.macd_signal)
        gain, loss = wilder_mean(gains, before.average_gain), wilder_mean(losses, before.average_loss)
    else:
        fast = [math.nan] * 14 + exponential_mean(values[14:], 12, None)
        macd = np.array(fast[: len(values)]) - np.array(ema_26)
        signal = ([math.nan] * 25 + exponential_mean(macd[25:].tolist(), 9, None))[: len(values)]
        # The first bar has no move.
        gain, loss = ([math.nan, *wilder_mean(side, None)][: len(values)] for side in (gains, losses))
    columns = {
        "ema_12": np.array(ema_12),
        "ema_26": np.array(ema_26),
        "macd": np.where(np.isnan(signal), np.nan, macd),
        "macd_signal": np.array(signal),
        "macd_histogram": macd - np.array(signal),
        "rsi_14": relative_strength(np.array(gain), np.array(loss)),
    }
    if not values:
        return columns, before
    is_warm = len(closes) >= HISTORY
    last = Recursion(ema_12[-1], ema_26[-1], fast[-1], signal[-1], gain[-1], loss[-1]) if is_warm else None
    return columns, last


def exponential_mean(values: list[float], span: int, before: float | None) -> list[float]:
    """Exponential mean with factor 2 / (span + 1); begins as the mean of the first `span` values unless continued."""
    means, mean, rest = begin_mean(values, span, before)
    factor = 2.0 / (span + 1)
    for value in rest:
        mean += (value - mean) * factor
        means.append(mean)
    return means


def wilder_mean(values: list[float], before: float | None) -> list[float]:
    """Wilder's mean over 14 bars; begins as the mean of the first 14 values unless continued."""
    means, mean, rest = begin_mean(values, 14, before)
    for value in rest:
        mean = (mean * 13.0 + value) / 14.0
        means.append(mean)
    return means


def begin_mean(values: list[float], span: int, before: float | None) -> tuple[list[float], float, list[float]]:
    """Return the means that need no recursion, the mean to go on from, and the values that are left."""
    if before is not None:
        return [], before, values
    if len(values) < span:
        return [math.nan] * len(values), math.nan, []
    # fsum: Python 3.12 changed how the built-in sum rounds.
    mean = math.fsum(values[:span]) / span
    return [math.nan] * (span - 1) + [mean], mean, values[span:]


def relative_strength(gain: Series, loss: Series) -> Series:
    """RSI from the mean gain and loss; 0 where nothing moved."""
    total = gain + loss
    return 100.0 * (gain / np.where(total == 0, 1.0, total))
