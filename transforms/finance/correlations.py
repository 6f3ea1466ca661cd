"""Pearson correlation of two instruments' one-minute log returns within one UTC day.

A return counts if the bar before it is the minute before it on the same day, so neither the overnight return nor one
over a gap between sessions does. Filled minutes count: nothing traded, so nothing moved.

The sums are exact: a return enters as a whole number of 2^-46, cut into parts whose products, added up over a day's
1440 minutes, are whole numbers below 2^53, which doubles hold exactly. So no order of adding can show in a bit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from lakehouse.tables.finance import GOLD_RETURN_CORRELATIONS_1D

FEATURE_COLUMNS = ("instrument_id", "event_date", "bar_start", "log_return")
"""What is read of a feature's row."""
UNITS = 2**46
"""Per 1 of log return. Between the smallest and the largest price that a table holds lies 42, so 2^52 units at most."""
PART_BITS = 18
PARTS = 3
"""A return is three signed parts of 18 bits; products of two have 36 bits, and 1440 of them add up to 47."""
MINUTE = pl.duration(minutes=1)

PAIRS = {
    "instrument_id_a": pl.String,
    "instrument_id_b": pl.String,
    "correlation": pl.Float64,
    "pair_count": pl.Int64,
}

Matrix = npt.NDArray[np.float64]
Integers = npt.NDArray[np.object_]


def correlate(
    features: pl.DataFrame, left: Sequence[str] | None = None, right: Sequence[str] | None = None
) -> pl.DataFrame:
    """Build gold.return_correlations_1d, without _ingested_at, from features of some instruments and whole days.

    Pairs are of an instrument of `left` and one of `right`, or of any two if these are not given.
    """
    returns = minute_returns(features)
    days = [correlate_day(of_day, left, right) for of_day in returns.partition_by("event_date", maintain_order=True)]
    schema = {"correlation": pl.Float64, "pair_count": pl.Int64}
    if not days:
        return pl.DataFrame(
            schema={name: schema.get(name, pl.String) for name in GOLD_RETURN_CORRELATIONS_1D.digest_columns}
        )
    return pl.concat(days).sort(GOLD_RETURN_CORRELATIONS_1D.row_order)


def minute_returns(features: pl.DataFrame) -> pl.DataFrame:
    """Keep the returns of one minute within the day, as whole units."""
    before = pl.col("bar_start").shift(1).over("event_date", "instrument_id")
    in_order = features.sort("event_date", "instrument_id", "bar_start")
    kept = in_order.filter((pl.col("bar_start") - before == MINUTE) & pl.col("log_return").is_not_null())
    units = (pl.col("log_return") * UNITS).round(0, mode="half_to_even").cast(pl.Int64)
    return kept.select("event_date", "instrument_id", "bar_start", units=units)


def correlate_day(returns: pl.DataFrame, left: Sequence[str] | None, right: Sequence[str] | None) -> pl.DataFrame:
    """Correlate the pairs of one day that share a minute."""
    names = returns.get_column("instrument_id").unique().sort().to_list()
    wide = returns.pivot("instrument_id", index="bar_start", values="units").select(names)
    there = wide.select(pl.all().is_not_null().cast(pl.Float64)).to_numpy()
    parts = cut_parts(wide.fill_null(0).to_numpy().astype(np.int64))
    counts = (there.T @ there).astype(np.int64)
    first = sum_parts([there.T @ part for part in parts]).T
    squares = sum_products(parts, lambda one, other: (one * other).T @ there)
    products = sum_products(parts, lambda one, other: one.T @ other)
    of_left, of_right = (set(names if group is None else group) for group in (left, right))
    rows = []
    for a, name_a in enumerate(names):
        for b in range(a + 1, len(names)):
            name_b = names[b]
            is_asked = (name_a in of_left and name_b in of_right) or (name_b in of_left and name_a in of_right)
            count = int(counts[a, b])
            if is_asked and count:
                sums = (first[a, b], first[b, a], squares[a, b], squares[b, a], products[a, b])
                rows.append((name_a, name_b, correlation(count, *sums), count))
    schema = {
        "instrument_id_a": pl.String,
        "instrument_id_b": pl.String,
        "correlation": pl.Float64,
        "pair_count": pl.Int64,
    }
    pairs = pl.DataFrame(rows, schema, orient="row").with_columns(event_date=pl.lit(returns["event_date"][0]))
    return pairs.select(GOLD_RETURN_CORRELATIONS_1D.digest_columns)


def cut_parts(units: npt.NDArray[np.int64]) -> list[Matrix]:
    """Cut whole numbers into parts of 18 bits, the lowest first; the sign is that of every part."""
    signs, magnitudes = np.sign(units), np.abs(units)
    mask = (1 << PART_BITS) - 1
    return [(signs * ((magnitudes >> (PART_BITS * number)) & mask)).astype(np.float64) for number in range(PARTS)]


def sum_parts(sums: Sequence[Matrix]) -> Integers:
    """Put sums of parts together to whole numbers of any size."""
    total = as_integers(np.zeros_like(sums[0]))
    for number, part in enumerate(sums):
        total = total + (as_integers(part) << (PART_BITS * number))
    return total


def sum_products(parts: Sequence[Matrix], multiply: Callable[[Matrix, Matrix], Matrix]) -> Integers:
    """Add up the products of whole numbers, given how the products of two of their parts add up."""
    by_weight = [
        [multiply(one, parts[weight - number]) for number, one in enumerate(parts) if 0 <= weight - number < PARTS]
        for weight in range(2 * PARTS - 1)
    ]
    return sum_parts([np.add.reduce(products) for products in by_weight])


def as_integers(matrix: Matrix) -> Integers:
    """Turn doubles that are whole numbers into Python's integers, which don't overflow."""
    return matrix.astype(np.int64).astype(np.object_)


def correlation(count: int, sum_a: int, sum_b: int, sum_aa: int, sum_bb: int, sum_ab: int) -> float | None:  # noqa: PLR0917
    """Pearson's formula over exact sums; None if a side does not vary, which a single pair never does."""
    spread_aa, spread_bb = float(count * sum_aa - sum_a * sum_a), float(count * sum_bb - sum_b * sum_b)
    deviations = float(np.sqrt(spread_aa * spread_bb))
    if deviations == 0:
        return None
    ratio = float(count * sum_ab - sum_a * sum_b) / deviations
    return max(-1.0, min(1.0, ratio))  # two series that move as one can come out as 1.0000000000000002
