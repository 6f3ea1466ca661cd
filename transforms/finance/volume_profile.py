"""Volume by price: how much of an instrument's day traded in which part of the day's price range.

Bins are equally wide: a fiftieth of the range from low to high, rounded up to the 8 decimals of a price, so that edges
are exact. Bins without a trade are rows, too. Outliers are left out, else one wrong print would stretch the range until
all other trades share a bin. All arithmetic is over whole units of 10^-8, so that a price on an edge falls into the bin
above it, always.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from lakehouse.tables.finance import GOLD_VOLUME_PROFILE_1D

TRADE_COLUMNS = ("instrument_id", "event_date", "price", "size", "is_outlier")
"""What is read of a trade."""
BINS = 50
"""Enough to see the shape of a day; a narrow range has fewer, since no bin is narrower than a price's last decimal."""
VALUE_AREA_PERCENT = 70
"""What a value area holds by convention: about one deviation to either side."""
PRICE = pl.Decimal(18, 8)
VOLUME = pl.Decimal(28, 8)
INSTRUMENT_DAY = ("event_date", "instrument_id")


def make_profile(trades: pl.DataFrame) -> pl.DataFrame:
    """Build gold.volume_profile_1d, without _ingested_at, from all trades of some instruments and days.

    An instrument's trades of a day should lie together, as silver has them: that is faster, but changes no value.
    """
    usable = number_runs(trades)
    runs = usable.group_by("run").agg(
        pl.col(INSTRUMENT_DAY).first(), low=pl.col("price").min(), high=pl.col("price").max()
    )
    days = cut_ranges(runs)
    bins = complete_bins(days, fill_bins(usable, runs.select("run", *INSTRUMENT_DAY).join(days, INSTRUMENT_DAY)))
    areas = find_value_areas(bins)
    return name_columns(bins.join(areas, INSTRUMENT_DAY)).sort(GOLD_VOLUME_PROFILE_1D.row_order)


def number_runs(trades: pl.DataFrame) -> pl.DataFrame:
    """Return the trades that are no outliers in units of 10^-8, and number each run of one instrument and day.

    Grouping and joining by a run's number takes a third of the time that the names of instruments take.
    """
    return (
        trades.lazy()
        .filter(~pl.col("is_outlier"))
        .select(
            *INSTRUMENT_DAY,
            run=pl.struct(INSTRUMENT_DAY).rle_id(),
            price=pl.col("price").to_physical().cast(pl.Int64),
            volume=pl.col("size").to_physical(),
        )
        .collect()
    )


def cut_ranges(runs: pl.DataFrame) -> pl.DataFrame:
    """Return low, high, width and last_bin of each instrument's day, in units of 10^-8."""
    days = runs.group_by(INSTRUMENT_DAY).agg(pl.col("low").min(), pl.col("high").max())
    span = pl.col("high") - pl.col("low")
    days = days.with_columns(width=pl.max_horizontal((span + BINS - 1) // BINS, 1))
    return days.with_columns(last_bin=pl.min_horizontal(span // pl.col("width"), BINS - 1))


def fill_bins(usable: pl.DataFrame, ranges: pl.DataFrame) -> pl.DataFrame:
    """Add up the trades of each bin that has some; `ranges` are those of each run."""
    bin_index = pl.min_horizontal((pl.col("price") - pl.col("low")) // pl.col("width"), "last_bin")
    placed = usable.lazy().select("run", "price", "volume").join(ranges.lazy(), "run")
    sums = placed.group_by("run", bin_index=bin_index).agg(pl.col("volume").sum(), trade_count=pl.len().cast(pl.Int64))
    of_days = sums.join(ranges.lazy().select("run", *INSTRUMENT_DAY), "run").group_by(*INSTRUMENT_DAY, "bin_index")
    return of_days.agg(pl.col("volume").sum(), pl.col("trade_count").sum()).collect()


def complete_bins(days: pl.DataFrame, filled: pl.DataFrame) -> pl.DataFrame:
    """Return every bin of every day, in order of price; those without a trade have no volume."""
    every = days.with_columns(bin_index=pl.int_ranges(0, pl.col("last_bin") + 1)).explode("bin_index")
    bins = every.join(filled, [*INSTRUMENT_DAY, "bin_index"], "left")
    return bins.with_columns(pl.col("volume", "trade_count").fill_null(0)).sort(*INSTRUMENT_DAY, "bin_index")


def find_value_areas(bins: pl.DataFrame) -> pl.DataFrame:
    """Return the point of control and the value area's lowest and highest bin of each instrument's day."""
    days = bins.group_by(INSTRUMENT_DAY, maintain_order=True).agg(pl.col("volume"))
    areas = [value_area(volumes) for volumes in days.get_column("volume").to_list()]
    names = ("point_of_control", "area_low", "area_high")
    found = pl.DataFrame(areas, dict.fromkeys(names, pl.Int64), orient="row")
    return days.select(INSTRUMENT_DAY).hstack(found)


def value_area(volumes: Sequence[int]) -> tuple[int, int, int]:
    """Return the bin with the most volume, the lowest of equal ones, and the first and last bin of the value area.

    From the point of control the area takes in the neighbour bin with more volume, the lower of equal ones, until it
    holds VALUE_AREA_PERCENT of the day's volume.
    """
    peak = volumes.index(max(volumes))
    low = high = peak
    held, total = volumes[peak], sum(volumes)
    while held * 100 < total * VALUE_AREA_PERCENT:
        below = volumes[low - 1] if low > 0 else -1
        above = volumes[high + 1] if high + 1 < len(volumes) else -1
        if below >= above:
            low -= 1
            held += below
        else:
            high += 1
            held += above
    return peak, low, high


def name_columns(bins: pl.DataFrame) -> pl.DataFrame:
    """Turn bins in units of 10^-8 into the table's columns."""
    index = pl.col("bin_index")
    upper = pl.col("low") + pl.col("width") * (index + 1)
    return bins.with_columns(
        price_low=as_decimal(pl.col("low") + pl.col("width") * index, PRICE),
        price_high=as_decimal(pl.when(index == pl.col("last_bin")).then("high").otherwise(upper), PRICE),
        volume=as_decimal(pl.col("volume"), VOLUME),
        bin_index=index.cast(pl.Int32),
        is_point_of_control=index == pl.col("point_of_control"),
        is_in_value_area=index.is_between("area_low", "area_high"),
    ).select(GOLD_VOLUME_PROFILE_1D.digest_columns)


def as_decimal(units: pl.Expr, kind: pl.Decimal) -> pl.Expr:
    """Read whole units of 10^-8 as a decimal."""
    return units.cast(pl.Int128).reinterpret(dtype=kind)
