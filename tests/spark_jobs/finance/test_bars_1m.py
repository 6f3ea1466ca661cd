"""One-minute bars: prices, the grid, and closes carried over gaps and midnight."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import DataFrame, SparkSession

from lakehouse.tables.finance import GOLD_BARS_1M
from spark_jobs.finance.bars_1m import CARRY_DAYS, last_closes, session_frame, transform

DAY = date(2024, 8, 8)
NEXT = DAY + timedelta(days=1)
ONE_DAY = timedelta(days=1)
LATER = datetime(2026, 1, 1, tzinfo=UTC)
"""When every day of these tests is over."""

TRADE_SCHEMA = """instrument_id string, event_date date, ts_event timestamp, sequence bigint, delivery_date date,
price decimal(18,8), size decimal(18,8), is_outlier boolean"""
SESSION_SCHEMA = "instrument_id string, event_date date, session_minute bigint, first_minute bigint, end_minute bigint"
CLOSE_SCHEMA = "event_date date, instrument_id string, close decimal(18,8)"


def at(day: date, clock: str) -> datetime:
    return datetime.fromisoformat(f"{day}T{clock}+00:00")


def minute_of(day: date, clock: str) -> int:
    return int(at(day, clock).timestamp()) // 60


def trade(instrument: str, day: date, clock: str, sequence: int, price: str, size: str = "1", **changes: Any) -> tuple:
    values = {"delivery_date": day, "is_outlier": False} | changes
    time, amounts = at(day, clock), (Decimal(price), Decimal(size))
    return (instrument, day, time, sequence, values["delivery_date"], *amounts, values["is_outlier"])


def session(instrument: str, day: date, opened: str, closed: str, began: str | None = None) -> tuple:
    first, end = minute_of(day, opened), minute_of(day, closed)
    return (instrument, day, minute_of(day, began) if began else first, first, end)


def bars_of(
    spark: SparkSession, trades: Sequence[tuple], sessions: Sequence[tuple], closes: Sequence[tuple] = ()
) -> DataFrame:
    return transform(
        spark.createDataFrame(trades, TRADE_SCHEMA).coalesce(1),  # in the order that the test gives
        spark.createDataFrame(sessions, SESSION_SCHEMA),
        spark.createDataFrame(closes, CLOSE_SCHEMA),
    )


def shown(bars: DataFrame) -> list[str]:
    """Bars as lines: instrument, time, prices, volume, counts, vwap, whether filled, minutes since open."""
    assert bars.columns == list(GOLD_BARS_1M.digest_columns)
    lines = []
    for row in bars.toArrow().sort_by([("instrument_id", "ascending"), ("bar_start", "ascending")]).to_pylist():
        assert row["bar_start"].date() == row["event_date"]
        prices = " ".join(f"{row[name].normalize():f}" for name in ("open", "high", "low", "close"))
        counts = f"{row['volume'].normalize():f} in {row['trade_count']} ({row['outlier_count']} far)"
        filled = " filled" if row["is_filled"] else ""
        bar = f"{row['instrument_id']} {row['bar_start']:%d %H:%M} {prices}, {counts}, vwap {row['vwap']}{filled}"
        lines.append(f"{bar}, {row['minutes_since_open']}")
    return lines


def test_transform_orders_trades_leaves_outliers_out_of_prices_and_fills_the_session(spark):
    trades = [
        # equal times: the sequence decides, and of equal sequences the delivery
        trade("A", DAY, "10:00:00.5", 7, "11", "2"),
        trade("A", DAY, "10:00:00.5", 3, "10"),
        trade("A", DAY, "10:00:59.999999", 9, "12", delivery_date=NEXT),
        trade("A", DAY, "10:00:59.999999", 9, "14"),
        # an outlier is first, last, highest and lowest of nothing, but it is volume
        trade("A", DAY, "10:00:00.4", 1, "120", "5", is_outlier=True),
        # nothing but an outlier: prices are carried, the volume is kept
        trade("A", DAY, "10:02:10", 20, "1", "0.5", is_outlier=True),
        # outside the session
        trade("A", DAY, "12:30:00", 30, "13"),
        # a third that no decimal holds is rounded half up
        trade("B", DAY, "10:01:00", 1, "1", "2"),
        trade("B", DAY, "10:01:30", 2, "2", "1"),
        # one time and sequence from two deliveries, read in either order: the earlier delivery's is the earlier trade
        trade("C", DAY, "12:30:00", 1, "5", delivery_date=NEXT),
        trade("C", DAY, "12:30:00", 1, "6"),
        trade("D", DAY, "12:30:00", 1, "6"),
        trade("D", DAY, "12:30:00", 1, "5", delivery_date=NEXT),
    ]
    sessions = [session("A", DAY, "10:00", "10:04"), session("B", DAY, "10:00", "10:03", began="09:30")]
    assert shown(bars_of(spark, trades, sessions)) == [
        "A 08 10:00 10 14 10 12, 10 in 5 (1 far), vwap 11.60000000, 0",
        "A 08 10:01 12 12 12 12, 0 in 0 (0 far), vwap 12.00000000 filled, 1",
        "A 08 10:02 12 12 12 12, 0.5 in 1 (1 far), vwap 12.00000000 filled, 2",
        "A 08 10:03 12 12 12 12, 0 in 0 (0 far), vwap 12.00000000 filled, 3",
        "A 08 12:30 13 13 13 13, 1 in 1 (0 far), vwap 13.00000000, None",
        # there is no close before 10:01, so there is no bar at 10:00
        "B 08 10:01 1 2 1 2, 3 in 2 (0 far), vwap 1.33333333, 31",
        "B 08 10:02 2 2 2 2, 0 in 0 (0 far), vwap 2.00000000 filled, 32",
        "C 08 12:30 6 6 5 5, 2 in 2 (0 far), vwap 5.50000000, None",
        "D 08 12:30 6 6 5 5, 2 in 2 (0 far), vwap 5.50000000, None",
    ]


def test_transform_carries_closes_over_midnight_for_a_bounded_time(spark):
    far, near = DAY - (CARRY_DAYS + 1) * ONE_DAY, DAY - CARRY_DAYS * ONE_DAY
    trades = [
        trade("A", DAY, "00:01:00", 1, "10"),
        trade("A", NEXT, "00:01:00", 2, "20"),
        trade("A", NEXT + 3 * ONE_DAY, "00:01:00", 3, "30"),
        trade("A", NEXT + (3 + CARRY_DAYS + 1) * ONE_DAY, "00:01:00", 4, "40"),
        trade("B", DAY, "00:01:00", 1, "5"),
        # quiet on its first day: what comes before is too old, so the grid begins with the trade
        trade("C", DAY, "00:01:00", 1, "6"),
    ]
    days = sorted({row[1] for row in trades})
    # one more day with a session but without a trade gets no bars
    sessions = [session(name, day, "00:00", "00:02") for name in "ABC" for day in (*days, NEXT + ONE_DAY)]
    closes = [
        (DAY - ONE_DAY, "A", Decimal("9")),
        (DAY - 2 * ONE_DAY, "A", Decimal("8")),
        # a day between those of the run, which the run does not replace
        (NEXT + 2 * ONE_DAY, "A", Decimal("25")),
        (near, "B", Decimal("4")),
        (far, "C", Decimal("3")),
    ]
    closes_of = [line.split(",")[0].rsplit(" ", 1) for line in shown(bars_of(spark, trades, sessions, closes))]
    assert [(" ".join(start.split(" ")[:3]), close) for start, close in closes_of] == [
        ("A 08 00:00", "9"),
        ("A 08 00:01", "10"),
        ("A 09 00:00", "10"),
        ("A 09 00:01", "20"),
        ("A 12 00:00", "25"),
        ("A 12 00:01", "30"),
        ("A 23 00:01", "40"),
        ("B 08 00:00", "4"),
        ("B 08 00:01", "5"),
        ("C 08 00:01", "6"),
    ]


def test_session_frame_cuts_sessions_to_utc_days_and_counts_from_their_start(spark):
    days = [date(2013, 10, 6), date(2013, 10, 7)]
    frame = session_frame(spark, ["AIG.USA", "GC-201312.COMEX", "XRPETH.BINANCE"], days, LATER)
    sunday, monday = days
    assert sorted(map(tuple, frame.select(*SESSION_SCHEMA.split()[::2]).collect())) == sorted(
        [
            session("AIG.USA", monday, "13:30", "20:00"),
            # from Sunday evening in Chicago to Monday evening, and the next
            (
                "GC-201312.COMEX",
                sunday,
                minute_of(sunday, "22:00"),
                minute_of(sunday, "22:00"),
                minute_of(monday, "00:00"),
            ),
            (
                "GC-201312.COMEX",
                monday,
                minute_of(sunday, "22:00"),
                minute_of(monday, "00:00"),
                minute_of(monday, "22:00"),
            ),
            (
                "GC-201312.COMEX",
                monday,
                minute_of(monday, "22:00"),
                minute_of(monday, "22:00"),
                minute_of(monday + ONE_DAY, "00:00"),
            ),
            *(
                ("XRPETH.BINANCE", day, *[minute_of(day, "00:00")] * 2, minute_of(day + ONE_DAY, "00:00"))
                for day in days
            ),
        ]
    )


@pytest.mark.parametrize(
    ("now", "end"),
    [
        pytest.param("13:00", "13:30", id="before the session there is no minute of it"),
        pytest.param("15:17:59", "15:17", id="within it, the minute that runs is not over"),
        pytest.param("21:00", "20:00", id="after it, the session is whole"),
    ],
)
def test_session_frame_ends_with_what_is_over(spark, now, end):
    monday = date(2013, 10, 7)
    frame = session_frame(spark, ["AIG.USA"], [monday], at(monday, now))
    assert frame.select("first_minute", "end_minute").collect() == [
        (minute_of(monday, "13:30"), minute_of(monday, end))
    ]


@pytest.fixture(scope="module")
def real_trades(real_data: Path) -> pa.Table:
    """Three real days of XRPETH as silver has them."""
    rows: list[dict[str, Any]] = []
    for day in ("2019-10-11", "2019-10-12", "2019-10-13"):
        with zipfile.ZipFile(real_data / f"ticks/binance/XRPETH/XRPETH-trades-{day}.zip") as archive:
            for row in csv.reader(io.TextIOWrapper(archive.open(archive.namelist()[0]))):
                event = datetime.fromtimestamp(int(row[4]) / 1000, UTC)
                rows.append(
                    {
                        "instrument_id": "XRPETH.BINANCE",
                        "event_date": event.date(),
                        "ts_event": event,
                        "sequence": int(row[0]),
                        "delivery_date": date.fromisoformat(day),
                        "price": Decimal(row[1]),
                        "size": Decimal(row[2]),
                        "is_outlier": False,
                    }
                )
    decimal = pa.decimal128(18, 8)
    types = {"ts_event": pa.timestamp("us", "UTC"), "price": decimal, "size": decimal, "event_date": pa.date32()}
    names = [(name, types.get(name, pa.array([value]).type)) for name, value in rows[0].items()]
    return pa.Table.from_pylist(rows, pa.schema(names))


def test_transform_of_real_days_one_by_one_equals_all_at_once(spark, real_trades):
    trades = spark.createDataFrame(real_trades)
    days = [date(2019, 10, 11), date(2019, 10, 12), date(2019, 10, 13)]
    sessions = session_frame(spark, ["XRPETH.BINANCE"], days, LATER)
    none = spark.createDataFrame([], CLOSE_SCHEMA)
    at_once = transform(trades, sessions, none).toArrow().sort_by("bar_start")
    by_day: list[pa.Table] = []
    for day in days:
        earlier = last_closes(spark.createDataFrame(pa.concat_tables(by_day))) if by_day else none
        by_day.append(transform(trades.where(f"event_date = '{day}'"), sessions, earlier).toArrow())
    assert pa.concat_tables(by_day).sort_by("bar_start") == at_once

    # The first trade is of 00:01, and from then on every minute has a bar.
    first, last = datetime(2019, 10, 11, 0, 0, tzinfo=UTC), datetime(2019, 10, 14, tzinfo=UTC)
    starts = at_once["bar_start"].to_pylist()
    begin = min(real_trades["ts_event"].to_pylist()).replace(second=0, microsecond=0)
    assert begin >= first
    assert starts == [begin + timedelta(minutes=number) for number in range((last - begin) // timedelta(minutes=1))]
    assert sum(at_once["volume"].to_pylist()) == sum(real_trades["size"].to_pylist())
    assert sum(at_once["trade_count"].to_pylist()) == 12_477
