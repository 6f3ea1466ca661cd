"""Generated trades for the benchmark, in the canonical layout that the product reads.

    python benchmarks/generate.py LANDING [--rows 20000000] [--days 31] [--seed 7] [--processes 2]

Writes  LANDING/canonical/trades/generated/<day>_<part>.csv.gz   two files a day: 1 until noon UTC, 2 from noon on
        LANDING/GENERATED.txt

50 symbols of very different size, one price walk each. The dirt, in shares of all rows: 1 % are trades sent again up
to ten minutes later (half as they were, half with a time of 1 to 1000 ms later), 0.05 % have a price and 0.05 % a size
of zero or less, 0.01 % a price ten times too high or low; 2 % of the rows arrive up to 5 s late. A trade may be sent
again in the day's second file. The same arguments and versions give the same rows.
"""

from __future__ import annotations

import argparse
import gzip
import itertools
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv

FIRST_DAY = date(2026, 1, 1)
FIRST_DAY_US = 1_767_225_600_000_000
DAY_US = 86_400_000_000
SYMBOLS = np.array([f"SYM{number:02d}USDT.GEN" for number in range(50)])
WEIGHTS = 1.0 / (np.arange(len(SYMBOLS)) + 4.0)
RESENT_SHARE, BAD_PRICE_SHARE, BAD_SIZE_SHARE, SPIKE_SHARE, LATE_SHARE = 0.01, 0.0005, 0.0005, 0.0001, 0.02
PRICE_DECIMALS, SIZE_DECIMALS = 6, 4
LANDING_SUBFOLDER = Path("canonical", "trades", "generated")


@dataclass(frozen=True)
class DayPlan:
    """What one day continues from: rows to write, and per symbol the trades, the first trade id and the price level."""

    number: int
    seed: int
    rows: int
    trades: np.ndarray
    first_ids: np.ndarray
    levels: np.ndarray

    @property
    def day(self) -> date:
        return FIRST_DAY + timedelta(days=self.number)


def plan_days(rows: int, days: int, seed: int) -> list[DayPlan]:
    """Share out the rows, so that each day can be written without the others."""
    rng = np.random.default_rng([seed, 0])
    rows_per_day = np.full(days, rows // days) + (np.arange(days) < rows % days)
    trades = np.stack(
        [rng.multinomial(int(count * (1 - RESENT_SHARE)), WEIGHTS / WEIGHTS.sum()) for count in rows_per_day]
    )
    first_ids = 1 + np.vstack([np.zeros(len(SYMBOLS), np.int64), np.cumsum(trades, axis=0)[:-1]])
    levels = np.exp(rng.uniform(np.log(0.1), np.log(60_000), len(SYMBOLS)))
    levels = levels * np.exp(np.cumsum(rng.normal(0, 0.01, (days, len(SYMBOLS))), axis=0))
    return [
        DayPlan(number, seed, int(rows_per_day[number]), trades[number], first_ids[number], levels[number])
        for number in range(days)
    ]


def write_day(plan: DayPlan, folder: Path) -> int:
    """Write the two files of a day; return their rows."""
    rng = np.random.default_rng([plan.seed, 1 + plan.number])
    symbol = np.repeat(np.arange(len(SYMBOLS)), plan.trades)
    count, resent = len(symbol), plan.rows - len(symbol)
    # Two seconds before midnight: a trade sent again a second later is still of this day.
    within_day = rng.integers(0, DAY_US - 2_000_000, count)
    within_day = within_day[np.lexsort((within_day, symbol))]
    trade_id = np.arange(count) - np.repeat(np.cumsum(plan.trades) - plan.trades, plan.trades)
    trade_id += np.repeat(plan.first_ids, plan.trades)
    price = _prices(rng, plan)
    size = 1 + (rng.lognormal(0, 1.2, count) * 10.0 ** (SIZE_DECIMALS + 2) / np.sqrt(plan.levels[symbol])).astype(
        np.int64
    )
    _add_dirt(rng, price, size)
    is_buy = rng.random(count) < 0.5
    arrival = within_day + np.where(rng.random(count) < LATE_SHARE, rng.integers(0, 5_000_000, count), 0)

    again = rng.choice(count, resent, replace=False)
    moved = np.where(rng.random(resent) < 0.5, rng.integers(1_000, 1_000_001, resent), 0)
    again_arrival = arrival[again] + rng.integers(1_000_000, 600_000_000, resent)
    arrival = np.concatenate([arrival, again_arrival])
    order = np.argsort(arrival, kind="stable")
    row = np.concatenate([np.arange(count), again])[order]
    time_us = np.concatenate([within_day, within_day[again] + moved])[order]
    table = pa.table(
        {
            "instrument_id": pa.DictionaryArray.from_arrays(pa.array(symbol[row].astype(np.int32)), pa.array(SYMBOLS)),
            "ts_event_us": time_us + FIRST_DAY_US + plan.number * DAY_US,
            "price": _decimals(price[row], PRICE_DECIMALS),
            "size": _decimals(size[row], SIZE_DECIMALS),
            "trade_id": trade_id[row],
            "aggressor_side": pa.DictionaryArray.from_arrays(pa.array(is_buy[row].astype(np.int32)), ["sell", "buy"]),
        }
    )
    noon = int(np.searchsorted(arrival[order], DAY_US // 2))
    for part, rows in (("1", table[:noon]), ("2", table[noon:])):
        _write_csv(rows, folder / f"{plan.day}_{part}.csv.gz")
    return len(table)


def _prices(rng: np.random.Generator, plan: DayPlan) -> np.ndarray:
    """Return each symbol's walk through the day in 10^-6, on a grid of five significant digits."""
    walks = []
    for level, count in zip(plan.levels, plan.trades, strict=True):
        tick = 10.0 ** (np.floor(np.log10(level)) - 4)
        walk = np.cumsum(rng.normal(0, 0.014 / np.sqrt(max(count, 1)), count))
        walks.append(np.rint(np.rint(level * np.exp(walk) / tick) * tick * 10.0**PRICE_DECIMALS).astype(np.int64))
    return np.concatenate(walks)


def _add_dirt(rng: np.random.Generator, price: np.ndarray, size: np.ndarray) -> None:
    """Spoil some rows in place, none of them twice."""
    draw = rng.random(len(price))
    edges = np.cumsum([0, BAD_PRICE_SHARE, BAD_SIZE_SHARE, SPIKE_SHARE])
    bad_price, bad_size, spike = (
        np.flatnonzero((low <= draw) & (draw < high)) for low, high in itertools.pairwise(edges)
    )
    price[bad_price[::2]] *= -1
    price[bad_price[1::2]] = 0
    size[bad_size[::2]] *= -1
    size[bad_size[1::2]] = 0
    price[spike[::2]] *= 10
    price[spike[1::2]] //= 10


def _decimals(units: np.ndarray, decimals: int) -> pa.Array:
    """View integers as decimals: 16 bytes each, the high half being the sign."""
    halves = np.stack([units, units >> 63], axis=1).astype("<i8")
    return pa.Array.from_buffers(pa.decimal128(18, decimals), len(units), [None, pa.py_buffer(halves.tobytes())])


def _write_csv(rows: pa.Table, path: Path) -> None:
    columns = [column.cast(pa.string()) if pa.types.is_decimal(column.type) else column for column in rows.columns]
    rows = pa.table(columns, names=rows.column_names)
    # Level 6 is gzip's own default; no time stamp, so that equal rows are equal files.
    with path.open("wb") as file, gzip.GzipFile("", "wb", compresslevel=6, fileobj=file, mtime=0) as compressed:
        pa.csv.write_csv(rows, compressed, pa.csv.WriteOptions(quoting_style="none", quoting_header="none"))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("landing", type=Path)
    parser.add_argument("--rows", type=int, default=20_000_000)
    parser.add_argument("--days", type=int, default=31)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    started = time.perf_counter()
    folder = arguments.landing / LANDING_SUBFOLDER
    folder.mkdir(parents=True, exist_ok=True)
    (arguments.landing / "GENERATED.txt").write_text(
        "The files in this folder are GENERATED by benchmarks/generate.py: no market data.\n"
    )
    plans = plan_days(arguments.rows, arguments.days, arguments.seed)
    with ProcessPoolExecutor(arguments.processes) as pool:
        rows = sum(pool.map(write_day, plans, [folder] * len(plans)))
    files = list(folder.glob("*.csv.gz"))
    size = sum(path.stat().st_size for path in files)
    print(f"{rows:,} rows, {len(files)} files, {size / 1e6:.0f} MB, {time.perf_counter() - started:.1f} s")


if __name__ == "__main__":
    main()
