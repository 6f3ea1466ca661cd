"""Volume by price: how much of an instrument's day traded in which part of the day's price range.

Reads   lakehouse.silver.trades             the event days
Writes  lakehouse.gold.volume_profile_1d    replaces those event days

Bins are equally wide: a fiftieth of the range from low to high, rounded up to the 8 decimals of a price, so that edges
are exact. Bins without a trade are rows, too. Outliers are left out, else one wrong print would stretch the range until
all other trades share a bin.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import polars as pl
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from lakehouse.tables.finance import GOLD_VOLUME_PROFILE_1D, PRICE, SILVER_TRADES, VOLUME
from spark_jobs.engine.kept import not_held, staged_rows
from spark_jobs.engine.stage import Branch, HeldBack
from spark_jobs.layers.command_line import main
from spark_jobs.layers.derive import by_spark
from spark_jobs.layers.gold import Derivation, Inputs, gold_job

BINS = 50
"""Enough to see the shape of a day; a narrow range has fewer, since no bin is narrower than a price's last decimal."""
VALUE_AREA_PERCENT = 70
"""What a value area holds by convention: about one deviation to either side."""

INSTRUMENT_DAY = ("event_date", "instrument_id")


def trade_by_price(trades: DataFrame) -> DataFrame:
    """Add up the usable trades per price: far fewer rows for the decimal arithmetic that follows."""
    return (
        trades.where(~F.col("is_outlier"))
        .groupBy(*INSTRUMENT_DAY, "price")
        .agg(F.sum("size").cast(VOLUME).alias("volume"), F.count("*").alias("trade_count"))
    )


def put_in_bins(prices: DataFrame) -> DataFrame:
    """Cut each day's range into bins and add up each bin: one row per day, `bins` being an array in order of price.

    All arithmetic is over decimals, so that a price on an edge falls into the bin above it, always.
    """
    day = Window.partitionBy(*INSTRUMENT_DAY)
    ranges = prices.withColumns({"low": F.min("price").over(day), "high": F.max("price").over(day)})
    width = F.expr(f"CAST(greatest(ceil((high - low) / {BINS}, 8), 0.00000001) AS {PRICE})")
    last_bin = F.expr(f"CAST(least((high - low) div width, {BINS - 1}) AS INT)")
    bin_index = F.expr("CAST(least((price - low) div width, last_bin) AS INT)")
    filled = (
        ranges.withColumn("width", width)
        .withColumn("last_bin", last_bin)
        .groupBy(*INSTRUMENT_DAY, "low", "high", "width", "last_bin", bin_index.alias("bin_index"))
        .agg(F.sum("volume").cast(VOLUME).alias("volume"), F.sum("trade_count").alias("trade_count"))
    )
    entries = F.collect_list(F.struct("bin_index", F.struct("volume", "trade_count")))
    nothing = F.struct(F.lit(0).cast(VOLUME).alias("volume"), F.lit(0).cast("bigint").alias("trade_count"))
    return (
        filled.groupBy(*INSTRUMENT_DAY, "low", "high", "width", "last_bin")
        .agg(F.map_from_entries(entries).alias("by_index"))
        .withColumn(
            "bins",
            F.transform(
                F.sequence(F.lit(0), "last_bin"), lambda index: F.coalesce(F.try_element_at("by_index", index), nothing)
            ),
        )
    )


def find_value_area(days: DataFrame) -> DataFrame:
    """Add point_of_control, and the value area's lowest and highest bin as area.low and area.high.

    From the point of control the area takes in the neighbour bin with more volume, the lower of equal ones, until it
    holds VALUE_AREA_PERCENT of the day's volume.
    """
    volumes = F.col("bins.volume")
    total = F.aggregate(volumes, F.lit(0).cast(VOLUME), lambda sum_so_far, volume: (sum_so_far + volume).cast(VOLUME))
    peak = (F.array_position(volumes, F.array_max(volumes)) - 1).cast("int")

    def widen(area: Column, _: Column) -> Column:
        below, above = F.get(volumes, area.low - 1), F.get(volumes, area.high + 1)
        is_full = area.held * 100 >= F.col("total") * VALUE_AREA_PERCENT
        goes_down = below.isNotNull() & (above.isNull() | (below >= above))
        return (
            F.when(is_full, area)
            .when(goes_down, area_of(area.low - 1, area.high, area.held + below))
            .otherwise(area_of(area.low, area.high + 1, area.held + above))
        )

    start = area_of(F.col("point_of_control"), F.col("point_of_control"), F.get(volumes, F.col("point_of_control")))
    return days.withColumns({"total": total, "point_of_control": peak}).withColumn(
        "area", F.aggregate(volumes, start, widen)
    )


def area_of(low: Column, high: Column, held: Column) -> Column:
    """A run of bins and the volume that it holds."""
    return F.struct(low.alias("low"), high.alias("high"), held.cast(VOLUME).alias("held"))


def transform(trades: DataFrame, days: Sequence[date]) -> DataFrame:
    """Build gold.volume_profile_1d, but for _ingested_at, from all of the days' silver.trades."""
    edge = "CAST(low + width * {} AS " + PRICE + ")"
    return (
        trades.transform(trade_by_price)
        .transform(put_in_bins)
        .transform(find_value_area)
        .select("*", F.posexplode("bins").alias("bin_index", "bin"))
        .withColumns(
            {
                "price_low": F.expr(edge.format("bin_index")),
                "price_high": F.when(F.col("bin_index") == F.col("last_bin"), F.col("high")).otherwise(
                    F.expr(edge.format("(bin_index + 1)"))
                ),
                "volume": F.col("bin.volume"),
                "trade_count": F.col("bin.trade_count"),
                "is_point_of_control": F.col("bin_index") == F.col("point_of_control"),
                "is_in_value_area": F.col("bin_index").between(F.col("area.low"), F.col("area.high")),
            }
        )
        .select(*GOLD_VOLUME_PROFILE_1D.digest_columns)
    )


def compare_volume(inputs: Inputs, branch: Branch, days: Sequence[date], held: HeldBack) -> Mapping[str, Any]:
    """Count the volume that the bins have more or less than the trades, outliers left out."""
    is_compared = not_held("event_date", "instrument_id", held)
    trades = inputs.upstream.rows(pl.col("event_date").is_in(days), is_compared, ~pl.col("is_outlier"))
    totals = (trades.select(pl.col("size").sum()), staged_rows(branch, days, held).select(pl.col("volume").sum()))
    traded, binned = (total.collect(engine="streaming").item() for total in totals)
    return {"volume_difference": abs(binned - traded)}


JOB = gold_job(
    "finance.volume_profile_1d",
    Derivation(
        table=GOLD_VOLUME_PROFILE_1D,
        upstream=SILVER_TRADES,
        making=by_spark(transform),
        facts=compare_volume,
    ),
)

if __name__ == "__main__":
    main(JOB)
