"""Trading on forecasts, bar by bar and after costs, beside policies that know nothing.

A position of -1, 0 or 1 is decided when a bar has ended, from the forecast made then, and is executed at the close of
the next bar: it earns the returns from the bar after that one on. It is opened where the forecast reaches entry_bps and
closed where it falls below exit_bps in the position's direction. Every run is entered flat and left flat at the close
of its last bar: sessions end by the calendar, so no order needs to know the future. Each change of a position costs
fees and slippage on the traded value.

Capital is shared out equally among the instruments, at every bar anew, and returns are of the whole capital: bars
without a position count as 0. All arrays are in the order of `Market`'s bars.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ml.examples import Floats, Positions, Times
from ml.finance.config import Backtest
from ml.finance.features import Flags


@dataclass(frozen=True)
class Market:
    """Bars of some days: instrument after instrument, each in the order of time.

    `names` are the instruments that have bars, by the numbers of `instrument`. `returns` are simple and within runs;
    `gap_returns` are also over the nights; `forecast` is a log return over the next bars, made at the bar's end, NaN
    where there is none.
    """

    names: tuple[str, ...]
    instrument: Positions
    starts: Times
    runs: Positions
    returns: Floats
    gap_returns: Floats
    forecast: Floats

    @cached_property
    def moment(self) -> Positions:
        """Position of each bar's minute among all minutes that some instrument has."""
        return np.asarray(np.unique(self.starts, return_inverse=True)[1], dtype=np.int64)

    @cached_property
    def is_first(self) -> Flags:
        """True for the first bar of each run."""
        return np.concatenate([[True], self.runs[1:] != self.runs[:-1]])

    @cached_property
    def is_last(self) -> Flags:
        """True for the last bar of each run."""
        return np.concatenate([self.runs[1:] != self.runs[:-1], [True]])

    def only(self, number: int) -> Market:
        """Return the bars of one instrument."""
        own = self.instrument == number
        zeros = np.zeros(int(own.sum()), dtype=np.int64)
        columns = (self.starts, self.runs, self.returns, self.gap_returns, self.forecast)
        return Market((self.names[number],), zeros, *(column[own] for column in columns))

    def stretches(self) -> Iterator[slice]:
        """Yield where each run's bars are."""
        for begin, end in zip(np.flatnonzero(self.is_first), np.flatnonzero(self.is_last) + 1, strict=True):
            yield slice(int(begin), int(end))

    def portfolio(self, values: Floats) -> Floats:
        """Add up per minute what is of single bars, each instrument with its share of the capital."""
        return np.bincount(self.moment, values) / len(np.unique(self.instrument))


@dataclass(frozen=True)
class Trading:
    """What positions brought; `positions` are held after each bar, the others are per minute and of the capital."""

    positions: Floats
    gross: Floats
    costs: Floats
    turnover: Floats

    @property
    def net(self) -> Floats:
        """Returns after costs."""
        return self.gross - self.costs


def decide(market: Market, chosen: Backtest) -> Floats:
    """Return the position that is wanted when each bar has ended."""
    entry, leave = chosen.entry_bps / 1e4, chosen.exit_bps / 1e4
    return leg(market, market.forecast, entry, leave) - leg(market, -market.forecast, entry, leave)


def leg(market: Market, forecast: Floats, entry: float, leave: float) -> Floats:
    """Return 1 from the bar whose forecast reaches the entry until it falls below the exit; a run begins with 0."""
    events = np.where(forecast >= entry, 1.0, np.where(forecast < leave, 0.0, np.nan))
    events[market.is_first & np.isnan(events)] = 0.0
    latest = np.maximum.accumulate(np.where(np.isnan(events), 0, np.arange(len(events))))
    return np.asarray(events[latest])


def execute(market: Market, wanted: Floats) -> Floats:
    """Return the positions after each bar: those wanted a bar before, none after the last bar of a run."""
    positions = np.concatenate([[0.0], wanted[:-1]])
    positions[market.is_first | market.is_last] = 0.0
    return positions


def held_before(market: Market, positions: Floats) -> Floats:
    """Return the position that was held when each bar began; a run begins with none."""
    return np.where(market.is_first, 0.0, np.concatenate([[0.0], positions[:-1]]))


def count_entries(market: Market, positions: Floats) -> int:
    """Count how often a position was opened, in whichever instrument; turned round, it is opened anew."""
    return int(((positions != 0) & (positions != held_before(market, positions))).sum())


def trade(market: Market, positions: Floats, cost_ratio: float) -> Trading:
    """Return what positions earn and cost; a bar earns the position that was held before it."""
    before = held_before(market, positions)
    traded = np.abs(positions - before)
    turnover = market.portfolio(traded)
    return Trading(positions, market.portfolio(before * market.returns), turnover * cost_ratio, turnover)


def buy_and_hold(market: Market, cost_ratio: float) -> Trading:
    """Buy at the close of each instrument's first bar and sell at its last: over nights and all gaps."""
    is_same = market.instrument[1:] == market.instrument[:-1]
    is_begin, is_end = np.concatenate([[True], ~is_same]), np.concatenate([~is_same, [True]])
    turnover = market.portfolio((is_begin | is_end).astype(float))
    gross = market.portfolio(np.where(is_begin, 0.0, market.gap_returns))
    return Trading((~is_end).astype(float), gross, turnover * cost_ratio, turnover)


def last_sign(market: Market, cost_ratio: float) -> Trading:
    """Hold the direction of the last bar's return."""
    return trade(market, execute(market, np.sign(market.returns)), cost_ratio)


def random_policies(market: Market, positions: Floats, cost_ratio: float, draws: int, seed: int) -> Iterator[Trading]:
    """Yield policies that trade as much, as often and for as long as `positions` do, at random moments.

    Within each run the positions are rotated by a random number of bars, cut where nothing is held, and turned round
    or not: turnover and exposure stay the same to the last trade, and what they knew is gone.
    """
    random = np.random.default_rng(seed)
    stretches = [(where, np.flatnonzero(positions[where] == 0)) for where in market.stretches()]
    for _ in range(draws):
        drawn = np.zeros(len(positions))
        for where, flat in stretches:
            # The last bar is flat, so that there is always one to cut at
            cut = int(flat[random.integers(len(flat))])
            drawn[where] = np.roll(positions[where], -cut - 1) * random.choice((-1.0, 1.0))
        yield trade(market, drawn, cost_ratio)


def hit_rate(market: Market, positions: Floats) -> float:
    """Return the share of bars that moved in the position's direction, of those that moved while one was held."""
    earned = held_before(market, positions) * market.returns
    moved = earned != 0
    return float((earned[moved] > 0).mean()) if moved.any() else 0.0
