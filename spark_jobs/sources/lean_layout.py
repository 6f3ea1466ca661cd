"""LEAN's folder layout, <asset class>/<market>/tick/<symbol>/<yyyymmdd>_<trade|quote>.zip, with times of day.

The path is the only place that has the day and the symbol. The clock is the data time zone of LEAN's market hours
database, which for futures is UTC and not the exchange's; only equity prices are scaled.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

from spark_jobs.sources.clock import parse_day

PATH = re.compile(
    r"(?:.*/)?(?P<asset>[a-z]+)/(?P<market>[a-z0-9]+)/tick/(?P<symbol>[a-z0-9.\-]+)/(?P<day>\d{8})_(?P<kind>trade|quote)\.zip"
)


@dataclass(frozen=True)
class MarketLayout:
    """How the files of one market are to be read."""

    zone: tzinfo
    price_divisor: int = 1


MARKETS = {
    ("equity", "usa"): MarketLayout(ZoneInfo("America/New_York"), price_divisor=10_000),
    ("future", "cbot"): MarketLayout(UTC),
    ("future", "cfe"): MarketLayout(UTC),
    ("future", "cme"): MarketLayout(UTC),
    ("future", "comex"): MarketLayout(UTC),
    ("future", "nymex"): MarketLayout(UTC),
    ("forex", "fxcm"): MarketLayout(timezone(timedelta(hours=-5))),  # Eastern standard time all year
    ("cfd", "oanda"): MarketLayout(UTC),
}


@dataclass(frozen=True)
class TickFile:
    """What a path of the layout says."""

    asset: str
    market_name: str
    market: MarketLayout
    symbol: str
    """In upper case, as instrument ids spell it: BRK-B for brk.b."""
    day: date

    @property
    def instrument_id(self) -> str:
        """The symbol at its market; futures need the contract's month as well, which is the member's."""
        return f"{self.symbol}.{self.market_name.upper()}"


def parse_path(path: str, kind: str, assets: frozenset[str]) -> TickFile | None:
    """Read a path of the layout; None where it is another, of another kind, or of a market whose clock is not known."""
    match = PATH.fullmatch(path)
    if match is None or match["kind"] != kind or match["asset"] not in assets:
        return None
    market = MARKETS.get((match["asset"], match["market"]))
    symbol = match["symbol"].upper().replace(".", "-")
    day = parse_day(match["day"])
    if market is None or day is None or not symbol[0].isalnum():
        return None
    return TickFile(match["asset"], match["market"], market, symbol, day)
