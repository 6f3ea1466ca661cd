"""Trades summed up by minute, in whole numbers: pieces of a minute can be joined, wherever its trades are cut."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import polars as pl

from lakehouse.errors import BadInputError
from transforms.sorting import sort_rows

TRADE_COLUMNS = ("instrument_id", "ts_event", "sequence", "delivery_date", "price", "size", "is_outlier")
TRADE_ORDER = ("instrument_id", "ts_event", "sequence", "delivery_date")
"""Trades of the same microsecond are ordered by sequence and then by delivery; silver's files mostly come like this."""

MINUTE = ("instrument_id", "minute")
"""`minute` is whole minutes since 1970-01-01 UTC, here and in the sessions."""
MINUTE_US = 60_000_000
PRICE = pl.Decimal(18, 8)
VOLUME = pl.Decimal(28, 8)
LARGEST_SUM = 1.7e38
"""Of price times size in units of 10^-16: what 127 bits hold."""
SUMS: Mapping[str, pl.DataType | type[pl.DataType]] = {
    "instrument_id": pl.String,
    "minute": pl.Int64,
    "open": PRICE,
    "high": PRICE,
    "low": PRICE,
    "close": PRICE,
    "value": pl.Int128,
    "usable_size": pl.Int128,
    "volume": pl.Int128,
    "trade_count": pl.Int64,
    "outlier_count": pl.Int64,
}
"""What a minute's trades come to, in pieces that can be joined; without prices if all of them are outliers. `value` is
in units of 10^-16, `usable_size` and `volume` in units of 10^-8."""


def sum_minutes(trades: pl.DataFrame) -> pl.DataFrame:
    """Add up trades, in whatever order they come: a row of SUMS per minute that has some."""
    timed = sort_rows(trades, TRADE_ORDER).with_columns(minute=pl.col("ts_event").to_physical() // MINUTE_US)
    timed = timed.with_columns(run=pl.struct(MINUTE).rle_id())  # in order a minute is a run, whose number groups faster
    usable = timed.filter(~pl.col("is_outlier")).with_columns(value=unscaled("price") * unscaled("size"))
    prices = usable.group_by("run").agg(
        open=pl.col("price").first(),
        high=pl.col("price").max(),
        low=pl.col("price").min(),
        close=pl.col("price").last(),
        value=pl.col("value").sum(),
        usable_size=unscaled("size").sum(),
    )
    counts = timed.group_by("run").agg(
        pl.col(MINUTE).first(),
        volume=unscaled("size").sum(),
        trade_count=pl.len().cast(pl.Int64),
        outlier_count=pl.col("is_outlier").sum().cast(pl.Int64),
    )
    return counts.join(prices, "run", "left").with_columns(pl.col("instrument_id").cast(pl.String)).select(*SUMS)


def join_sums(earlier: pl.DataFrame, later: pl.DataFrame) -> pl.DataFrame:
    """Join the sums of earlier and of later trades, which may be of the same minutes."""
    opened, closed = (pl.col(name).drop_nulls() for name in ("open", "close"))
    both = pl.concat([earlier, later]).group_by(MINUTE, maintain_order=True)
    summed = ("value", "usable_size", "volume", "trade_count", "outlier_count")
    joined = both.agg(opened.first(), pl.col("high").max(), pl.col("low").min(), closed.last(), pl.col(summed).sum())
    return joined.select(*SUMS)


def average_prices(sums: pl.DataFrame) -> pl.DataFrame:
    """Turn sums of whole minutes into bars without those of the grid.

    Raises:
        BadInputError: a minute's traded value is too large to be added up exactly.
    """
    refuse_too_large(sums)
    bars = sums.with_columns(
        vwap=pl.when(pl.col("open").is_not_null()).then(average_price()),
        volume=pl.col("volume").reinterpret(dtype=VOLUME),
    )
    return bars.drop("value", "usable_size")


def refuse_too_large(sums: pl.DataFrame) -> None:
    """Refuse minutes whose sum of price times size may have wrapped around: it is at most the high times all sizes.

    Raises:
        BadInputError: there is one.
    """
    most = unscaled("high").cast(pl.Float64) * pl.col("usable_size").cast(pl.Float64)
    for instrument_id, minute in sums.filter(most > LARGEST_SUM).select(MINUTE).head(1).rows():
        raise BadInputError(
            f"{instrument_id}: expected a traded value below 10^22 a minute, found more in {show_minute(minute)}; "
            "have its prices and sizes corrected"
        )


def unscaled(name: str) -> pl.Expr:
    """Return a decimal as whole units of 10^-8; products of such are exact, where Polars rounds those of decimals."""
    return pl.col(name).to_physical()


def average_price() -> pl.Expr:
    """Divide a minute's value by its size, rounded half up to 8 decimals: units of 10^-16 by units of 10^-8."""
    value, size = pl.col("value"), pl.col("usable_size")
    rounded_up = (value % size * 2 >= size).cast(pl.Int128)
    return (value // size + rounded_up).reinterpret(dtype=PRICE)


def show_minute(minute: int) -> str:
    """Write a minute for a person."""
    return f"{datetime.fromtimestamp(minute * 60, UTC):%Y-%m-%d %H:%M} UTC"
