"""Is one model better than another on the same rows? A paired test for forecasts in time, and one for classifiers.

Diebold and Mariano's, for rows in the order of time, with a variance that knows overlap.
Forecasts of neighbouring hours err alike, so losses are correlated: Newey and West's variance (1987) over at least
horizon - 1 lags, and the small-sample factor of Harvey, Leybourne and Newbold (1997).

McNemar's (1947), for rows that are right or wrong and know nothing of each other, exact: only the rows count that one
model has right and the other wrong, and between equal models each of them is a toss of a coin.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from lakehouse.errors import BadInputError
from ml.examples import Floats

MINIMUM_ROWS = 168
"""A week: below it the variance of correlated losses is a guess."""


@dataclass(frozen=True)
class Comparison:
    """What the test saw.

    `p_value` is the chance of such a lead where the challenger is not better, `p_worse` that of such a lag where it is
    not worse. Equal losses are neither: both are 1.
    """

    rows: int
    challenger_loss: float
    incumbent_loss: float
    statistic: float
    p_value: float
    p_worse: float


def diebold_mariano(challenger: Floats, incumbent: Floats, horizon: int) -> Comparison:
    """Test whether the challenger's losses are lower; both are of the same rows in the order of time.

    Raises:
        BadInputError: fewer rows than a week, or than the horizon, whose overlap they can't show.
    """
    count = len(challenger)
    if count < MINIMUM_ROWS or len(incumbent) != count:
        raise BadInputError(f"{count} rows to compare on; expected at least {MINIMUM_ROWS} that both models forecast")
    if count < horizon:
        raise BadInputError(f"{count} rows to compare on; expected at least {horizon}, as many as the horizon has")
    gain = incumbent - challenger
    lags = max(horizon - 1, math.floor(4 * (count / 100) ** (2 / 9)))
    centred = gain - gain.mean()
    covariances = [float(centred[lag:] @ centred[: count - lag]) / count for lag in range(lags + 1)]
    weights = (1 - lag / (lags + 1) for lag in range(1, lags + 1))
    variance = covariances[0] + 2 * sum(w * c for w, c in zip(weights, covariances[1:], strict=True))
    losses = float(challenger.mean()), float(incumbent.mean())
    if variance <= 0:  # equal losses in every row, or too few to tell
        return Comparison(count, *losses, 0.0, 1.0, 1.0)
    factor = math.sqrt((count + 1 - 2 * horizon + horizon * (horizon - 1) / count) / count)
    statistic = factor * float(gain.mean()) / math.sqrt(variance / count)
    tails = (0.5 * math.erfc(sign * statistic / math.sqrt(2)) for sign in (1, -1))
    return Comparison(count, *losses, statistic, *tails)


def mcnemar(challenger: Floats, incumbent: Floats, _: int = 0) -> Comparison:
    """Test whether the challenger is wrong less often; a loss is 1 where a row is wrong, else 0.

    `statistic` is the number of rows that the challenger alone has right, less those that the incumbent alone has.

    Raises:
        BadInputError: the two are not of the same rows.
    """
    from scipy.stats import binom

    if len(challenger) != len(incumbent) or not len(challenger):
        raise BadInputError(f"{len(challenger)} and {len(incumbent)} rows to compare on; expected the same, and some")
    won = int(((challenger == 0) & (incumbent == 1)).sum())
    lost = int(((challenger == 1) & (incumbent == 0)).sum())
    # Each tail holds the count that was seen, so that the two add up to more than 1
    tails = (float(binom.sf(count - 1, won + lost, 0.5)) for count in (won, lost))
    return Comparison(len(challenger), float(challenger.mean()), float(incumbent.mean()), float(won - lost), *tails)


@dataclass(frozen=True)
class PairedTest:
    """A test of two models' losses on the same rows; `compare` takes challenger, incumbent and group."""

    name: str
    minimum_rows: int
    compare: Callable[[Floats, Floats, int], Comparison]


DIEBOLD_MARIANO = PairedTest("Diebold-Mariano, Newey-West variance, one-sided", MINIMUM_ROWS, diebold_mariano)
MCNEMAR = PairedTest("McNemar, exact, one-sided", 50, mcnemar)


def is_better(comparisons: Mapping[int, Comparison], significance: float) -> bool:
    """Return whether some group is significantly better and none significantly worse, at a level that groups share."""
    level = significance / len(comparisons)
    better = any(found.p_value < level for found in comparisons.values())
    worse = any(found.p_worse < level for found in comparisons.values())
    return better and not worse


def rmse(errors: Floats) -> float:
    """Root of the mean squared error."""
    return float(np.sqrt(np.mean(errors**2)))
