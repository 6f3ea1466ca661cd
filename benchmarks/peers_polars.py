"""Polars doing the product's work on bare Parquet (what exactly: benchmarks/peer.py).

python benchmarks/peers_polars.py LANDING WORK [--days 2026-01-01..2026-02-01]
"""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from pathlib import Path

from peer import (
    OUTLIER_FLOOR_RATIO,
    OUTLIER_MINIMUM_TRADES,
    OUTLIER_SPREADS,
    OUTLIER_WINDOW,
    THREADS,
    Run,
    run_peer,
)

os.environ["POLARS_MAX_THREADS"] = str(THREADS)  # read once, when polars is imported

import polars as pl

CSV_SCHEMA = pl.Schema(
    {
        "instrument_id": pl.String,
        "ts_event_us": pl.Int64,
        "price": pl.Decimal(18, 8),
        "size": pl.Decimal(18, 8),
        "trade_id": pl.String,
        "aggressor_side": pl.String,
    }
)
MINUTE = timedelta(minutes=1)
INSTRUMENT = "instrument_id"


def write(rows: pl.DataFrame, path: Path) -> None:
    rows.write_parquet(path, compression="zstd", compression_level=1)


def bronze(run: Run) -> None:
    for day in run.days:
        rows = pl.scan_csv([str(path) for path in run.csv_files(day)], schema=CSV_SCHEMA).collect()
        write(rows, run.bronze(day))


def silver(run: Run) -> None:
    for day in run.days:
        rows = (
            pl.scan_parquet(run.bronze(day))
            .filter(pl.col("price") > 0, pl.col("size") > 0)
            .unique([INSTRUMENT, "trade_id"], keep="last", maintain_order=False)
            .select(
                INSTRUMENT,
                pl.from_epoch("ts_event_us", "us").alias("ts_event"),
                pl.col("trade_id").cast(pl.Int64).alias("sequence"),
                "trade_id",
                "price",
                "size",
                "aggressor_side",
            )
            .sort(INSTRUMENT, "ts_event", "sequence")
            .collect()
        )
        write(flag_outliers(rows), run.silver(day))


def flag_outliers(trades: pl.DataFrame) -> pl.DataFrame:
    """Add is_outlier to one day's trades in the order of their time.

    The window's extremes rule out nearly all trades, so that medians are only taken where a price in the window is far
    enough away.
    """
    price = pl.col("price").cast(pl.Float64)
    lowest, highest = (
        extreme(OUTLIER_WINDOW, min_samples=1).shift(1).over(INSTRUMENT)
        for extreme in (price.rolling_min, price.rolling_max)
    )
    row, number = pl.int_range(pl.len()), pl.int_range(pl.len()).over(INSTRUMENT)
    is_candidate = number.ge(OUTLIER_MINIMUM_TRADES) & (
        pl.max_horizontal(price - lowest, highest - price) > OUTLIER_FLOOR_RATIO * lowest
    )
    candidates = (
        trades.lazy().select(row=row, number=number, price=price, is_candidate=is_candidate).filter("is_candidate")
    )
    first_row = pl.col("row") - pl.min_horizontal("number", OUTLIER_WINDOW)
    windows = candidates.select("row", "price", before=pl.int_ranges(first_row, "row")).explode("before").collect()
    earlier = trades["price"].cast(pl.Float64)[windows["before"]]
    middle = pl.col("earlier").median()
    spread = (pl.col("earlier") - middle).abs().median()
    tolerance = pl.max_horizontal(OUTLIER_SPREADS * spread, OUTLIER_FLOOR_RATIO * middle)
    outliers = (
        windows.with_columns(earlier=earlier)
        .group_by("row")
        .agg(is_outlier=(pl.col("price").first() - middle).abs() > tolerance)
        .filter("is_outlier")
    )
    return trades.with_columns(is_outlier=row.is_in(outliers["row"].implode()))


def gold(run: Run) -> None:
    before = run.bars(run.day_before)
    bars = fill_minutes(traded_minutes(run), pl.read_parquet(before) if before.exists() else None, run)
    features = add_indicators(bars)
    for day in run.days:
        is_of_day = pl.col("bar_start").dt.date() == day
        write(bars.filter(is_of_day), run.bars(day))
        write(features.filter(is_of_day), run.features(day))


def traded_minutes(run: Run) -> pl.DataFrame:
    """Return a bar for every minute with a trade; the rows of a silver file are in the order of their time."""
    usable = ~pl.col("is_outlier")
    price, size = pl.col("price").filter(usable), pl.col("size").filter(usable)
    turnover = (price.cast(pl.Float64) * size.cast(pl.Float64)).sum()
    return (
        pl.scan_parquet([run.silver(day) for day in run.days])
        .group_by(INSTRUMENT, pl.col("ts_event").dt.truncate("1m").alias("bar_start"))
        .agg(
            open=price.first(),
            high=price.max(),
            low=price.min(),
            close=price.last(),
            volume=pl.col("size").sum().cast(pl.Decimal(28, 8)),
            trade_count=pl.len().cast(pl.Int64),
            vwap=(turnover / size.cast(pl.Float64).sum()).fill_nan(None).round(8).cast(pl.Decimal(18, 8)),
            outlier_count=pl.col("is_outlier").sum().cast(pl.Int64),
        )
        .collect()
    )


def fill_minutes(traded: pl.DataFrame, before: pl.DataFrame | None, run: Run) -> pl.DataFrame:
    """Return the whole grid, behind the bars of the day before where there are some."""
    known = traded.with_columns(is_filled=pl.col("close").is_null())
    if before is not None:
        known = pl.concat([before.select(known.columns), known])
    first_bars = known.group_by(INSTRUMENT).agg(pl.col("bar_start").min())
    last_bar = datetime.combine(run.last_exclusive, datetime.min.time()) - MINUTE
    grid = first_bars.with_columns(pl.datetime_ranges("bar_start", last_bar, MINUTE, time_unit="us")).explode(
        "bar_start"
    )
    last_close = pl.col("close").forward_fill().over(INSTRUMENT)
    return (
        grid.join(known, [INSTRUMENT, "bar_start"], "left")
        .sort(INSTRUMENT, "bar_start")
        .with_columns(close=last_close)
        .with_columns(
            *(pl.col(name).fill_null(pl.col("close")) for name in ("open", "high", "low", "vwap")),
            pl.col("volume").fill_null(0),
            pl.col("trade_count").fill_null(0),
            pl.col("outlier_count").fill_null(0),
            pl.col("is_filled").fill_null(True),
        )
    )


def exponential_mean(values: pl.Expr, weight: float, first_row: int, count: int) -> pl.Expr:
    """Return e(t) = (1 - weight) e(t-1) + weight x(t), which starts at `first_row` with the mean of `count` values."""
    row = pl.int_range(pl.len())
    start = values.slice(first_row - count + 1, count).mean()
    seeded = pl.when(row > first_row).then(values).when(row == first_row).then(start)
    return seeded.ewm_mean(alpha=weight, adjust=False, ignore_nulls=True)


def add_indicators(bars: pl.DataFrame) -> pl.DataFrame:
    """Return the features of every bar; null until there are enough bars."""
    close, volume, change = pl.col("close"), pl.col("volume"), pl.col("close").diff()
    deviation = close.rolling_std(20, ddof=0)
    volume_deviation = pl.when(volume.rolling_max(30) > volume.rolling_min(30)).then(volume.rolling_std(30, ddof=0))
    squares = close.log().diff().pow(2).rolling_sum(30)  # a running sum: rounding may leave it just below zero
    gain = exponential_mean(change.clip(lower_bound=0), 1 / 14, 14, 14)
    loss = exponential_mean((-change).clip(lower_bound=0), 1 / 14, 14, 14)
    macd = exponential_mean(close, 2 / 13, 25, 12) - exponential_mean(close, 2 / 27, 25, 26)
    rsi = pl.when(gain + loss >= 1e-14).then(100 * gain / (gain + loss)).when(gain.is_not_null()).then(0.0)
    return (
        bars.lazy()
        .select(INSTRUMENT, "bar_start", pl.col("close", "volume").cast(pl.Float64), "is_filled")
        .with_columns(
            log_return=close.log().diff().over(INSTRUMENT),
            sma_20=close.rolling_mean(20).over(INSTRUMENT),
            sma_50=close.rolling_mean(50).over(INSTRUMENT),
            ema_12=exponential_mean(close, 2 / 13, 11, 12).over(INSTRUMENT),
            ema_26=exponential_mean(close, 2 / 27, 25, 26).over(INSTRUMENT),
            macd=macd.over(INSTRUMENT),
            rsi_14=rsi.over(INSTRUMENT),
            bollinger_upper=(close.rolling_mean(20) + 2 * deviation).over(INSTRUMENT),
            bollinger_lower=(close.rolling_mean(20) - 2 * deviation).over(INSTRUMENT),
            realized_volatility_30=squares.clip(lower_bound=0).sqrt().over(INSTRUMENT),
            volume_zscore_30=((volume - volume.rolling_mean(30)) / volume_deviation).over(INSTRUMENT),
        )
        .with_columns(macd_signal=exponential_mean(pl.col("macd"), 2 / 10, 33, 9).over(INSTRUMENT))
        .with_columns(macd_histogram=pl.col("macd") - pl.col("macd_signal"))
        .with_columns(macd=pl.when(pl.col("macd_signal").is_not_null()).then(pl.col("macd")))
        .drop("volume")
        .collect()
    )


if __name__ == "__main__":
    run_peer({"bronze": bronze, "silver": silver, "gold": gold})
