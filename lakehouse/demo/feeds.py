"""What the demo's generated files say: trades and quotes in the layouts of the real feeds, with the dirt of real feeds.

Prices are random walks: they look plausible and carry no signal. Every symbol begins with GEN. All numbers are
integers from a seeded PCG64, so the lines differ from seed to seed and never from run to run.

Dirt in each Binance file: a price of zero, a price that is no number, a cut line, an event three days before its
file, an outlier print, a trade sent twice; from the second day on also two trades of the day before, one as it was and
one corrected. In each equity trade file: a price of zero, a misprint of three times the price, rows marked suspicious,
and rows equal to their neighbour that are real trades. In the quotes: one-sided rows (equity), crossed ones and a cut
line (forex).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class LandingFile:
    """One zip with one CSV; paths are below the landing folder."""

    path: PurePosixPath
    member: str
    day: date
    lines: list[str]
    line_end: str = "\n"

    @property
    def content(self) -> bytes:
        """The CSV as it lies in the zip."""
        return "".join(line + self.line_end for line in self.lines).encode("ascii")


@dataclass(frozen=True)
class _Crypto:
    """A generated Binance symbol; prices and sizes in 10^-8, as many decimals as the exchange writes."""

    symbol: str
    rows_per_day: int
    price: int
    tick: int
    reach: int
    """The walk's largest step, in ticks."""
    lot: int


@dataclass(frozen=True)
class _Equity:
    """A generated US equity; prices in 1/10000 dollar, as LEAN writes them."""

    symbol: str
    rows_per_day: int
    price: int
    reach: int


UNITS = 10**8
CRYPTO = (
    _Crypto("GENBTCUSDT", 16_000, price=93_000 * UNITS, tick=UNITS // 100, reach=150, lot=UNITS // 100_000),
    _Crypto("GENETHUSDT", 12_000, price=3_200 * UNITS, tick=UNITS // 100, reach=6, lot=UNITS // 10_000),
    _Crypto("GENXRPUSDT", 8_000, price=2 * UNITS, tick=UNITS // 10_000, reach=2, lot=UNITS // 10),
)
EQUITIES = (_Equity("genaa", 10_000, price=184_2000, reach=3), _Equity("genbb", 7_000, price=37_5500, reach=1))
CENT = 100
EQUITY_QUOTES = 14_000
FOREX_PAIR, FOREX_QUOTES = "genusd", 18_000

DAY_US = 86_400_000_000
HOUR_MS = 3_600_000
PRE_MARKET_MS, OPEN_MS, CLOSE_MS, POST_MARKET_MS = 4 * HOUR_MS, 9 * HOUR_MS + HOUR_MS // 2, 16 * HOUR_MS, 20 * HOUR_MS
EXCHANGES = np.array(["Q", "D", "Z", "N", "P", "K"])
CONDITIONS = np.array(["20000020", "1", "20000020", "1", "20", "2000", "20100000"])
"""LEAN's bit masks as hex text; the repeated two are the common ones in real files."""


def landing_files(days: Sequence[date], seed: int) -> Iterator[LandingFile]:
    """Yield every file of the demo; stocks and quotes have none on a Saturday or Sunday, holidays are not looked up."""
    # A generator of its own per feed: one more symbol or day does not change the files of the others.
    for number, crypto in enumerate(CRYPTO):
        yield from _binance_files(crypto, days, np.random.Generator(np.random.PCG64([seed, 0, number])))
    weekdays = [day for day in days if day.weekday() < 5]
    for number, equity in enumerate(EQUITIES):
        yield from _equity_trade_files(equity, weekdays, np.random.Generator(np.random.PCG64([seed, 1, number])))
    for day in weekdays[:1]:
        yield _equity_quote_file(EQUITIES[0], day, np.random.Generator(np.random.PCG64([seed, 2])))
        yield _forex_quote_file(day, np.random.Generator(np.random.PCG64([seed, 3])))


def _walk(rng: np.random.Generator, start: int, tick: int, reach: int, count: int) -> Integers:
    """Return a random walk on the tick grid, never below one tick."""
    steps = rng.integers(-reach, reach + 1, count)
    return np.maximum(start + tick * np.cumsum(steps), tick)


def _decimal(units: int) -> str:
    return f"{units // UNITS}.{units % UNITS:08d}"


def _units(decimal: str) -> int:
    return int(decimal.replace(".", ""))


def _binance_files(crypto: _Crypto, days: Sequence[date], rng: np.random.Generator) -> Iterator[LandingFile]:
    count = crypto.rows_per_day
    start, next_id = crypto.price, int(rng.integers(10**8, 10**9))
    before: list[str] = []
    for day in days:
        midnight_us = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1_000_000
        times = midnight_us + np.sort(rng.integers(0, DAY_US, count))
        prices = _walk(rng, start, crypto.tick, crypto.reach, count)
        sizes = crypto.lot * rng.integers(1, 60, count) * rng.integers(1, 60, count)
        makers = rng.integers(0, 2, count)
        start = int(prices[-1])
        rows = zip(prices.tolist(), sizes.tolist(), times.tolist(), makers.tolist(), strict=True)
        lines = [
            _binance_line(next_id + number, price, size, time_us, maker)
            for number, (price, size, time_us, maker) in enumerate(rows)
        ]
        dirty = _binance_dirt(crypto, lines, before)
        before, next_id = lines, next_id + count
        name = f"{crypto.symbol}-trades-{day}"
        yield LandingFile(PurePosixPath("binance", crypto.symbol, f"{name}.zip"), f"{name}.csv", day, dirty)


def _binance_line(trade_id: int, price: int, size: int, time_us: int, maker: int) -> str:
    quote = _decimal(price * size // UNITS)
    return f"{trade_id},{_decimal(price)},{_decimal(size)},{quote},{time_us},{'true' if maker else 'false'},true"


def _binance_dirt(crypto: _Crypto, lines: list[str], before: list[str]) -> list[str]:
    """Return a day's lines with what goes wrong in real life; `before` is the clean day before."""
    dirty, tenth = list(lines), len(lines) // 10
    trade_id, price, size, quote, time_us, *rest = lines[tenth].split(",")
    dirty[tenth] = ",".join((trade_id, _decimal(0), size, quote, time_us, *rest))
    trade_id, _, *rest = lines[2 * tenth].split(",")
    dirty[2 * tenth] = ",".join((trade_id, "n/a", *rest))
    dirty[3 * tenth] = lines[3 * tenth][:20]  # cut: too few fields
    trade_id, price, size, quote, time_us, *rest = lines[4 * tenth].split(",")
    dirty[4 * tenth] = ",".join((trade_id, price, size, quote, str(int(time_us) - 3 * DAY_US), *rest))
    trade_id, price, *rest = lines[5 * tenth].split(",")
    outlier = _units(price) * 14 // 10
    dirty[5 * tenth] = ",".join((trade_id, _decimal(outlier), *rest))
    dirty.insert(6 * tenth + 3, lines[6 * tenth])  # sent twice, equal
    if before:
        # Two trades of the day before come again with this file: one as it was, one corrected.
        trade_id, price, *rest = before[-tenth].split(",")
        corrected = ",".join((trade_id, _decimal(_units(price) + crypto.tick), *rest))
        dirty[7 * tenth : 7 * tenth] = [before[-2 * tenth], corrected]
    return dirty


def _session_times_ms(rng: np.random.Generator, count: int) -> Integers:
    """Return ascending milliseconds since midnight in New York, nine of ten within the regular session."""
    place = rng.integers(0, 20, count)
    regular = rng.integers(OPEN_MS, CLOSE_MS, count)
    early, late = rng.integers(PRE_MARKET_MS, OPEN_MS, count), rng.integers(CLOSE_MS, POST_MARKET_MS, count)
    return np.sort(np.where(place == 0, early, np.where(place == 1, late, regular)))


def _equity_trade_files(equity: _Equity, days: Sequence[date], rng: np.random.Generator) -> Iterator[LandingFile]:
    count, start = equity.rows_per_day, equity.price
    for day in days:
        prices = _walk(rng, start, CENT, equity.reach, count)
        start = int(prices[-1])
        prices[count // 3] = 0
        prices[count // 2] *= 3  # a misprint
        suspicious = (rng.integers(0, count // 4, count) == 0).astype(np.int64)
        columns = (
            _session_times_ms(rng, count),
            prices,
            100 * rng.integers(1, 8, count) * rng.integers(1, 4, count),
            EXCHANGES[rng.integers(0, len(EXCHANGES), count)],
            CONDITIONS[rng.integers(0, len(CONDITIONS), count)],
            suspicious,
        )
        lines = [",".join(map(str, row)) for row in zip(*(column.tolist() for column in columns), strict=True)]
        # The feed has no trade id: an order that meets several equal ones prints equal rows, each a real trade.
        copies = 1 + (rng.integers(0, 12, count) == 0)
        lines = [line for line, times in zip(lines, copies.tolist(), strict=True) for _ in range(times)]
        folder = PurePosixPath("equity/usa/tick", equity.symbol)
        member = f"{day:%Y%m%d}_{equity.symbol}_Trade_Tick.csv"
        yield LandingFile(folder / f"{day:%Y%m%d}_trade.zip", member, day, lines)


def _equity_quote_file(equity: _Equity, day: date, rng: np.random.Generator) -> LandingFile:
    bids = _walk(rng, equity.price, CENT, equity.reach, EQUITY_QUOTES)
    asks = bids + CENT * rng.integers(1, 4, EQUITY_QUOTES)
    bid_sizes, ask_sizes = 100 * rng.integers(1, 30, (2, EQUITY_QUOTES))
    # Most rows update one side; zeros stand for the other.
    sides = rng.integers(0, 5, EQUITY_QUOTES)
    has_bid, has_ask = sides != 0, (sides == 0) | (sides == 4)
    columns = (
        _session_times_ms(rng, EQUITY_QUOTES),
        bids * has_bid,
        bid_sizes * has_bid,
        asks * has_ask,
        ask_sizes * has_ask,
        EXCHANGES[rng.integers(0, len(EXCHANGES), EQUITY_QUOTES)],
    )
    rows = zip(*(column.tolist() for column in columns), strict=True)
    lines = [",".join(map(str, row)) + ",1,0" for row in rows]
    folder = PurePosixPath("equity/usa/tick", equity.symbol)
    member = f"{day:%Y%m%d}_{equity.symbol}_Quote_Tick.csv"
    return LandingFile(folder / f"{day:%Y%m%d}_quote.zip", member, day, lines)


def _forex_quote_file(day: date, rng: np.random.Generator) -> LandingFile:
    """Milliseconds since midnight in fixed UTC-05, five decimals, CRLF, a few quotes crossed, one line cut."""
    times = np.sort(rng.integers(0, 24 * HOUR_MS, FOREX_QUOTES))
    bids = _walk(rng, 1_08500, 1, 2, FOREX_QUOTES)
    spreads = rng.integers(1, 4, FOREX_QUOTES)
    spreads[:: FOREX_QUOTES // 12] *= -1
    rows = zip(times.tolist(), bids.tolist(), (bids + spreads).tolist(), strict=True)
    lines = [f"{ms},{bid // 10**5}.{bid % 10**5:05d},{ask // 10**5}.{ask % 10**5:05d}" for ms, bid, ask in rows]
    lines[FOREX_QUOTES // 2 + 7] = lines[FOREX_QUOTES // 2 + 7].rpartition(",")[0]
    path = PurePosixPath("forex/fxcm/tick", FOREX_PAIR, f"{day:%Y%m%d}_quote.zip")
    return LandingFile(path, f"{day:%Y%m%d}_{FOREX_PAIR}_tick_quote.csv", day, lines, line_end="\r\n")
