"""What gold.tick_features claims of its columns, checked before training: each is made of the bars up to its own.

Gold's own formulas (transforms/finance/indicators.py) compute every column again from the closes and volumes of the
rows. A column must be what they make of the bars up to its own, and what they make must not change if later bars are
hidden: both together leave no room for a value from the future. A column needs no entry here, since its formula is the
check; a feature that is made from a column without a formula is refused.

Bars before the rows are not known, and recursive means remember them for some hundred bars. So the formulas begin from
made-up pasts that have nothing in common. Where all come to the same value the past is forgotten, and gold must have
that value, too; the values before that are not checked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.errors import BadInputError
from lakehouse.reference.instruments import describe_instrument, sessions
from lakehouse.tables.finance import GOLD_TICK_FEATURES
from ml.examples import Examples, Floats, Times
from ml.finance.features import MINUTE, Flags
from ml.leakage import LeakError, check_past_only
from transforms.finance.indicators import HISTORY, State, compute_features

OWN = ("close", "volume")
"""What a bar is: known when it ends, and what all columns are computed from."""
BY_CALENDAR = "minutes_since_open"
SILENCE_DAYS = 10
"""After more days without a bar gold begins an instrument anew."""
TOLERANCE = 1e-7
"""Relative to the column's largest value around the bar: what a past that is almost forgotten may still change."""
FORGOTTEN = 1e-10
"""Relative likewise, between the made-up pasts; the real one may be a thousand times stranger than they are."""
ROUNDING = 1e-13
"""Relative to the column's largest value after any past: what is left of a difference of equal prices."""
SIZE_BARS = 500
"""Bars that are around a bar: prices of years lie too far apart to be measured by their largest."""
PASTS = ((1.0, 0.0, 0.0), (0.5, 0.4, 1.3), (2.0, 0.7, 0.4))
"""Level and swing, relative to the first close or to the mean volume, and radians a bar of the made-up pasts."""
PROBED_BARS = 2000
PROBE_CUTS = (0.35, 0.6, 0.8, 0.95)
"""Where the formulas are tried without later bars, as shares of the probed ones."""


@dataclass(frozen=True)
class Expected:
    """What a column must be, for which bars the rows tell it, and how far off it may be."""

    values: Floats
    is_told: Flags
    tolerance: Floats


def check_claims(rows: pa.Table, features: Mapping[str, Iterable[str]]) -> None:
    """Check every column of the rows; `features` names the columns that each feature of the model is made from.

    Raises:
        LeakError: a value is not what the bars up to its own make of it, or no claim says what a column must be.
        BadInputError: the rows have no volume: they were published before gold had it.
    """
    unchecked = unchecked_columns(each for columns in features.values() for each in columns)
    if unchecked:
        names = [name for name, columns in features.items() if {*columns} & {*unchecked}]
        raise LeakError(
            f"column {', '.join(unchecked)} of {GOLD_TICK_FEATURES.identifier} can't be checked against the future: no "
            "formula of transforms/finance/indicators.py makes it; add one, or a check of its own to "
            f"ml/finance/claims.py, or leave out what is made from it ({', '.join(names)})"
        )
    if rows.column("volume").null_count:
        raise BadInputError(
            f"{GOLD_TICK_FEATURES.identifier} has bars without volume, of an older version of the code: "
            "lakehouse run finance computes them again"
        )
    rows = rows.sort_by([(name, "ascending") for name in GOLD_TICK_FEATURES.primary_key])
    for instrument_id in pc.unique(rows.column("instrument_id")).to_pylist():
        own = rows.filter(pc.field("instrument_id") == instrument_id).combine_chunks()
        check_minutes(instrument_id, own)
        for part in without_silence(own):
            check_part(instrument_id, part)


def unchecked_columns(columns: Iterable[str]) -> tuple[str, ...]:
    """Return those columns of gold that no formula makes and no check here knows."""
    checked = {*OWN, BY_CALENDAR, *compute_features(np.ones(1), np.ones(1), State())[0]}
    return tuple(dict.fromkeys(name for name in columns if name not in checked))


def without_silence(rows: pa.Table) -> Iterator[pa.Table]:
    """Yield the stretches of an instrument's rows between which gold forgot what was before."""
    days = rows.column("bar_start").to_numpy().astype("datetime64[D]")
    breaks = np.flatnonzero(np.diff(days).astype(int) > SILENCE_DAYS) + 1
    for begin, end in pairwise([0, *breaks.tolist(), rows.num_rows]):
        yield rows.slice(begin, end - begin)


def check_part(instrument_id: str, rows: pa.Table) -> None:
    """Check an instrument's rows without a silence against what the formulas make of them."""

    def column(name: str) -> Floats:
        return np.asarray(rows.column(name).cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)

    close, volume = column("close"), column("volume")
    check_formulas(rows.column("bar_start").to_numpy(), close, volume)
    for name, expected in compute_again(close, volume).items():
        if name in rows.column_names:
            values = column(name)
            wrong = expected.is_told & ~is_same(values, expected.values, expected.tolerance)
            if wrong.any():
                at = int(np.flatnonzero(wrong)[0])
                when = rows.column("bar_start")[at].as_py()
                raise LeakError(
                    f"column {name} of {instrument_id} is {values[at]:.9g} at {when}, expected "
                    f"{expected.values[at]:.9g} from the bars up to it ({wrong.sum()} of {len(wrong)} bars are wrong): "
                    "a feature of another bar, or from the future"
                )


def check_formulas(starts: Times, close: Floats, volume: Floats) -> None:
    """Check on the first bars that the formulas make the same of a bar whether or not later ones are there."""
    count = min(len(starts), PROBED_BARS)

    def build(cut: int | None) -> Examples:
        known = slice(count if cut is None else cut + 1)
        made, _ = compute_features(close[known], volume[known], State())
        times = starts[known]
        return Examples((*made,), times, times, np.column_stack([*made.values()]), np.full(len(times), np.nan))

    check_past_only(build, [int(share * count) for share in PROBE_CUTS])


def compute_again(close: Floats, volume: Floats) -> dict[str, Expected]:
    """Compute every column that has a formula; it is told where its value does not depend on bars before the first."""
    steps = np.arange(2 * HISTORY)
    quantity = float(volume.mean()) or 1.0
    made = []
    for level, swing, speed in PASTS:
        away = level * (1 + swing * np.sin(speed * steps)) - 1
        _, state = compute_features(close[0] * (1 + away), volume[0] + quantity * away, State())
        made.append(compute_features(close, volume, state)[0])
    found = {}
    for name in made[0]:
        values = np.stack([each[name] for each in made])
        size = local_size(values)
        is_told = np.logical_and.reduce([is_same(values[0], other, FORGOTTEN * size) for other in values[1:]])
        found[name] = Expected(values[0], is_told, TOLERANCE * size + ROUNDING * size.max(initial=0.0))
    return found


def local_size(values: Floats) -> Floats:
    """Return, for each bar, the largest absolute number of the bars around it after any past; 0 if there is none."""
    sizes = np.nan_to_num(np.abs(values), nan=0.0, posinf=0.0).max(axis=0)
    blocks = np.maximum.reduceat(sizes, np.arange(0, len(sizes), SIZE_BARS))
    blocks = np.maximum(blocks, np.concatenate([blocks[:1], blocks[:-1]]))
    return np.repeat(blocks, SIZE_BARS)[: len(sizes)]


def is_same(one: Floats, other: Floats, tolerance: Floats) -> Flags:
    """Return where values differ by at most the tolerance, or both are missing."""
    return np.asarray((np.abs(one - other) <= tolerance) | (np.isnan(one) & np.isnan(other)))


def check_minutes(instrument_id: str, rows: pa.Table) -> None:
    """Check minutes_since_open against the session calendar.

    Raises:
        LeakError: a bar is not where its minutes say.
    """
    starts = rows.column("bar_start").to_numpy().astype("datetime64[m]")
    found = rows.column(BY_CALENDAR).cast(pa.float64()).to_numpy(zero_copy_only=False)
    expected = minutes_since_open(describe_instrument(instrument_id).calendar, starts)
    wrong = ~((found == expected) | (np.isnan(found) & np.isnan(expected)))
    if wrong.any():
        at = int(np.flatnonzero(wrong)[0])
        raise LeakError(
            f"minutes_since_open of {instrument_id} is {found[at]:.0f} at {starts[at]}, its calendar says "
            f"{expected[at]:.0f}"
        )


def minutes_since_open(calendar: str, starts: Times) -> Floats:
    """Return how many minutes before each moment its session began; NaN outside of sessions."""
    first: date = starts[0].astype("datetime64[D]").item()
    last: date = starts[-1].astype("datetime64[D]").item()
    opened, closed = (
        np.array([np.datetime64(each.replace(tzinfo=None), "m") for each in side])
        for side in zip(*sessions(calendar, first, last), strict=True)
    )
    session = np.searchsorted(opened, starts, side="right") - 1
    is_inside = (session >= 0) & (starts < closed[session])
    return np.asarray(np.where(is_inside, (starts - opened[session]) / MINUTE, np.nan), dtype=np.float64)
