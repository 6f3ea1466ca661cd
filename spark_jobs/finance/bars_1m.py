"""One-minute bars: open, high, low, close, volume and vwap per instrument, on a complete grid inside sessions.

Reads   lakehouse.silver.trades   the event days; the session calendars; closes of earlier days from gold.bars_1m
Writes  lakehouse.gold.bars_1m    replaces those event days

Outliers move no price but count as volume. A minute without a usable trade carries the instrument's last close, over
midnight too, for at most CARRY_DAYS days: after a longer silence, as before the first trade ever, bars begin with
the next trade. The grid is filled inside sessions only, and only on UTC days on which the instrument traded; on a day
that is not over, up to the minute in which the run began.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from lakehouse import instruments
from lakehouse.instruments import describe_instrument, sessions
from lakehouse.tables.finance import GOLD_BARS_1M, PRICE, SILVER_TRADES, VOLUME
from spark_jobs import gold
from spark_jobs.command_line import main
from spark_jobs.gold import Derivation, gold_job
from spark_jobs.stage import Branch

CARRY_DAYS = 10
"""How many days back a close may be carried from; no declared venue closes for that long."""

INSTRUMENT_DAY = ("event_date", "instrument_id")
MINUTE = (*INSTRUMENT_DAY, "minute")
"""`minute` is whole minutes since 1970-01-01 UTC, here and in the sessions."""

INSTRUMENT_SCHEMA = pa.schema({"instrument_id": pa.string(), "calendar": pa.string()})
SESSION_SCHEMA = pa.schema(
    {
        "calendar": pa.string(),
        "event_date": pa.date32(),
        "session_minute": pa.int64(),
        "first_minute": pa.int64(),
        "end_minute": pa.int64(),
    }
)


def session_frame(
    spark: SparkSession, instrument_ids: Collection[str], days: Collection[date], now: datetime
) -> DataFrame:
    """Say when instruments trade: one row per instrument, UTC day and session that touches it.

    Columns instrument_id, event_date, session_minute (the session's start, maybe on the day before), first_minute and
    end_minute (the session's part of this UTC day until the minute of `now`; the end is exclusive).
    """
    calendars = {instrument_id: describe_instrument(instrument_id).calendar for instrument_id in instrument_ids}
    known = pa.table([pa.array([*calendars]), pa.array([*calendars.values()])], schema=INSTRUMENT_SCHEMA)
    parts = [part for calendar in set(calendars.values()) for day in days for part in session_parts(calendar, day, now)]
    return (
        spark.createDataFrame(known)
        .join(spark.createDataFrame(pa.Table.from_pylist(parts, SESSION_SCHEMA)), "calendar")
        .drop("calendar")
    )


def session_parts(calendar: str, day: date, now: datetime) -> Iterator[dict[str, object]]:
    """Cut the sessions that touch a UTC day to that day, and to what of it is over."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    known_until = min(midnight + timedelta(days=1), now)
    for opened, closed in sessions(calendar, day, day):
        first_minute = whole_minutes(max(opened, midnight))
        yield {
            "calendar": calendar,
            "event_date": day,
            "session_minute": whole_minutes(opened),
            "first_minute": first_minute,
            "end_minute": max(first_minute, whole_minutes(min(closed, known_until))),
        }


def whole_minutes(time: datetime) -> int:
    """Minutes since 1970-01-01 UTC."""
    return int(time.timestamp()) // 60


def last_closes(bars: DataFrame) -> DataFrame:
    """Return the last traded close per instrument and day, which is what `transform` takes as previous closes."""
    traded = bars.where(~F.col("is_filled"))
    return traded.groupBy(*INSTRUMENT_DAY).agg(F.max_by("close", "bar_start").alias("close"))


def aggregate_minutes(trades: DataFrame) -> DataFrame:
    """Turn trades into one row per minute that has some; prices are null where all of them are outliers.

    Trades of the same microsecond are ordered by sequence and then by delivery. Sums are over decimals, so that the
    order in which Spark adds does not matter.
    """
    is_usable = ~F.col("is_outlier")
    price = F.when(is_usable, F.col("price"))
    order = F.when(is_usable, F.struct("ts_event", "sequence", "delivery_date"))
    traded_value = F.sum(F.when(is_usable, F.col("price") * F.col("size")))
    return trades.groupBy(*INSTRUMENT_DAY, F.expr("unix_micros(ts_event) div 60000000").alias("minute")).agg(
        F.min_by(price, order).alias("open"),
        F.max(price).alias("high"),
        F.min(price).alias("low"),
        F.max_by(price, order).alias("close"),
        F.sum("size").cast(VOLUME).alias("volume"),
        F.count("*").alias("trade_count"),
        (traded_value / F.sum(F.when(is_usable, F.col("size")))).cast(PRICE).alias("vwap"),
        F.count_if("is_outlier").alias("outlier_count"),
    )


def session_minutes(traded: DataFrame, sessions: DataFrame) -> DataFrame:
    """List every session minute of the instruments' days that have a trade."""
    last_minute = F.col("end_minute") - 1
    minutes = F.when(last_minute >= F.col("first_minute"), F.sequence("first_minute", last_minute))
    return (
        traded.select(*INSTRUMENT_DAY)
        .distinct()
        .join(F.broadcast(sessions), [*INSTRUMENT_DAY])
        .select(*INSTRUMENT_DAY, "session_minute", F.explode(minutes).alias("minute"))
    )


def fill_prices(minutes: DataFrame, previous_closes: DataFrame) -> DataFrame:
    """Give minutes without a price the close before them, and drop those that have none within CARRY_DAYS."""
    last_minute_of_day = (F.unix_date("event_date") + 1) * F.lit(1440).cast("bigint") - 1
    earlier = previous_closes.select(
        *INSTRUMENT_DAY, last_minute_of_day.alias("minute"), "close", F.lit(True).alias("is_earlier")
    )
    before = Window.partitionBy("instrument_id").orderBy("minute").rowsBetween(Window.unboundedPreceding, -1)
    dated_close = F.when(F.col("close").isNotNull(), F.struct("event_date", "close"))
    age = F.datediff("event_date", "carried.event_date")
    filled = (
        minutes.unionByName(earlier, allowMissingColumns=True)
        .withColumn("carried", F.last(dated_close, ignorenulls=True).over(before))
        .where(F.col("is_earlier").isNull() & (F.col("close").isNotNull() | (age <= CARRY_DAYS)))
    )
    is_filled = F.col("close").isNull()
    prices = {name: F.coalesce(name, "carried.close") for name in ("open", "high", "low", "close", "vwap")}
    counts = {name: F.coalesce(name, F.lit(0)) for name in ("trade_count", "outlier_count")}
    volume = F.coalesce("volume", F.lit(0).cast(VOLUME))
    return filled.withColumns({"is_filled": is_filled, "volume": volume, **prices, **counts})


def transform(trades: DataFrame, sessions: DataFrame, previous_closes: DataFrame) -> DataFrame:
    """Build gold.bars_1m, but for _ingested_at, from all of the days' silver.trades; see `complete_minutes`."""
    return complete_minutes(aggregate_minutes(trades), sessions, previous_closes)


def complete_minutes(traded: DataFrame, sessions: DataFrame, previous_closes: DataFrame) -> DataFrame:
    """Complete the grid of minutes that have trades, and carry closes into it.

    `sessions` is what `session_frame` returns for the instruments and days. `previous_closes` has event_date,
    instrument_id and close (see `last_closes`) of days that are not among the trades' but at most CARRY_DAYS before
    one of them; days need not adjoin, each bar takes the latest close before it.
    """
    minutes = traded.join(session_minutes(traded, sessions), [*MINUTE], "full_outer")
    return (
        fill_prices(minutes, previous_closes)
        .withColumn("bar_start", F.timestamp_micros(F.col("minute") * 60_000_000))
        .withColumn("minutes_since_open", (F.col("minute") - F.col("session_minute")).cast("int"))
        .select(*GOLD_BARS_1M.digest_columns)
    )


def closes_before(bars: DataFrame, day: date) -> DataFrame:
    """Return the closes that a day may carry on from."""
    earlier = F.col("event_date").between(day - timedelta(days=CARRY_DAYS), day - timedelta(days=1))
    return last_closes(bars.where(earlier))


def build(trades: DataFrame, branch: Branch, days: Sequence[date]) -> DataFrame:
    """Compute the days from the closes that the table has before them."""
    traded = aggregate_minutes(trades).persist()  # asked twice: for its instruments, and for the bars
    instrument_ids = [row["instrument_id"] for row in traded.select("instrument_id").distinct().collect()]
    sessions = session_frame(trades.sparkSession, instrument_ids, days, branch.started_at)
    return complete_minutes(traded, sessions, closes_before(branch.read(), min(days)))


def read_state(bars: DataFrame, day: date) -> Mapping[str, Any]:
    """Return each instrument's last close by the end of a day, with its day: it may be too old later on."""
    closes = closes_before(bars, day + timedelta(days=1)).groupBy("instrument_id")
    return {
        row["instrument_id"]: tuple(row["last"])
        for row in closes.agg(F.max(F.struct("event_date", "close")).alias("last")).collect()
    }


def compare_trades(spark: SparkSession, branch: Branch, days: Sequence[date]) -> Mapping[str, Any]:
    """Count what the bars have more or less volume than the trades, and the minutes that a session lacks."""
    trades = spark.table(SILVER_TRADES.full_name).where(F.col("event_date").isin(list(days)))
    bars = branch.read_days(days).persist()
    instrument_ids = [row["instrument_id"] for row in bars.select("instrument_id").distinct().collect()]
    traded = trades.agg(F.sum("size")).first()[0] or 0
    barred = bars.agg(F.sum("volume")).first()[0] or 0
    gaps = count_gaps(bars, session_frame(spark, instrument_ids, days, branch.started_at))
    bars.unpersist()
    return {"volume_difference": abs(traded - barred), "grid_gaps": gaps}


def count_gaps(bars: DataFrame, sessions: DataFrame) -> int:
    """Count session minutes without a bar, from an instrument's first bar of the day on."""
    minute = F.expr("unix_micros(bar_start) div 60000000")
    first_bar = bars.groupBy(*INSTRUMENT_DAY).agg(F.min(minute).alias("first_bar"))
    begin = F.greatest("first_minute", "first_bar")
    expected = sessions.join(first_bar, [*INSTRUMENT_DAY]).select(
        *INSTRUMENT_DAY, F.greatest(F.col("end_minute") - begin, F.lit(0)).alias("minutes")
    )
    inside = bars.where(F.col("minutes_since_open").isNotNull()).count()
    return int((expected.agg(F.sum("minutes")).first()[0] or 0) - inside)


JOB = gold_job(
    "finance.bars_1m",
    Derivation(
        table=GOLD_BARS_1M,
        upstream=SILVER_TRADES,
        transform=build,
        read_state=read_state,
        facts=compare_trades,
        grows_by_itself=True,
    ),
    code=(sys.modules[__name__], instruments, gold),
)

if __name__ == "__main__":
    main(JOB)
