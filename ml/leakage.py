"""Checks against leaks that every training runs on its own data before it believes a score.

They look at what was built and not at how: features are built a second time without the future and must come out bit
for bit the same; splits must lie in time; a column of gold must not know what is surprising about the next day.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from lakehouse.errors import ExitCode, LakehouseError
from ml.examples import Examples, Floats

Build = Callable[[int | None], Examples]
"""Builds the examples from all rows, or as they were when the hour at a position began: nothing later is there."""

SURPRISE_LAGS = (*range(1, 25), 48, 72, 96, 120, 144, 168)
"""Hours back that the past is described by."""
SURPRISE_HORIZON = 24
FUTURE_R2 = 0.12
"""Share of a column's unexplained part that the next day may explain. Columns of gold on the half-year file: at most
0.06; given the row's own hour, means over 3 or 24 h with it, or a centred window of a week: at least 0.36."""
MINIMUM_ROWS = 500


class LeakError(LakehouseError):
    """Training would see what it must not know; nothing was trained."""

    exit_code = ExitCode.BAD_INPUT


def check_past_only(build: Build, cuts: Sequence[int]) -> None:
    """Build the examples again as of some hours: what was known by then must be bit for bit the same.

    This finds features from later rows, and values that were scaled or filled with what all rows together say.

    Raises:
        LeakError: a feature, or a target that was measured by then, changes when the future is taken away.
    """
    whole = build(None)
    for cut in cuts:
        known = build(cut)
        upto = cut + 1
        changed = differs(whole.features[:upto], known.features[:upto])
        if changed.any():
            position, column = np.argwhere(changed.reshape(upto, -1))[-1]
            raise LeakError(
                f"feature {whole.names[column % len(whole.names)]} at {whole.times[position]} changes when everything "
                f"from {whole.times[cut]} on is hidden: it is made from the future, or scaled before the split"
            )
        measured = whole.target_times[:upto] <= whole.times[cut]
        if differs(whole.targets[:upto][measured], known.targets[:upto][measured]).any():
            raise LeakError(
                f"targets before {whole.times[cut]} change when everything later is hidden: scaled before the split"
            )


def differs(left: Floats, right: Floats) -> Floats:
    """Say where two arrays are not the same number; missing is the same as missing."""
    return np.asarray(~((left == right) | (np.isnan(left) & np.isnan(right))))


def check_split(train: Examples, test: Examples) -> None:
    """Hold that every training target was measured before the first test example was made.

    Raises:
        LeakError: the test begins before training has ended: a random split, or no gap.
    """
    last, first = train.target_times.max(), test.times.min()
    if last > first:
        raise LeakError(
            f"a training target is measured at {last}, but the test begins at {first}: expected a split by time with a "
            "gap as long as the horizon"
        )


def check_column(name: str, column: Floats, measured: Floats) -> None:
    """Hold that a column, known when its row's hour begins, knows no more of that hour and the next day than the past.

    Both are explained by the past first; what is left of the column must not be explained by the surprises to come.

    Raises:
        LeakError: it is.
    """
    share = future_share(column, measured)
    if share > FUTURE_R2:
        raise LeakError(
            f"column {name} follows what is measured after its hour began (R2 {share:.2f} beyond the past, expected at "
            f"most {FUTURE_R2}): a feature from the future"
        )


def future_share(column: Floats, measured: Floats) -> float:
    """Return the share of the column's part beyond the past that the surprises of the next day explain."""
    length = len(measured)
    start, stop = max(SURPRISE_LAGS), length - SURPRISE_HORIZON
    if stop - start < MINIMUM_ROWS:
        return 0.0
    rows = np.arange(start, stop)
    past = np.column_stack([measured[rows - lag] for lag in SURPRISE_LAGS])
    later = np.column_stack([measured[rows + ahead] for ahead in range(SURPRISE_HORIZON)])
    usable = ~(np.isnan(column[rows]) | np.isnan(past).any(axis=1) | np.isnan(later).any(axis=1))
    if usable.sum() < MINIMUM_ROWS:
        return 0.0
    hours = np.eye(24)[rows[usable] % 24]
    known = np.hstack([past[usable], hours])
    surprises = unexplained(later[usable], known)
    rest = unexplained(column[rows][usable][:, None], known)[:, 0]
    if rest.std() < 1e-9 * max(1.0, float(np.abs(column[rows][usable]).max())):
        return 0.0
    left = unexplained(rest[:, None], surprises)[:, 0]
    return max(0.0, 1.0 - float(left.var() / rest.var()))


def unexplained(values: Floats, known: Floats) -> Floats:
    """Return what a linear regression on the known columns leaves of the values."""
    design = np.hstack([known, np.ones((len(known), 1))])
    coefficients, *_ = np.linalg.lstsq(design, values, rcond=None)
    return np.asarray(values - design @ coefficients)
