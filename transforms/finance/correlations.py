"""Pearson correlation of two instruments' one-minute log returns within one UTC day.

A return counts if the bar before it is the minute before it on the same day, so neither the overnight return nor one
over a gap between sessions does. Filled minutes count: nothing traded, so nothing moved.

The sums are exact: a return enters as a whole number of 2^-46, cut into parts whose products, added up over a day's
1440 minutes, are whole numbers below 2^53, which doubles hold exactly. So no order of adding can show in a bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import product
from operator import add

import numpy as np
import numpy.typing as npt
import polars as pl

from lakehouse.errors import BadInputError
from lakehouse.tables.finance import GOLD_RETURN_CORRELATIONS_1D

FEATURE_COLUMNS = ("instrument_id", "event_date", "bar_start", "log_return")
"""What is read of a feature's row."""
UNITS = 2**46
"""Per 1 of log return."""
LARGEST = 2**52
"""Units of a return. Between the smallest and the largest price that a table holds lie 42."""
PART_BITS = 18
PARTS = 3
"""A return is three signed parts of 18 bits; products of two have 36 bits, and 1440 of them add up to 47."""
MINUTE = pl.duration(minutes=1)

PAIRS = {
    "event_date": pl.Date,
    "instrument_id_a": pl.String,
    "instrument_id_b": pl.String,
    "pair_count": pl.Int64,
    "correlation": pl.Float64,
}

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Side:
    """The returns of a group of instruments in a day, as matrices with a row per instrument, a column per minute.

    `there` is 1 if there is a return. `parts` are those of the returns, the lowest first, `squares` those of their
    squares; both are 0 if there is none.
    """

    names: Sequence[str]
    there: Matrix
    parts: Sequence[Matrix]
    squares: Sequence[Matrix]


def correlate(
    features: pl.DataFrame, left: Sequence[str] | None = None, right: Sequence[str] | None = None
) -> pl.DataFrame:
    """Build gold.return_correlations_1d, without _ingested_at, from features of some instruments and whole days.

    Pairs are of an instrument of `left` and one of `right`, or of any two if these are not given.

    Raises:
        BadInputError: a return is larger than any two prices can make it.
    """
    returns = minute_returns(features)
    days = [correlate_day(of_day, left, right) for of_day in returns.partition_by("event_date", maintain_order=True)]
    pairs = pl.concat([pl.DataFrame(schema=PAIRS), *days])
    return pairs.select(GOLD_RETURN_CORRELATIONS_1D.digest_columns).sort(GOLD_RETURN_CORRELATIONS_1D.row_order)


def minute_returns(features: pl.DataFrame) -> pl.DataFrame:
    """Keep the returns of one minute within the day, as whole units."""
    before = pl.col("bar_start").shift(1).over("event_date", "instrument_id")
    in_order = features.sort("event_date", "instrument_id", "bar_start")
    kept = in_order.filter((pl.col("bar_start") - before == MINUTE) & pl.col("log_return").is_not_null())
    units = (pl.col("log_return") * UNITS).round(0, mode="half_to_even")
    too_large = kept.filter(~(units.abs() < LARGEST)).select("instrument_id", "bar_start", "log_return")
    for name, start, value in too_large.head(1).rows():
        raise BadInputError(
            f"{name}, {start:%Y-%m-%d %H:%M} UTC: expected a log return below {LARGEST // UNITS}, found {value}"
        )
    return kept.select("event_date", "instrument_id", "bar_start", units=units.cast(pl.Int64))


def correlate_day(returns: pl.DataFrame, left: Sequence[str] | None, right: Sequence[str] | None) -> pl.DataFrame:
    """Correlate the pairs of one day that share a minute."""
    wide = returns.pivot("instrument_id", index="bar_start", values="units").drop("bar_start")
    one, other = make_side(wide, left), make_side(wide, right)
    sums = {
        "pair_count": [one.there @ other.there.T],
        "sum_a": [part @ other.there.T for part in one.parts],
        "sum_b": [one.there @ part.T for part in other.parts],
        "sum_aa": [square @ other.there.T for square in one.squares],
        "sum_bb": [one.there @ square.T for square in other.squares],
        "sum_ab": multiply(one.parts, [part.T for part in other.parts], np.matmul),
    }
    names = pl.DataFrame(list(product(one.names, other.names)), {"one": pl.String, "other": pl.String}, orient="row")
    pairs = names.with_columns(**{name: whole_numbers(parts) for name, parts in sums.items()})
    pairs = pairs.filter((pl.col("pair_count") > 0) & (pl.col("one") != pl.col("other")))
    correlated = pairs.select(
        event_date=pl.lit(returns["event_date"][0]),
        instrument_id_a=pl.min_horizontal("one", "other"),
        instrument_id_b=pl.max_horizontal("one", "other"),
        pair_count=pl.col("pair_count").cast(pl.Int64),
        correlation=correlation(),
    )
    return correlated.unique(("instrument_id_a", "instrument_id_b"))


def make_side(wide: pl.DataFrame, group: Sequence[str] | None) -> Side:
    """Return one side of the pairs: the instruments of a group that have returns; `wide` has a column for each."""
    chosen = wide if group is None else wide.select(name for name in wide.columns if name in {*group})
    shape = (chosen.width, wide.height)
    parts = cut_parts(chosen.fill_null(0).to_numpy().T.reshape(shape).astype(np.int64))
    there = chosen.select(pl.all().is_not_null()).to_numpy().T.reshape(shape).astype(np.float64)
    return Side(chosen.columns, there, parts, multiply(parts, parts, np.multiply))


def cut_parts(units: npt.NDArray[np.int64]) -> list[Matrix]:
    """Cut whole numbers into parts of 18 bits, the lowest first; the sign is that of every part."""
    signs, magnitudes = np.sign(units), np.abs(units)
    mask = (1 << PART_BITS) - 1
    return [(signs * ((magnitudes >> (PART_BITS * number)) & mask)).astype(np.float64) for number in range(PARTS)]


def multiply(left: Sequence[Matrix], right: Sequence[Matrix], times: np.ufunc) -> list[Matrix]:
    """Return the parts of the product of two numbers in parts, the lowest first, each a sum of up to three products."""
    sums: list[Matrix] = []
    for weight in range(2 * PARTS - 1):
        numbers = range(max(0, weight - PARTS + 1), min(weight, PARTS - 1) + 1)
        sums.append(reduce(add, [times(left[number], right[weight - number]) for number in numbers]))
    return sums


def whole_numbers(parts: Sequence[Matrix]) -> pl.Series:
    """Put the parts of sums together, row by row, to whole numbers of up to 127 bits."""
    *lower, total = (pl.Series(part.ravel().astype(np.int64)).cast(pl.Int128) for part in parts)
    weight = pl.Series([1 << PART_BITS], dtype=pl.Int128)
    for part in reversed(lower):
        total = total * weight + part
    return total


def correlation() -> pl.Expr:
    """Pearson's formula over exact sums; null if a side does not vary, which a single pair never does."""

    def spread(first: str, second: str) -> pl.Expr:
        product = pl.col(f"sum_{first}") * pl.col(f"sum_{second}")
        return (pl.col("pair_count") * pl.col(f"sum_{first}{second}") - product).cast(pl.Float64)

    deviations = (spread("a", "a") * spread("b", "b")).sqrt()
    # Two series that move as one can come out as 1.0000000000000002
    return pl.when(deviations > 0).then((spread("a", "b") / deviations).clip(-1, 1))
