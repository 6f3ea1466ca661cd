"""Volume profile: volume by price bin, instrument and UTC day, with its point of control and 70 % value area.

Reads   lakehouse.silver.trades   the event days; outliers left out
Writes  lakehouse.gold.volume_profile_1d   replaces those event days

A day's range is cut into BINS equal bins, by integer division of decimals, so that the same trades in any order give
the same bins. Edges are rounded to the price's 8 decimals.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.schema import arrow_schema, spark_schema
from lakehouse.tables.finance import GOLD_VOLUME_PROFILE_1D, SILVER_TRADES
from spark_jobs import gold
from spark_jobs.command_line import main
from spark_jobs.gold import Derivation, gold_job
from spark_jobs.stage import Branch

BINS = 50
"""Fine enough to see two centres of a day, coarse enough that a quiet instrument has trades in most bins."""
VALUE_AREA = Decimal("0.7")
"""Share of the volume in the value area: the market profile's own figure, about one standard deviation."""
PROFILE = ("event_date", "instrument_id")


def count_bins(trades: DataFrame) -> DataFrame:
    """Sum volume and trades by bin; a day at one price has a single bin."""
    usable = trades.where(~F.col("is_outlier"))
    ranges = usable.groupBy(*PROFILE).agg(F.min("price").alias("day_low"), F.max("price").alias("day_high"))
    position = F.expr(f"CAST((price - day_low) * {BINS} div (day_high - day_low) AS INT)")
    bin_index = F.when(F.col("day_high") == F.col("day_low"), 0).otherwise(F.least(position, F.lit(BINS - 1)))
    return (
        usable.join(F.broadcast(ranges), [*PROFILE])
        .groupBy(*PROFILE, "day_low", "day_high", bin_index.alias("bin_index"))
        .agg(F.sum("size").alias("volume"), F.count("*").alias("trade_count"))
    )


def find_value_area(volumes: Sequence[Decimal]) -> tuple[int, int, int]:
    """Return the point of control and the first and last bin of the value area.

    The point of control is the bin with the most volume, the lowest of equals. From there the area grows by the
    neighbour with more volume, upwards where both have the same, until it holds VALUE_AREA of the volume (J. Dalton,
    Mind over Markets, one bin at a time).
    """
    control = max(range(len(volumes)), key=lambda number: (volumes[number], -number))
    first = last = control
    held, wanted = volumes[control], VALUE_AREA * sum(volumes, Decimal(0))
    while held < wanted:
        below = volumes[first - 1] if first > 0 else Decimal(-1)
        above = volumes[last + 1] if last + 1 < len(volumes) else Decimal(-1)
        if above >= below:
            last, held = last + 1, held + above
        else:
            first, held = first - 1, held + below
    return control, first, last


def complete_profile(bins: pa.Table) -> pa.Table:
    """Turn one instrument-day's bins with trades into all of its bins, in order and marked."""
    rows = bins.to_pylist()
    low, high = rows[0]["day_low"], rows[0]["day_high"]
    count = 1 if high == low else BINS
    found = {row["bin_index"]: row for row in rows}
    volumes = [found[number]["volume"] if number in found else Decimal(0) for number in range(count)]
    control, first, last = find_value_area(volumes)
    edges = [(low + (high - low) * number / count).quantize(Decimal("1e-8")) for number in range(count + 1)]
    profile = [
        {
            **{name: rows[0][name] for name in PROFILE},
            "bin_index": number,
            "price_low": edges[number],
            "price_high": edges[number + 1],
            "volume": volumes[number],
            "trade_count": found[number]["trade_count"] if number in found else 0,
            "is_point_of_control": number == control,
            "is_in_value_area": first <= number <= last,
        }
        for number in range(count)
    ]
    return pa.Table.from_pylist(profile, arrow_schema(GOLD_VOLUME_PROFILE_1D, GOLD_VOLUME_PROFILE_1D.digest_columns))


def transform(trades: DataFrame) -> DataFrame:
    """Build gold.volume_profile_1d, but for _ingested_at, from all of the days' silver.trades."""
    schema = spark_schema(GOLD_VOLUME_PROFILE_1D, GOLD_VOLUME_PROFILE_1D.digest_columns)
    return count_bins(trades).groupBy(*PROFILE).applyInArrow(complete_profile, schema)


def compare_volume(spark: SparkSession, branch: Branch, days: Sequence[date]) -> Mapping[str, Any]:
    """Count the volume that the bins have more or less than the trades."""
    trades = spark.table(SILVER_TRADES.full_name).where(F.col("event_date").isin(list(days)) & ~F.col("is_outlier"))
    binned = branch.read_days(days).agg(F.sum("volume")).first()[0] or Decimal(0)
    traded = trades.agg(F.sum("size")).first()[0] or Decimal(0)
    return {"volume_difference": abs(binned - traded)}


JOB = gold_job(
    "finance.volume_profile_1d",
    Derivation(
        table=GOLD_VOLUME_PROFILE_1D,
        upstream=SILVER_TRADES,
        transform=lambda trades, _, days: transform(trades),
        facts=compare_volume,
    ),
    code=(sys.modules[__name__], gold),
)

if __name__ == "__main__":
    main(JOB)
