"""One-minute bars: prices, the grid, and closes carried over gaps and midnight."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal, localcontext
from pathlib import Path
from random import Random
from typing import Any

import polars as pl
import pytest

from lakehouse.errors import BadInputError
from lakehouse.tables.finance import GOLD_BARS_1M
from transforms.finance.bars import SESSION_SCHEMA, BarState, last_prices, make_bars, survey_closes
from transforms.finance.minutes import average_prices, sum_minutes

DAY = date(2024, 8, 8)
NEXT = DAY + timedelta(days=1)
ONE_DAY = timedelta(days=1)
LATER = datetime(2026, 1, 1, tzinfo=UTC)
"""When every day of these tests is over."""

DECIMAL = pl.Decimal(18, 8)
TRADE_SCHEMA = {
    "instrument_id": pl.String,
    "event_date": pl.Date,
    "ts_event": pl.Datetime("us", "UTC"),
    "sequence": pl.Int64,
    "delivery_date": pl.Date,
    "price": DECIMAL,
    "size": DECIMAL,
    "is_outlier": pl.Boolean,
}


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
    return (day, instrument, minute_of(day, began) if began else first, first, end)


def trade_frame(trades: Sequence[tuple]) -> pl.DataFrame:
    return pl.DataFrame(trades, TRADE_SCHEMA, orient="row")


CARRY_DAYS = 10
"""How old a close may be that a day begins with, as the job carries it."""


def bars_of(
    trades: pl.DataFrame, sessions: Sequence[tuple], closes: Mapping[str, BarState] | None = None
) -> pl.DataFrame:
    """The bars of the days, one after another; a survey of a day's trades finds the closes that its bars end with."""
    latest, parts = dict(closes or {}), []
    for (day,), rows in sorted(trades.partition_by("event_date", as_dict=True, maintain_order=True).items()):
        carried = {name: close for name, close in latest.items() if day - close.day <= CARRY_DAYS * ONE_DAY}
        names = set(rows["instrument_id"])
        parts_of_day = [row[1:] for row in sessions if row[0] == day and row[1] in names]
        session_rows = pl.DataFrame(parts_of_day, SESSION_SCHEMA, orient="row")
        start = {name: close for name, close in carried.items() if name in names}
        bars, after = make_bars(rows, start, session_rows, day)
        survey = survey_closes(rows.reverse().lazy(), day)
        assert start | {name: close for name, close in survey.items() if close is not None} == after
        assert set(survey) == names
        latest |= after
        parts.append(bars)
    return pl.concat(parts)


def shown(bars: pl.DataFrame) -> list[str]:
    """Bars as lines: instrument, time, prices, volume, counts, vwap, whether filled, minutes since open."""
    assert bars.columns == list(GOLD_BARS_1M.digest_columns)
    lines = []
    for row in bars.sort("instrument_id", "bar_start").to_dicts():
        assert row["bar_start"].date() == row["event_date"]
        prices = " ".join(f"{row[name].normalize():f}" for name in ("open", "high", "low", "close"))
        counts = f"{row['volume'].normalize():f} in {row['trade_count']} ({row['outlier_count']} far)"
        filled = " filled" if row["is_filled"] else ""
        bar = f"{row['instrument_id']} {row['bar_start']:%d %H:%M} {prices}, {counts}, vwap {row['vwap']}{filled}"
        lines.append(f"{bar}, {row['minutes_since_open']}")
    return lines


def test_last_prices_orders_trades_of_one_moment_in_whatever_order_they_are_read():
    trades = trade_frame(
        [
            trade("A", DAY, "10:00:00.5", 3, "10"),
            trade("A", DAY, "10:00:00.5", 9, "11", delivery_date=NEXT),
            trade("A", DAY, "10:00:00.5", 9, "12"),
            trade("A", DAY, "10:00:00.5", 10, "98", is_outlier=True),
            trade("A", DAY, "10:00:00.7", 1, "99", is_outlier=True),
            trade("B", DAY, "09:00:00", 1, "99", is_outlier=True),
        ]
    )
    for read in (trades, trades.reverse()):
        assert sorted(last_prices(read.lazy()).rows()) == [("A", 5, Decimal(11)), ("B", 1, None)]


def test_bars_order_trades_leave_outliers_out_of_prices_and_fill_the_session():
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
    assert shown(bars_of(trade_frame(trades), sessions)) == [
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


def test_sums_and_averages_are_exact_up_to_38_digits():
    largest = "9999999999.99999999"
    trades = [
        trade("A", DAY, "10:00:00", 1, largest, largest),
        trade("A", DAY, "10:00:01", 2, largest, largest),
        # half a unit of the last place is rounded up
        trade("A", DAY, "10:01:00", 3, "0.00000001"),
        trade("A", DAY, "10:01:01", 4, "0.00000002"),
    ]
    assert shown(bars_of(trade_frame(trades), [])) == [
        f"A 08 10:00 {largest} {largest} {largest} {largest}, 19999999999.99999998 in 2 (0 far), vwap {largest}, None",
        "A 08 10:01 0.00000001 0.00000002 0.00000001 0.00000002, 2 in 2 (0 far), vwap 2E-8, None",
    ]

    random = Random(5)
    rows = []
    for number in range(300):
        price, size = (Decimal(random.randrange(1, 10 ** random.randrange(1, 18))).scaleb(-8) for _ in range(2))
        rows.append(trade("A", DAY, f"10:{number % 20:02}:00", number, f"{price:f}", f"{size:f}"))
    minutes = average_prices(sum_minutes(trade_frame(random.sample(rows, len(rows))))).sort("minute")
    with localcontext(prec=100):
        values = [sum(row[5] * row[6] for row in rows[minute::20]) for minute in range(20)]
        sizes = [sum(row[6] for row in rows[minute::20]) for minute in range(20)]
        quotients = [value / size for value, size in zip(values, sizes, strict=True)]
        expected = [quotient.quantize(Decimal("1e-8"), ROUND_HALF_UP) for quotient in quotients]
    assert minutes["volume"].to_list() == sizes
    assert minutes["vwap"].to_list() == expected


def test_a_minute_whose_value_cannot_be_added_up_exactly_is_refused():
    largest = "9999999999.99999999"
    trades = [trade("A", DAY, "10:00:00", number, largest, largest) for number in range(170)]
    assert average_prices(sum_minutes(trade_frame(trades)))["vwap"].to_list() == [Decimal(largest)]
    trades.append(trade("A", DAY, "10:00:00", 170, largest, largest))
    with pytest.raises(BadInputError, match=r"A: expected a traded value below .* a minute, .* 2024-08-08 10:00 UTC"):
        average_prices(sum_minutes(trade_frame(trades)))


def test_bars_carry_closes_over_midnight_for_a_bounded_time():
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
    closes = {
        "A": BarState(DAY - ONE_DAY, Decimal("9")),
        "B": BarState(near, Decimal("4")),
        "C": BarState(far, Decimal("3")),
    }
    bars = bars_of(trade_frame(trades), sessions, closes)
    closes_of = [line.split(",")[0].rsplit(" ", 1) for line in shown(bars)]
    assert [(" ".join(start.split(" ")[:3]), close) for start, close in closes_of] == [
        ("A 08 00:00", "9"),
        ("A 08 00:01", "10"),
        ("A 09 00:00", "10"),
        ("A 09 00:01", "20"),
        ("A 12 00:00", "20"),
        ("A 12 00:01", "30"),
        ("A 23 00:01", "40"),
        ("B 08 00:00", "4"),
        ("B 08 00:01", "5"),
        ("C 08 00:01", "6"),
    ]


def test_bars_of_a_day_of_outliers_alone_carry_on_what_was_before():
    trades = [
        trade("A", DAY, "00:01:00", 1, "10"),
        trade("A", NEXT, "00:01:00", 2, "99", is_outlier=True),
        trade("A", NEXT + ONE_DAY, "00:01:00", 3, "11"),
        # never a price: no bar, as there is nothing to carry
        trade("B", DAY, "00:01:00", 1, "5", is_outlier=True),
    ]
    sessions = [session("A", day, "00:01", "00:02") for day in (DAY, NEXT, NEXT + ONE_DAY)]
    assert shown(bars_of(trade_frame(trades), sessions)) == [
        "A 08 00:01 10 10 10 10, 1 in 1 (0 far), vwap 10.00000000, 0",
        "A 09 00:01 10 10 10 10, 1 in 1 (1 far), vwap 10.00000000 filled, 0",
        "A 10 00:01 11 11 11 11, 1 in 1 (0 far), vwap 11.00000000, 0",
    ]


@pytest.fixture(scope="module")
def real_trades(real_data: Path) -> pl.DataFrame:
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
    return pl.DataFrame(rows, TRADE_SCHEMA)


def test_bars_of_real_days_one_by_one_equal_all_at_once(real_trades):
    days = [date(2019, 10, 11), date(2019, 10, 12), date(2019, 10, 13)]
    sessions = [session("XRPETH.BINANCE", day, "00:00", "23:59") for day in days]
    sessions = [(*row[:-1], row[-1] + 1) for row in sessions]  # around the clock
    at_once = bars_of(real_trades, sessions)
    by_day: list[pl.DataFrame] = []
    for day in days:
        closes = {"XRPETH.BINANCE": BarState(day - ONE_DAY, by_day[-1]["close"][-1])} if by_day else {}
        by_day.append(bars_of(real_trades.filter(pl.col("event_date") == day), sessions, closes))
    assert pl.concat(by_day).equals(at_once)

    # The first trade is of 00:01, and from then on every minute has a bar.
    first, last = datetime(2019, 10, 11, 0, 0, tzinfo=UTC), datetime(2019, 10, 14, tzinfo=UTC)
    begin = real_trades["ts_event"].min().replace(second=0, microsecond=0)
    assert begin >= first
    minutes = [begin + timedelta(minutes=number) for number in range((last - begin) // timedelta(minutes=1))]
    assert at_once["bar_start"].to_list() == minutes
    assert at_once["volume"].sum() == real_trades["size"].sum()
    assert at_once["trade_count"].sum() == 12_477
