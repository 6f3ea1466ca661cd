"""Return correlations: how the one-minute returns of two instruments moved together within one UTC day.

Reads   lakehouse.gold.tick_features   the event days
Writes  lakehouse.gold.return_correlations_1d   replaces those event days

Only returns from one minute to the next of the same day count: neither the overnight return nor one over a gap. Returns
are summed as whole billionths, so that the sums, and with them every digit of the result, do not depend on the order.
"""

from __future__ import annotations

import sys

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from lakehouse.tables.finance import GOLD_RETURN_CORRELATIONS_1D, GOLD_TICK_FEATURES
from spark_jobs import gold
from spark_jobs.command_line import main
from spark_jobs.gold import Derivation, gold_job

UNITS = 1_000_000_000
"""Billionths: a thousandth of a basis point's hundredth, far below any tick, and exact in decimal(12,0)."""


def minute_returns(features: DataFrame) -> DataFrame:
    """Return each instrument's returns over exactly one minute within the day, in whole billionths."""
    day = Window.partitionBy("event_date", "instrument_id").orderBy("bar_start")
    gap = F.unix_micros("bar_start") - F.unix_micros(F.lag("bar_start").over(day))
    billionths = F.round(F.col("log_return") * UNITS).cast("decimal(12,0)").alias("billionths")
    return (
        features.withColumn("gap", gap)
        .where((F.col("gap") == 60_000_000) & F.col("log_return").isNotNull())
        .select("event_date", "bar_start", "instrument_id", billionths)
    )


def pair_returns(returns: DataFrame) -> DataFrame:
    """Put two instruments' returns of the same minute side by side, the first in text order first."""
    key = ("event_date", "bar_start")
    first = returns.select(*key, F.col("instrument_id").alias("instrument_id_a"), F.col("billionths").alias("a"))
    second = returns.select(*key, F.col("instrument_id").alias("instrument_id_b"), F.col("billionths").alias("b"))
    return first.join(second, [*key]).where(F.col("instrument_id_a") < F.col("instrument_id_b"))


def pearson() -> Column:
    """Pearson's r from the sums over n pairs; null where a side does not move.

    r = (n Sab - Sa Sb) / sqrt((n Saa - Sa^2) (n Sbb - Sb^2)); both factors are exact until they become doubles.
    """
    wide = "decimal(38,0)"
    n, a, b = (
        F.col("pair_count").cast("decimal(6,0)"),
        F.col("sum_a").cast("decimal(16,0)"),
        F.col("sum_b").cast("decimal(16,0)"),
    )
    covariance = (n * F.col("sum_ab")).cast(wide) - (a * b).cast(wide)
    spread_a = (n * F.col("sum_aa")).cast(wide) - (a * a).cast(wide)
    spread_b = (n * F.col("sum_bb")).cast(wide) - (b * b).cast(wide)
    root = F.sqrt(spread_a.cast("double")) * F.sqrt(spread_b.cast("double"))
    bounded = F.least(F.lit(1.0), F.greatest(F.lit(-1.0), covariance.cast("double") / F.nullif(root, F.lit(0.0))))
    return F.when(root > 0, bounded)


def transform(features: DataFrame) -> DataFrame:
    """Build gold.return_correlations_1d, but for _ingested_at, from all of the days' gold.tick_features."""
    sums = (
        pair_returns(minute_returns(features))
        .groupBy("event_date", "instrument_id_a", "instrument_id_b")
        .agg(
            F.count("*").alias("pair_count"),
            F.sum("a").alias("sum_a"),
            F.sum("b").alias("sum_b"),
            F.sum(F.col("a") * F.col("a")).alias("sum_aa"),
            F.sum(F.col("b") * F.col("b")).alias("sum_bb"),
            F.sum(F.col("a") * F.col("b")).alias("sum_ab"),
        )
    )
    return sums.withColumn("correlation", pearson()).select(*GOLD_RETURN_CORRELATIONS_1D.digest_columns)


JOB = gold_job(
    "finance.return_correlations_1d",
    Derivation(
        table=GOLD_RETURN_CORRELATIONS_1D,
        upstream=GOLD_TICK_FEATURES,
        transform=lambda features, _, days: transform(features),
    ),
    code=(sys.modules[__name__], gold),
)

if __name__ == "__main__":
    main(JOB)
