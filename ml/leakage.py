"""Checks against leaks that every training runs on its own data before it believes a score.

They look at what was built and not at how: features are built a second time without the future and must come out bit
for bit the same; splits must lie in time; a column of gold must not know what is surprising about the next day.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from lakehouse.errors import ExitCode, LakehouseError
from ml.examples import Examples, Floats

Build = Callable[[int | None], Examples]
"""Builds the examples from all rows, or as they were when the hour at a position began: nothing later is there."""

PAST_H = 168
"""Hours back that the past is described by: every one of them, so that any mean of them is explained."""
FUTURE_H = 24
FUTURE_R2 = 0.3
"""Share of a column's unexplained part that the next day may explain. Honest columns reach at most 0.14 on the
half-year file, a year of PJM's AEP and ETTh1; with the row's own hour, tomorrow's or a centred week at least 0.43."""
MINIMUM_ROWS = 500
MAXIMUM_ROWS = 8760
"""A year tells it; more takes long."""


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
    """Return where two arrays are not the same number; missing is the same as missing."""
    return np.asarray(~((left == right) | (np.isnan(left) & np.isnan(right))))


def check_split(train: Examples, test: Examples) -> None:
    """Check that every training target was measured before the first test example was made.

    Raises:
        LeakError: the test begins before training has ended: a random split, or no gap.
    """
    last, first = train.target_times.max(), test.times.min()
    if last > first:
        raise LeakError(
            f"a training target is measured at {last}, but the test begins at {first}: expected a split by time with a "
            "gap as long as the horizon"
        )


def check_columns(columns: Mapping[str, Floats], measured: Floats) -> frozenset[str]:
    """Check that columns, known when their row's hour begins, know no more of the next day than the past does.

    Both are explained by the past first; what is left of a column must not be explained by the surprises to come.
    Returns the columns that could be checked: those of which enough hours are known, with their past and next day.

    Raises:
        LeakError: it is.
    """
    shares = future_shares(columns, measured)
    for name, share in shares.items():
        if share > FUTURE_R2:
            raise LeakError(
                f"column {name} follows what is measured after its hour began (R2 {share:.2f} beyond the past, "
                f"expected at most {FUTURE_R2}): a feature from the future"
            )
    return frozenset(shares)


def future_shares(columns: Mapping[str, Floats], measured: Floats) -> dict[str, float]:
    """Return, for each column, the share of its part beyond the past that the surprises of the next day explain.

    A column is left out if fewer than MINIMUM_ROWS hours have it, their past and their next day; all are if fewer have
    all columns at once.
    """
    rows = np.arange(PAST_H, max(PAST_H, len(measured) - FUTURE_H))[-MAXIMUM_ROWS:]
    past = np.column_stack([measured[rows - lag] for lag in range(1, PAST_H + 1)])
    later = np.column_stack([measured[rows + ahead] for ahead in range(FUTURE_H)])
    usable = ~np.isnan(np.hstack([past, later])).any(axis=1)
    columns = {name: each for name, each in columns.items() if (usable & ~np.isnan(each[rows])).sum() >= MINIMUM_ROWS}
    values = np.column_stack([np.empty((len(rows), 0)), *(column[rows] for column in columns.values())])
    usable &= ~np.isnan(values).any(axis=1)
    if usable.sum() < MINIMUM_ROWS:
        return {}
    known = np.hstack([past[usable], np.eye(24)[rows[usable] % 24]])
    left = unexplained(np.hstack([later[usable], values[usable]]), known)
    surprises, rests = left[:, :FUTURE_H], left[:, FUTURE_H:]
    unknown = unexplained(rests, surprises)
    shares = {}
    for number, name in enumerate(columns):
        is_past_alone = rests[:, number].std() < 1e-9 * max(1.0, float(np.abs(values[usable][:, number]).max()))
        share = 0.0 if is_past_alone else 1 - float(unknown[:, number].var() / rests[:, number].var())
        shares[name] = max(0.0, share)
    return shares


def unexplained(values: Floats, known: Floats) -> Floats:
    """Return what a linear regression on the known columns leaves of the values."""
    design = np.hstack([known, np.ones((len(known), 1))])
    coefficients, *_ = np.linalg.lstsq(design, values, rcond=None)
    return np.asarray(values - design @ coefficients)
