"""Pearson correlation of two instruments' one-minute log returns within one UTC day.

Reads   lakehouse.gold.tick_features             the event days
Writes  lakehouse.gold.return_correlations_1d    replaces those event days

A return counts where the bar before it is the minute before it on the same day, so neither the overnight return nor one
over a gap between sessions does. Filled minutes count: nothing traded, so nothing moved.

The sums are exact: a return enters as a whole number of 2^-46, and a product of two in three parts that are integers,
so that the order in which Spark adds can't show in the last bit of a correlation.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from lakehouse.tables.finance import GOLD_RETURN_CORRELATIONS_1D, GOLD_TICK_FEATURES
from spark_jobs.layers.command_line import main
from spark_jobs.layers.derive import by_spark
from spark_jobs.layers.gold import Derivation, gold_job

UNITS = 2**46
"""Per 1 of log return. Between the smallest and the largest price that a table holds lies 42, so 3 * 10^15 units."""
PART = 2**26
"""A return is high * PART + low; the products of two parts, added up over a day's 1440 minutes, fit a bigint."""


def minute_returns(features: DataFrame) -> DataFrame:
    """Keep the returns of one minute within the day, as whole units and in two parts."""
    day = Window.partitionBy("event_date", "instrument_id").orderBy("bar_start")
    is_next_minute = F.expr("unix_micros(bar_start) - unix_micros(bar_before) = 60000000")
    return (
        features.select("event_date", "instrument_id", "bar_start", "log_return")
        .withColumn("bar_before", F.lag("bar_start").over(day))
        .where(is_next_minute & F.col("log_return").isNotNull())
        .withColumn("units", F.rint(F.col("log_return") * UNITS).cast("bigint"))
        .selectExpr(
            "event_date", "instrument_id", "bar_start", "units", f"units div {PART} AS high", f"units % {PART} AS low"
        )
    )


def sum_exactly(left: str, right: str) -> Column:
    """Sum of left * right over a group's rows, in units squared."""

    def sum_parts(product: Column) -> Column:
        return F.sum(product).cast("decimal(38,0)")

    left_high, left_low = F.col(f"{left}.high"), F.col(f"{left}.low")
    right_high, right_low = F.col(f"{right}.high"), F.col(f"{right}.low")
    return (
        sum_parts(left_high * right_high) * PART * PART
        + sum_parts(left_high * right_low + left_low * right_high) * PART
        + sum_parts(left_low * right_low)
    )


def correlate_pairs(returns: DataFrame) -> DataFrame:
    """Add up what a correlation needs for every two instruments that share a minute: one row per day and pair."""
    a, b = returns.alias("a"), returns.alias("b")
    is_same_minute = (F.col("a.event_date") == F.col("b.event_date")) & (F.col("a.bar_start") == F.col("b.bar_start"))
    pairs = a.join(b, is_same_minute & (F.col("a.instrument_id") < F.col("b.instrument_id")))
    return pairs.groupBy(
        F.col("a.event_date"),
        F.col("a.instrument_id").alias("instrument_id_a"),
        F.col("b.instrument_id").alias("instrument_id_b"),
    ).agg(
        F.count("*").alias("pair_count"),
        F.sum("a.units").cast("decimal(20,0)").alias("sum_a"),
        F.sum("b.units").cast("decimal(20,0)").alias("sum_b"),
        sum_exactly("a", "a").alias("sum_aa"),
        sum_exactly("b", "b").alias("sum_bb"),
        sum_exactly("a", "b").alias("sum_ab"),
    )


def correlation() -> Column:
    """Pearson's formula over exact sums; null where a side does not vary, which a single pair never does."""

    def spread(left: str, right: str) -> Column:
        return F.expr(f"CAST(pair_count * sum_{left}{right} - sum_{left} * sum_{right} AS DOUBLE)")

    deviations = F.sqrt(spread("a", "a") * spread("b", "b"))
    ratio = spread("a", "b") / F.nullif(deviations, F.lit(0.0))
    # Two series that move as one can come out as 1.0000000000000002.
    return F.when(ratio.isNotNull(), F.greatest(F.lit(-1.0), F.least(F.lit(1.0), ratio)))


def transform(features: DataFrame, days: Sequence[date]) -> DataFrame:
    """Build gold.return_correlations_1d, but for _ingested_at, from all of the days' gold.tick_features."""
    return (
        features.transform(minute_returns)
        .transform(correlate_pairs)
        .withColumn("correlation", correlation())
        .select(*GOLD_RETURN_CORRELATIONS_1D.digest_columns)
    )


JOB = gold_job(
    "finance.return_correlations_1d",
    Derivation(
        table=GOLD_RETURN_CORRELATIONS_1D,
        upstream=GOLD_TICK_FEATURES,
        making=by_spark(transform),
        combines_parts=True,
    ),
)

if __name__ == "__main__":
    main(JOB)
