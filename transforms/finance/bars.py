"""Trades of one event day become one-minute bars: sums by minute, a complete grid, closes carried on.

The state that an instrument carries from day to day is its last traded close and the day of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import NamedTuple

import polars as pl

from lakehouse.errors import BadInputError
from lakehouse.tables.finance import GOLD_BARS_1M
from transforms.sorting import sort_rows

TRADE_COLUMNS = ("instrument_id", "ts_event", "sequence", "delivery_date", "price", "size", "is_outlier")
TRADE_ORDER = ("instrument_id", "ts_event", "sequence", "delivery_date")
"""Trades of the same microsecond are ordered by sequence and then by delivery; silver's files mostly come like this."""

SESSION_SCHEMA = {
    "instrument_id": pl.String,
    "session_minute": pl.Int64,
    "first_minute": pl.Int64,
    "end_minute": pl.Int64,
}
MINUTE = ("instrument_id", "minute")
"""`minute` is whole minutes since 1970-01-01 UTC, here and in the sessions."""

MINUTE_US = 60_000_000
PRICE = pl.Decimal(18, 8)
VOLUME = pl.Decimal(28, 8)
LARGEST_SUM = 1.7e38
"""Of price times size in units of 10^-16: what 127 bits hold."""


class Close(NamedTuple):
    """An instrument's last close, and the day that it is of."""

    day: date
    close: Decimal


def make_bars(
    trades: pl.DataFrame, closes: Mapping[str, Close], sessions: pl.DataFrame, day: date
) -> tuple[pl.DataFrame, Mapping[str, Close]]:
    """Build gold.bars_1m, without _ingested_at, from all of some instruments' trades of a day, and their last closes.

    `closes` are those to carry into the day, `sessions` as `complete_minutes` takes them.
    """
    bars = complete_minutes(
        aggregate_minutes(trades), day, sessions, {name: each.close for name, each in closes.items()}
    )
    traded = (
        bars.filter(~pl.col("is_filled")).group_by("instrument_id", maintain_order=True).agg(pl.col("close").last())
    )
    return bars, {name: Close(day, close) for name, close in traded.rows()}


def survey_closes(trades: pl.LazyFrame, day: date) -> Mapping[str, Close | None]:
    """Find each instrument's close of a day; None if all its trades are outliers, so that it carries the one before."""
    closes = last_prices(trades).select("instrument_id", "close").rows()
    return {name: None if close is None else Close(day, close) for name, close in closes}


def last_prices(trades: pl.LazyFrame) -> pl.DataFrame:
    """Count each instrument's trades and find its last price that is no outlier: instrument_id, trades, close.

    Trades are looked at as they stream by, twice: those of each instrument's last moment are few.
    """
    is_usable = ~pl.col("is_outlier")
    counted = trades.group_by("instrument_id").agg(trades=pl.len(), ts_event=pl.col("ts_event").filter(is_usable).max())
    counts = counted.collect(engine="streaming")
    moments = counts.lazy().select("instrument_id", "ts_event")
    latest = trades.filter(is_usable).join(moments, ["instrument_id", "ts_event"], "semi").select(*TRADE_ORDER, "price")
    in_order = latest.collect(engine="streaming").sort(TRADE_ORDER)
    closes = in_order.group_by("instrument_id").agg(close=pl.col("price").last())
    return counts.select("instrument_id", "trades").join(closes, "instrument_id", "left")


def aggregate_minutes(trades: pl.DataFrame) -> pl.DataFrame:
    """Turn trades into one row per minute that has some; prices are null where all of them are outliers.

    Raises:
        BadInputError: a minute's traded value is too large to be added up exactly.
    """
    timed = sort_rows(trades, TRADE_ORDER).with_columns(minute=pl.col("ts_event").to_physical() // MINUTE_US)
    timed = timed.with_columns(run=pl.struct(MINUTE).rle_id())  # in order a minute is a run, whose number groups faster
    usable = timed.filter(~pl.col("is_outlier")).with_columns(value=unscaled("price") * unscaled("size"))
    prices = usable.group_by("run").agg(
        pl.col(MINUTE).first(),
        open=pl.col("price").first(),
        high=pl.col("price").max(),
        low=pl.col("price").min(),
        close=pl.col("price").last(),
        value=pl.col("value").sum(),
        usable_size=unscaled("size").sum(),
    )
    refuse_too_large(prices)
    counts = timed.group_by("run").agg(
        pl.col(MINUTE).first(),
        volume=unscaled("size").sum().reinterpret(dtype=VOLUME),
        trade_count=pl.len().cast(pl.Int64),
        outlier_count=pl.col("is_outlier").sum().cast(pl.Int64),
    )
    prices = prices.with_columns(vwap=average_price()).drop("value", "usable_size", *MINUTE)
    return counts.join(prices, "run", "left").drop("run").with_columns(pl.col("instrument_id").cast(pl.String))


def refuse_too_large(prices: pl.DataFrame) -> None:
    """Refuse minutes whose sum of price times size may have wrapped around: it is at most the high times all sizes.

    Raises:
        BadInputError: there is one.
    """
    most = unscaled("high").cast(pl.Float64) * pl.col("usable_size").cast(pl.Float64)
    for instrument_id, minute in prices.filter(most > LARGEST_SUM).select(MINUTE).head(1).rows():
        raise BadInputError(
            f"{instrument_id}: expected a traded value below 10^22 a minute, found more in "
            f"{datetime.fromtimestamp(minute * 60, UTC):%Y-%m-%d %H:%M} UTC; have its prices and sizes corrected"
        )


def unscaled(name: str) -> pl.Expr:
    """A decimal as whole units of 10^-8; products of such are exact, where Polars rounds those of decimals."""
    return pl.col(name).to_physical()


def average_price() -> pl.Expr:
    """Divide a minute's value by its size, rounded half up to 8 decimals: units of 10^-16 by units of 10^-8."""
    value, size = pl.col("value"), pl.col("usable_size")
    rounded_up = (value % size * 2 >= size).cast(pl.Int128)
    return (value // size + rounded_up).reinterpret(dtype=PRICE)


def complete_minutes(
    traded: pl.DataFrame, day: date, sessions: pl.DataFrame, previous_closes: Mapping[str, Decimal]
) -> pl.DataFrame:
    """Build gold.bars_1m, but for _ingested_at, of one day from its minutes with trades, in the table's order.

    `sessions` has instrument_id, session_minute (the session's start, maybe on the day before), first_minute and
    end_minute (its part of this day that is over, the end exclusive). A minute without a usable trade carries the
    close before it, at first the one in `previous_closes`; where there is none, it gets no bar.
    """
    minutes = sessions.select(
        "instrument_id", "session_minute", minute=pl.int_ranges("first_minute", "end_minute")
    ).explode("minute", empty_as_null=False)
    closes = pl.DataFrame(
        {"instrument_id": [*previous_closes], "previous": [*previous_closes.values()]},
        {"instrument_id": pl.String, "previous": PRICE},
    )
    carried = pl.coalesce(pl.col("close").forward_fill().over("instrument_id"), "previous")
    filled = (
        minutes.join(traded, MINUTE, "full", coalesce=True)
        .join(closes, "instrument_id", "left")
        .sort(MINUTE)
        .with_columns(carried=carried)
        .filter(pl.col("carried").is_not_null())
    )
    return filled.select(
        event_date=pl.lit(day),
        bar_start=(pl.col("minute") * MINUTE_US).cast(pl.Datetime("us", "UTC")),
        is_filled=pl.col("close").is_null(),
        minutes_since_open=(pl.col("minute") - pl.col("session_minute")).cast(pl.Int32),
        instrument_id="instrument_id",
        volume=pl.col("volume").fill_null(Decimal(0)),
        **{name: pl.coalesce(name, "carried") for name in ("open", "high", "low", "close", "vwap")},
        **{name: pl.col(name).fill_null(0) for name in ("trade_count", "outlier_count")},
    ).select(GOLD_BARS_1M.digest_columns)
