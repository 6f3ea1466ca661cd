"""Walk-forward splits with purge and embargo, cut at the same moments for all instruments.

The words are those of López de Prado, Advances in Financial Machine Learning (2018), chapter 7. Each fold trains on
what lies before its test:

    training examples | purged | embargoed | test examples
                      ^ last target         ^ the first test window begins window - 1 bars before the cut

Purging leaves out the training examples whose target reaches into the window of the first test example or beyond, so
that no bar is in a training target and in a test at once: window + horizon bars of decisions. The embargo leaves out
further `embargo_bars` before them, since neighbouring bars resemble each other. Bars are counted on the grid of all
minutes in which some instrument has a bar.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from lakehouse.errors import BadInputError
from ml.examples import Positions, Times
from ml.finance.config import WalkForward
from ml.finance.features import Bars

MINIMUM_EXAMPLES = 50
"""Fewer on a side measure nothing."""


@dataclass(frozen=True)
class WalkForwardFold:
    """Positions of the bars with training and test examples; the test is of the moments `[begin, end)`."""

    begin: np.datetime64
    end: np.datetime64
    train: Positions
    test: Positions


@dataclass(frozen=True)
class Splitter:
    """Cuts examples by time: bars that have a window and a target. `horizon` and `window` are numbers of bars."""

    bars: Bars
    examples: Positions
    window: int
    horizon: int
    split: WalkForward

    @property
    def grid(self) -> Times:
        """Every minute in which some instrument has a bar."""
        return np.unique(self.bars.starts)

    def test_begin(self) -> np.datetime64:
        """Return the first minute of the test: the last days, whole UTC days.

        Raises:
            BadInputError: there is no day before them.
        """
        days = np.unique(self.bars.days)
        count = max(1, round(len(days) * self.split.test_ratio))
        if count >= len(days):
            raise BadInputError(f"{len(days)} days of bars leave none to train on before a test of {count}")
        begin: np.datetime64 = days[-count].astype("datetime64[m]")
        return begin

    def folds(self) -> list[WalkForwardFold]:
        """Return the folds before the test, each trained on all that lies before its own test."""
        grid = self.grid
        cut = int(np.searchsorted(grid, self.test_begin()))
        edges = np.linspace(int(cut * self.split.first_fold_ratio), cut, self.split.folds + 1).astype(int)
        return [self.fold(begin, end) for begin, end in pairwise(edges.tolist())]

    def final(self) -> WalkForwardFold:
        """Return the fold whose test the gate looks at."""
        return self.fold(int(np.searchsorted(self.grid, self.test_begin())), len(self.grid))

    def fold(self, begin: int, end: int) -> WalkForwardFold:
        """Split at positions of the grid.

        Raises:
            BadInputError: too few examples on a side.
        """
        grid = self.grid
        examples = self.examples
        made = np.searchsorted(grid, self.bars.starts[examples])
        known = np.searchsorted(grid, self.bars.starts[examples + self.horizon])
        last_known = begin - self.window - self.split.embargo_bars
        train, test = examples[known <= last_known], examples[(made >= begin) & (known < end)]
        if min(len(train), len(test)) < MINIMUM_EXAMPLES:
            raise BadInputError(
                f"a split at {grid[begin]} leaves {len(train)} training and {len(test)} test examples after purge and "
                f"embargo; expected {MINIMUM_EXAMPLES} of each: more days, fewer folds or a larger first_fold_ratio"
            )
        after = grid[end] if end < len(grid) else grid[-1] + np.timedelta64(1, "m")
        return WalkForwardFold(grid[begin], after, train, test)
