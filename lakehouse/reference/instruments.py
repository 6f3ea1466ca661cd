"""The instrument reference: what an instrument is, told from its id alone, and when its venue is open.

An id is <symbol>.<venue>. A venue that is not declared here trades around the clock in a currency that nobody knows, so
that an unknown feed gets a complete grid of minutes and no made-up facts.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

ALWAYS_OPEN = "24/7"
WEEKDAYS = "24/5"
"""Monday to Friday in whole UTC days; forex opens on Sunday evening, and those trades count as outside a session."""

QUOTE_CURRENCIES = (
    *("FDUSD", "USDT", "USDC", "BUSD", "TUSD", "USDP", "DAI"),
    *("USD", "EUR", "GBP", "JPY", "TRY", "BRL", "AUD", "CAD", "CHF"),
    *("BTC", "ETH", "BNB", "SOL", "XRP", "TRX", "DOGE"),
)
"""Endings of crypto symbols; of several that fit, the longest is the currency (FDUSD before USD)."""


@dataclass(frozen=True)
class Instrument:
    """One row of gold.instruments."""

    instrument_id: str
    symbol: str
    venue: str
    asset_class: str
    currency: str | None
    calendar: str


@dataclass(frozen=True)
class Venue:
    """What all instruments of a venue share, and how a symbol tells its currency."""

    asset_class: str
    calendar: str
    currency_of: Callable[[str], str | None]


def always_usd(symbol: str) -> str:
    """Every price of the venue is in US dollars."""
    return "USD"


def quote_currency(symbol: str) -> str | None:
    """Read the currency at the end of a crypto pair: USDT of BTCUSDT; None where it is none that is known."""
    endings = [code for code in QUOTE_CURRENCIES if symbol.endswith(code) and symbol != code]
    return max(endings, key=len, default=None)


def last_three_letters(symbol: str) -> str | None:
    """Read the currency of EURUSD or SPX500USD; None where the end is no currency code."""
    code = symbol[-3:]
    return code if len(symbol) > 3 and code.isascii() and code.isalpha() and code.isupper() else None


def nobody_knows(symbol: str) -> None:
    """The venue is not declared."""


CRYPTO = Venue("crypto", ALWAYS_OPEN, quote_currency)
CME_GROUP = Venue("future", "CMES", always_usd)
OTHER = Venue("other", ALWAYS_OPEN, nobody_knows)

VENUES = {
    "BINANCE": CRYPTO,
    "BINANCE_AGG": CRYPTO,
    "BITSTAMP": CRYPTO,
    "COINBASE": CRYPTO,
    "FREQTRADE": CRYPTO,
    "USA": Venue("equity", "XNYS", always_usd),
    "CBOT": CME_GROUP,
    "CFE": Venue("future", "XCBF", always_usd),
    "CME": CME_GROUP,
    "COMEX": CME_GROUP,
    "NYMEX": CME_GROUP,
    "FXCM": Venue("forex", WEEKDAYS, last_three_letters),
    "OANDA": Venue("cfd", WEEKDAYS, last_three_letters),
}


def describe_instrument(instrument_id: str) -> Instrument:
    """Tell what an instrument is; the venue is what follows the last dot, empty where there is none."""
    symbol, dot, venue_name = instrument_id.rpartition(".")
    if not dot:
        symbol, venue_name = instrument_id, ""
    venue = VENUES.get(venue_name, OTHER)
    return Instrument(
        instrument_id=instrument_id,
        symbol=symbol,
        venue=venue_name,
        asset_class=venue.asset_class,
        currency=venue.currency_of(symbol),
        calendar=venue.calendar,
    )


def sessions(calendar: str, first: date, last: date) -> list[tuple[datetime, datetime]]:
    """Return open and close, UTC, of every session that has a minute on the UTC days from first to last, both included.

    Holidays have none and early closes are early. A session may begin on the UTC day before `first` (a CMES session
    spans midnight). The calendar 24/7 has one session per UTC day.
    """
    begin = datetime(first.year, first.month, first.day, tzinfo=UTC)
    if calendar == ALWAYS_OPEN:  # the library would only repeat this, after a second of loading
        midnights = [begin + timedelta(days=number) for number in range((last - first).days + 2)]
        return [*pairwise(midnights)]
    end = datetime(last.year, last.month, last.day, tzinfo=UTC) + timedelta(days=1)
    schedule = _schedule(calendar, first.year, last.year)
    touching = schedule[(schedule["close"] > begin) & (schedule["open"] < end)]
    return [
        (opened.to_pydatetime(), closed.to_pydatetime())
        for opened, closed in zip(touching["open"], touching["close"], strict=True)
    ]


@cache
def _schedule(calendar: str, first_year: int, last_year: int) -> pd.DataFrame:
    """Build whole years of sessions: a calendar's own default reaches back 20 years from today only.

    A margin of two weeks on either side holds the sessions that span the turn of the year.
    """
    import exchange_calendars  # a second of processor time, which nobody should need who only asks what an id is
    import pandas as pd

    start = pd.Timestamp(first_year, 1, 1) - timedelta(days=14)
    end = pd.Timestamp(last_year, 12, 31) + timedelta(days=14)
    with warnings.catch_warnings():
        # exchange_calendars 4.13 uses what pandas 4 will change; it can go when the library has followed.
        warnings.simplefilter("ignore", pd.errors.Pandas4Warning)
        schedule: pd.DataFrame = exchange_calendars.get_calendar(calendar, start=start, end=end).schedule
    return schedule
