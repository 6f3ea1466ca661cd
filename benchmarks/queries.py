"""Ten typical queries in Trino and in DuckDB on the same tables: how long an analyst waits for the rows.

    LAKEHOUSE_PROFILE=stack python benchmarks/queries.py [--rounds 30]

Needs the servers of `lakehouse up`, and the tables and views of the demo on them. Both engines read the same Iceberg
tables from the same S3 store; DuckDB is `lakehouse query`, which reads the files of a snapshot through PyIceberg. The
engines take turns, query by query; the first round warms both up and is not counted. A query counts only where both
give the same rows.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from lakehouse.config.settings import read_settings
from lakehouse.queries.embedded import open_query
from lakehouse.queries.statements import find_sql_file
from lakehouse.queries.trino import ANALYST, ask, login_of, open_connection

DAY = "DATE '2026-01-06'"
QUERIES = {
    "VWAP of a day": f"SELECT * FROM views.finance.daily_vwap WHERE event_date = {DAY}",
    "VWAP of every day": "SELECT * FROM views.finance.daily_vwap",
    "bars of an instrument and day": (
        f"SELECT bar_start, close, volume FROM gold.bars_1m "
        f"WHERE event_date = {DAY} AND instrument_id = 'GENBTCUSDT.BINANCE' ORDER BY bar_start"
    ),
    "value areas of every day": "SELECT * FROM views.finance.volume_profile",
    "bins of a day": find_sql_file("finance/volume_profile_of_a_day").query,
    "rolling volatility of a day": f"SELECT * FROM views.finance.rolling_volatility WHERE event_date = {DAY}",
    "load by weekday and hour": "SELECT * FROM views.energy.load_by_weekday_and_hour",
    "peak hours of a month": find_sql_file("energy/peak_hours_of_a_month").query,
    "balance of classes": "SELECT * FROM views.vision.class_balance",
    "failed rules": "SELECT * FROM views.quality.failed_rules",
}


def rounded(value: Any) -> str:
    """Spell a value so that sums of doubles in another order are equal."""
    if isinstance(value, (float, Decimal)):
        return f"{float(value):.8g}" if math.isfinite(value) else str(value)
    return str(value)


def timed(run: Callable[[], list[dict[str, Any]]]) -> tuple[float, list[tuple[str, ...]]]:
    """Return milliseconds and rows."""
    start = time.perf_counter()
    rows = run()
    return 1000 * (time.perf_counter() - start), sorted(tuple(map(rounded, row.values())) for row in rows)


def quantiles(milliseconds: list[float]) -> str:
    """Return p50 and p99; of fewer than a hundred measurements the latter is the slowest."""
    ordered = sorted(milliseconds)
    return f"{statistics.median(ordered):.0f} | {ordered[math.ceil(0.99 * len(ordered)) - 1]:.0f}"


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=30)
    rounds = parser.parse_args().rounds
    settings = read_settings(os.environ)
    times: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in QUERIES}
    with open_connection(login_of(settings, ANALYST)) as connection:

        def in_trino(sql: str) -> list[dict[str, Any]]:
            return ask(connection, sql).read_all().to_pylist()

        def in_duckdb(sql: str) -> list[dict[str, Any]]:
            with open_query(sql, settings) as reader:
                return reader.read_all().to_pylist()

        for number in range(rounds + 1):
            for name, sql in QUERIES.items():
                trino, rows = timed(lambda sql=sql: in_trino(sql))
                duckdb, others = timed(lambda sql=sql: in_duckdb(sql))
                if rows != others:
                    raise SystemExit(f"{name}: {len(rows)} rows in Trino, {len(others)} in DuckDB, or other values")
                if number:
                    times[name][0].append(trino)
                    times[name][1].append(duckdb)
    print("| Query | Trino p50 ms | p99 ms | DuckDB p50 ms | p99 ms |\n|---|---|---|---|---|")
    for name, (trino_ms, duckdb_ms) in times.items():
        print(f"| {name} | {quantiles(trino_ms)} | {quantiles(duckdb_ms)} |")
    whole = [[value for pair in times.values() for value in pair[engine]] for engine in (0, 1)]
    print(f"| all | {quantiles(whole[0])} | {quantiles(whole[1])} |")


if __name__ == "__main__":
    main()
