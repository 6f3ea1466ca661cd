"""Indicators of one instrument's one-minute bars, with the state that the next day goes on from.

`compute` over some bars and then over the next, from the state in between, gives bit for bit what it gives over all of
them at once: window sums are added in a fixed order, recursions run bar by bar. Bars are counted from 0, the first bar
that the instrument ever had; NaN stands for "not warm yet".

Equal to TA-Lib on the same closes: SMA, EMA, RSI and Bollinger bands from their first value on. MACD from bar 250 on:
TA-Lib seeds the fast mean of its MACD with bars 14 to 25, here it is ema_12, and the difference fades as (11/13)^n.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]

FAST, SLOW, SIGNAL = 12, 26, 9
WILDER = 14
SHORT_MEAN, LONG_MEAN = 20, 50
BAND_WIDTH = 2.0
"""Standard deviations between the mean and a Bollinger band."""
VOLATILITY = 30
"""Bars of realised volatility and of the volume's z-score."""
KEPT = LONG_MEAN
"""Bars that a state keeps: the longest window. With no more bars than that, a state holds the whole past."""
NO_MOVEMENT = 1e-14
"""TA-Lib's zero: an RSI without any movement is 0."""


@dataclass(frozen=True)
class State:
    """What is left of the bars so far: the last KEPT closes and volumes, and the recursions (NaN if not begun)."""

    bars: int = 0
    closes: tuple[float, ...] = ()
    volumes: tuple[float, ...] = ()
    ema_12: float = math.nan
    ema_26: float = math.nan
    macd_signal: float = math.nan
    average_gain: float = math.nan
    average_loss: float = math.nan

    def as_list(self) -> list[float]:
        """The state as gold.tick_features carries it."""
        recursions = (self.ema_12, self.ema_26, self.macd_signal, self.average_gain, self.average_loss)
        return [float(self.bars), *recursions, *self.closes, *self.volumes]

    @classmethod
    def from_list(cls, values: Sequence[float] | None) -> State:
        """Read what `as_list` wrote; None is the state before the first bar."""
        if values is None:
            return cls()
        bars, kept = int(values[0]), (len(values) - 6) // 2
        return cls(bars, tuple(values[6 : 6 + kept]), tuple(values[6 + kept :]), *values[1:6])


def compute(close: Sequence[float], volume: Sequence[float], state: State) -> tuple[dict[str, Values], State]:
    """Compute the indicator columns of gold.tick_features for the bars that follow a state, and the state after them.

    Closes and volumes are in the order of time; every column has one value per bar.
    """
    kept = len(state.closes)
    if state.bars <= KEPT:  # the whole past is there: begin anew, so that seeds need no state of their own
        begin, position = State(), 0
    else:
        begin, position = state, kept
    closes = np.array([*state.closes, *close], dtype=np.float64)
    volumes = np.array([*state.volumes, *volume], dtype=np.float64)
    recursive, after = recurse(closes.tolist(), position, begin)
    columns = {**windows(closes, volumes), **recursive}
    new = State(
        state.bars + len(close),
        tuple(closes[-KEPT:].tolist()),
        tuple(volumes[-KEPT:].tolist()),
        *after,
    )
    return {name: values[kept:] for name, values in columns.items()}, new


def windows(close: Values, volume: Values) -> dict[str, Values]:
    """Compute what depends on the last few bars alone."""
    log_return = np.array([math.nan, *map(math.log, (close[1:] / close[:-1]).tolist())][: len(close)])
    sma_20 = rolling_sum(close, SHORT_MEAN) / SHORT_MEAN
    deviation = rolling_deviation(close, SHORT_MEAN)
    spread = rolling_deviation(volume, VOLATILITY)
    with np.errstate(divide="ignore", invalid="ignore"):
        zscore = (volume - rolling_sum(volume, VOLATILITY) / VOLATILITY) / spread
    return {
        "log_return": log_return,
        "sma_20": sma_20,
        "sma_50": rolling_sum(close, LONG_MEAN) / LONG_MEAN,
        "bollinger_upper": sma_20 + BAND_WIDTH * deviation,
        "bollinger_lower": sma_20 - BAND_WIDTH * deviation,
        "realized_volatility_30": np.sqrt(rolling_sum(log_return * log_return, VOLATILITY)),
        "volume_zscore_30": np.where(spread > 0, zscore, math.nan),
    }


def rolling_sum(values: Values, length: int) -> Values:
    """Sum of each value and those before it, oldest first; NaN where there are fewer than `length`."""
    sums = np.full(len(values), math.nan)
    count = len(values) - length + 1
    if count > 0:
        total = values[:count].copy()
        for offset in range(1, length):
            total += values[offset : offset + count]
        sums[length - 1 :] = total
    return sums


def rolling_deviation(values: Values, length: int) -> Values:
    """Population standard deviation over a window, from the squared distances to the window's own mean."""
    deviations = np.full(len(values), math.nan)
    count = len(values) - length + 1
    if count > 0:
        mean = rolling_sum(values, length)[length - 1 :] / length
        total = np.zeros(count)
        for offset in range(length):
            distance = values[offset : offset + count] - mean
            total += distance * distance
        deviations[length - 1 :] = np.sqrt(total / length)
    return deviations


def recurse(close: list[float], position: int, state: State) -> tuple[dict[str, Values], tuple[float, ...]]:
    """Run the recursions over `close` from `position` on; bars before it are NaN, they were computed earlier.

    Seeds are the plain means of a recursion's first values, as TA-Lib has them.
    """
    count = len(close)
    ema_12 = exponential_mean(close, position, FAST, state.ema_12)
    ema_26 = exponential_mean(close, position, SLOW, state.ema_26)
    macd = [fast - slow for fast, slow in zip(ema_12, ema_26, strict=True)]
    first_macd = position if not math.isnan(state.macd_signal) else SLOW - 1
    signal = exponential_mean(macd, first_macd, SIGNAL, state.macd_signal)
    rsi, average_gain, average_loss = wilder_rsi(close, position, state)
    columns = {
        "ema_12": np.array(ema_12),
        "ema_26": np.array(ema_26),
        "macd": np.array(macd),
        "macd_signal": np.array(signal),
        "macd_histogram": np.array(macd) - np.array(signal),
        "rsi_14": np.array(rsi),
    }
    if count == position:
        return columns, (state.ema_12, state.ema_26, state.macd_signal, state.average_gain, state.average_loss)
    return columns, (ema_12[-1], ema_26[-1], signal[-1], average_gain, average_loss)


def exponential_mean(values: list[float], position: int, span: int, before: float) -> list[float]:
    """Exponential mean with weight 2 / (span + 1), from its value `before` position or from a seed of `span` values."""
    means = [math.nan] * len(values)
    weight, mean = 2 / (span + 1), before
    if math.isnan(mean):
        last_seed = position + span - 1
        if last_seed >= len(values):
            return means
        mean = math.fsum(values[position : last_seed + 1]) / span
        means[last_seed] = mean
        position = last_seed + 1
    for number in range(position, len(values)):
        mean = (values[number] - mean) * weight + mean
        means[number] = mean
    return means


def wilder_rsi(close: list[float], position: int, state: State) -> tuple[list[float], float, float]:
    """Relative strength index over WILDER bars with Wilder's averages of gains and losses.

    J. W. Wilder, New Concepts in Technical Trading Systems, 1978: average = (13 average + new) / 14.
    """
    rsi = [math.nan] * len(close)
    gain, loss = state.average_gain, state.average_loss
    if math.isnan(gain):
        if len(close) <= WILDER:
            return rsi, gain, loss
        moves = [close[number] - close[number - 1] for number in range(1, WILDER + 1)]
        gain = math.fsum(move for move in moves if move > 0) / WILDER
        loss = math.fsum(-move for move in moves if move < 0) / WILDER
        rsi[WILDER] = strength(gain, loss)
        position = WILDER + 1
    for number in range(position, len(close)):
        move = close[number] - close[number - 1]
        gain = (gain * (WILDER - 1) + (move if move > 0 else 0.0)) / WILDER
        loss = (loss * (WILDER - 1) + (-move if move < 0 else 0.0)) / WILDER
        rsi[number] = strength(gain, loss)
    return rsi, gain, loss


def strength(gain: float, loss: float) -> float:
    """RSI of the two averages."""
    return 100 * (gain / (gain + loss)) if gain + loss > NO_MOVEMENT else 0.0
