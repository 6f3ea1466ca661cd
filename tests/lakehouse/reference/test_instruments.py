"""What an instrument's id says, and when venues are open."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import exchange_calendars
import pytest

from lakehouse.reference.instruments import VENUES, Instrument, describe_instrument, sessions
from lakehouse.tables.finance import GOLD_INSTRUMENTS


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("instrument_id", "expected"),
    [
        pytest.param("BTCUSDT.BINANCE", ("BTCUSDT", "BINANCE", "crypto", "USDT", "24/7"), id="crypto"),
        pytest.param("XRPETH.BINANCE_AGG", ("XRPETH", "BINANCE_AGG", "crypto", "ETH", "24/7"), id="quoted in a coin"),
        pytest.param("BTCFDUSD.BINANCE", ("BTCFDUSD", "BINANCE", "crypto", "FDUSD", "24/7"), id="longest ending"),
        pytest.param("BTC-USD.COINBASE", ("BTC-USD", "COINBASE", "crypto", "USD", "24/7"), id="pair with a dash"),
        pytest.param("ETH.BINANCE", ("ETH", "BINANCE", "crypto", None, "24/7"), id="a currency alone is no pair"),
        pytest.param("AIG.USA", ("AIG", "USA", "equity", "USD", "XNYS"), id="US equity"),
        pytest.param("BRK.B.USA", ("BRK.B", "USA", "equity", "USD", "XNYS"), id="dot in the symbol"),
        pytest.param("GC-201312.COMEX", ("GC-201312", "COMEX", "future", "USD", "CMES"), id="futures contract"),
        pytest.param("EURJPY.FXCM", ("EURJPY", "FXCM", "forex", "JPY", "24/5"), id="forex"),
        pytest.param("SPX500USD.OANDA", ("SPX500USD", "OANDA", "cfd", "USD", "24/5"), id="cfd"),
        pytest.param("US30.OANDA", ("US30", "OANDA", "cfd", None, "24/5"), id="cfd that names no currency"),
        pytest.param("ABC.ELSEWHERE", ("ABC", "ELSEWHERE", "other", None, "24/7"), id="venue is not declared"),
        pytest.param("ABC", ("ABC", "", "other", None, "24/7"), id="no venue"),
    ],
)
def test_describe_instrument_reads_symbol_venue_class_currency_and_calendar(instrument_id, expected):
    assert describe_instrument(instrument_id) == Instrument(instrument_id, *expected)


def test_instrument_has_the_columns_of_the_table():
    assert (*Instrument.__dataclass_fields__, "_ingested_at") == GOLD_INSTRUMENTS.column_names


def test_venues_use_declared_classes_and_calendars_that_exist():
    declared = set(GOLD_INSTRUMENTS.column("asset_class").allowed)
    assert {venue.asset_class for venue in VENUES.values()} <= declared
    assert {venue.calendar for venue in VENUES.values()} <= set(exchange_calendars.get_calendar_names())


@pytest.mark.parametrize(
    ("calendar", "first", "last", "expected"),
    [
        pytest.param(
            "24/7",
            date(2019, 10, 12),
            date(2019, 10, 13),
            [("2019-10-12T00:00", "2019-10-13T00:00"), ("2019-10-13T00:00", "2019-10-14T00:00")],
            id="whole UTC days, weekend too",
        ),
        pytest.param("24/5", date(2014, 5, 3), date(2014, 5, 4), [], id="closed on the weekend"),
        pytest.param(
            "XNYS", date(2013, 10, 7), date(2013, 10, 7), [("2013-10-07T13:30", "2013-10-07T20:00")], id="summer"
        ),
        pytest.param(
            "XNYS",
            date(2013, 11, 27),
            date(2013, 11, 29),
            # the 28th is Thanksgiving, and the day after it closes at one
            [("2013-11-27T14:30", "2013-11-27T21:00"), ("2013-11-29T14:30", "2013-11-29T18:00")],
            id="holiday and early close",
        ),
        pytest.param(
            "CMES",
            date(2013, 10, 7),
            date(2013, 10, 7),
            [("2013-10-06T22:00", "2013-10-07T22:00"), ("2013-10-07T22:00", "2013-10-08T22:00")],
            id="two sessions touch one UTC day",
        ),
        pytest.param(
            "CMES",
            date(2024, 12, 31),
            date(2024, 12, 31),
            [("2024-12-30T23:00", "2024-12-31T23:00")],
            id="no session on the eve of a holiday at the turn of the year",
        ),
        pytest.param(
            "24/7", date(2001, 1, 1), date(2001, 1, 1), [("2001-01-01T00:00", "2001-01-02T00:00")], id="long ago"
        ),
    ],
)
def test_sessions_lists_those_that_touch_the_days(calendar, first, last, expected):
    assert sessions(calendar, first, last) == [(at(opened), at(closed)) for opened, closed in expected]


def test_sessions_of_a_day_do_not_depend_on_the_range_asked_for():
    asked_at_once = sessions("CMES", date(2023, 12, 20), date(2024, 1, 10))
    asked_by_day = [
        session
        for number in range(22)
        for session in sessions("CMES", *[date(2023, 12, 20) + timedelta(days=number)] * 2)
    ]
    assert sorted(set(asked_by_day)) == asked_at_once
