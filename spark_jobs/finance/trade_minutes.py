"""Trades summed up by minute: first, highest, lowest and last price, quantities and counts.

Batches of trades are summed up as columns, in Polars, and what the batches say of one minute is brought together by
Spark: prices by the order of trades would cost Spark a sort of every trade. Sums are of integers and decimals, so that
it makes no difference how trades fall into batches.
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl
import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_schema

from lakehouse.tables.finance import PRICE, VOLUME

MINUTE = ("event_date", "instrument_id", "minute")
"""`minute` is whole minutes since 1970-01-01 UTC."""
ORDER = ("ts_event", "sequence", "delivery_date")
"""Trades of the same microsecond are ordered by sequence and then by delivery."""
READ = ("event_date", "instrument_id", *ORDER, "price", "size", "is_outlier")
VALUE = pa.decimal128(38, 16)
"""Price times quantity, exactly."""

PLACED = (
    ("ts_event", pa.timestamp("us", "UTC")),
    ("sequence", pa.int64()),
    ("delivery_date", pa.date32()),
    ("price", pa.decimal128(18, 8)),
)
"""What is kept of the first and of the last trade: its place in the order, and its price."""
PART = pa.schema(
    [
        ("event_date", pa.date32()),
        ("instrument_id", pa.string()),
        ("minute", pa.int64()),
        *((f"{end}_{name}", arrow_type) for end in ("first", "last") for name, arrow_type in PLACED),
        ("high", pa.decimal128(18, 8)),
        ("low", pa.decimal128(18, 8)),
        ("value", VALUE),
        ("size", pa.decimal128(28, 8)),
        ("trade_count", pa.int64()),
        ("is_outlier", pa.bool_()),
    ]
)
"""What a batch says of a minute; its outliers make a part of their own."""


def aggregate_minutes(trades: DataFrame) -> DataFrame:
    """Turn trades into one row per minute that has some; prices are null where all of them are outliers.

    Columns are those of MINUTE, open, high, low, close, volume, trade_count, vwap and outlier_count.
    """
    parts = trades.select(*READ).mapInArrow(sum_up_batches, from_arrow_schema(PART))
    is_usable = ~F.col("is_outlier")
    traded_value = F.sum(usable("value"))
    return parts.groupBy(*MINUTE).agg(
        F.min_by(usable("first_price"), place("first")).alias("open"),
        F.max(usable("high")).alias("high"),
        F.min(usable("low")).alias("low"),
        F.max_by(usable("last_price"), place("last")).alias("close"),
        F.sum("size").cast(VOLUME).alias("volume"),
        F.sum("trade_count").alias("trade_count"),
        (traded_value / F.sum(usable("size")).cast(VOLUME)).cast(PRICE).alias("vwap"),
        F.sum(F.when(is_usable, 0).otherwise(F.col("trade_count"))).alias("outlier_count"),
    )


def usable(column: str) -> Column:
    """A part's value, null where the part is of outliers."""
    return F.when(~F.col("is_outlier"), F.col(column))


def place(end: str) -> Column:
    """The place of a part's first or last trade in the order of trades; null where the part is of outliers."""
    return F.when(~F.col("is_outlier"), F.struct(*(f"{end}_{name}" for name in ORDER)))


def sum_up_batches(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Sum up each batch of trades by minute, with the columns of PART."""
    for batch in batches:
        trades = pl.from_arrow(batch)
        assert isinstance(trades, pl.DataFrame)  # a batch has columns  # noqa: S101
        yield from sum_up(trades).to_batches()


def sum_up(trades: pl.DataFrame) -> pa.Table:
    """Sum up trades by minute, usable ones and outliers apart."""
    minute = pl.col("ts_event").dt.epoch("us") // 60_000_000
    # Polars rounds products of decimals, so they are multiplied as integers of 10^-8
    value = pl.col("price").to_physical().cast(pl.Int128) * pl.col("size").to_physical().cast(pl.Int128)
    placed = [name for name, _ in PLACED]
    parts = (
        trades.with_columns(minute=minute, value=value)
        .sort(ORDER)
        .group_by(*MINUTE, "is_outlier")
        .agg(
            *(pl.col(name).first().alias(f"first_{name}") for name in placed),
            *(pl.col(name).last().alias(f"last_{name}") for name in placed),
            pl.col("price").max().alias("high"),
            pl.col("price").min().alias("low"),
            pl.col("value").sum().cast(pl.Decimal(38, 0)),
            pl.col("size").cast(pl.Decimal(28, 8)).sum(),
            pl.len().cast(pl.Int64).alias("trade_count"),
        )
    )
    table = parts.select(PART.names).to_arrow(compat_level=pl.CompatLevel.oldest())
    position = PART.get_field_index("value")
    return table.set_column(position, "value", scaled(table.column("value"))).cast(PART)


def scaled(values: pa.ChunkedArray) -> pa.Array:
    """Read integers of 10^-16 as the decimals that they stand for."""
    integers = values.combine_chunks()
    return pa.Array.from_buffers(VALUE, len(integers), integers.buffers(), integers.null_count, integers.offset)
