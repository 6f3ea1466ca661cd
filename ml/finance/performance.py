"""How good a series of returns is: Sharpe ratio, its probability beside luck, drawdown.

Returns are simple returns per bar of one portfolio, net or gross, flat bars included as 0. Formulas:

- Sharpe ratio: mean / deviation (Sharpe, The Sharpe Ratio, 1994), times the root of the bars per year to annualise.
- Probabilistic Sharpe ratio: Bailey and López de Prado, The Sharpe Ratio Efficient Frontier, 2012. The probability that
  the true ratio is above a benchmark, given length, skewness and kurtosis of the series.
- Deflated Sharpe ratio: Bailey and López de Prado, The Deflated Sharpe Ratio, 2014. The same with the ratio that the
  best of as many trials without skill is expected to show as benchmark.

Returns of bars in the future of one position are taken as independent, as all of these do. The functions are small and
checked in the tests against values by hand and against a library: those that carry them bring data download, plotting
or compilers along, or have had no release for years.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from statistics import NormalDist

import numpy as np

from lakehouse.reference.instruments import sessions
from ml.examples import Floats

NORMAL = NormalDist()
EULER = 0.5772156649015329


@dataclass(frozen=True)
class Moments:
    """What the probability of a Sharpe ratio depends on; `sharpe` is per bar, `kurtosis` is 3 for a normal series."""

    sharpe: float
    count: int
    skewness: float
    kurtosis: float


def moments(returns: Floats) -> Moments:
    """Measure a series; a series that does not move has ratio 0.

    The deviation divides by count - 1, as in Sharpe (1994).
    """
    if len(returns) < 2:
        return Moments(0.0, len(returns), 0.0, 3.0)
    centred = returns - returns.mean()
    spread = float(centred.std())
    if spread <= 1e-12 * max(1.0, float(np.abs(returns).max(initial=0.0))):
        return Moments(0.0, len(returns), 0.0, 3.0)
    sharpe = float(returns.mean()) / float(returns.std(ddof=1))
    return Moments(sharpe, len(returns), float(np.mean(centred**3)) / spread**3, float(np.mean(centred**4)) / spread**4)


def annual_sharpe(returns: Floats, bars_per_year: float) -> float:
    """Return the annualised Sharpe ratio."""
    return moments(returns).sharpe * math.sqrt(bars_per_year)


def probabilistic_sharpe(found: Moments, benchmark: float = 0.0) -> float:
    """Return the probability that the true ratio per bar is above a benchmark; 0 where the series says nothing."""
    variance = 1 - found.skewness * found.sharpe + (found.kurtosis - 1) / 4 * found.sharpe**2
    if found.count < 2 or variance <= 0:
        return 0.0
    return NORMAL.cdf((found.sharpe - benchmark) * math.sqrt(found.count - 1) / math.sqrt(variance))


def best_of_luck(sharpes: Sequence[float], trials: int, count: int) -> float:
    """Return the ratio per bar that the best of some trials without skill is expected to show.

    `sharpes` are the ratios of those trials that were measured, whose deviation says how far trials differ. They are
    taken to differ at least as series of `count` bars without skill do, by the standard error 1 / sqrt(count - 1) of a
    ratio of nothing: trials that are tied, never traded or are fewer than two measured ones would else leave luck no
    room, however many were tried. One trial left luck no choice.
    """
    if trials < 2:
        return 0.0
    measured = float(np.std(sharpes, ddof=1)) if len(sharpes) > 1 else 0.0
    spread = max(measured, 1 / math.sqrt(count - 1))
    quantiles = NORMAL.inv_cdf(1 - 1 / trials), NORMAL.inv_cdf(1 - 1 / (trials * math.e))
    return spread * ((1 - EULER) * quantiles[0] + EULER * quantiles[1])


def deflated_sharpe(found: Moments, sharpes: Sequence[float], trials: int) -> float:
    """Return the probability that the true ratio is above what luck brings among the trials."""
    if found.sharpe == 0:
        return 0.0
    return probabilistic_sharpe(found, best_of_luck(sharpes, trials, found.count))


def equity(returns: Floats) -> Floats:
    """Return what 1 has become after each bar, gains kept invested."""
    return np.asarray(np.cumprod(1 + returns))


def drawdowns(returns: Floats) -> Floats:
    """Return how far below its highest mark so far, the begin included, the equity is after each bar: 0 to 1."""
    curve = equity(returns)
    peaks = np.maximum(np.maximum.accumulate(curve), 1.0) if len(curve) else curve
    return np.asarray(1 - curve / peaks)


def maximum_drawdown(returns: Floats) -> float:
    """Return the deepest drawdown."""
    return float(drawdowns(returns).max(initial=0.0))


def bars_per_year(calendar: str, first: date, last: date) -> float:
    """Return the mean number of one-minute bars inside sessions in the calendar years that two days lie in."""
    years = last.year - first.year + 1
    begin, end = date(first.year, 1, 1), date(last.year, 12, 31)
    minutes = 0.0
    for opened, closed in sessions(calendar, begin, end):
        if begin <= opened.date() <= end:
            minutes += (closed - opened).total_seconds() / 60
    return minutes / years
