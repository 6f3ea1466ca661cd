"""DuckDB doing the product's work on bare Parquet (what exactly: benchmarks/peer.py).

python benchmarks/peers_duckdb.py LANDING WORK [--days 2026-01-01..2026-02-01]
"""

from __future__ import annotations

import duckdb
from indicators_sql import FEATURES_SQL
from peer import (
    OUTLIER_FLOOR_RATIO,
    OUTLIER_MINIMUM_TRADES,
    OUTLIER_SPREADS,
    OUTLIER_WINDOW,
    THREADS,
    Run,
    run_peer,
)

PARQUET = "(FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1)"

CSV_COLUMNS = {
    "instrument_id": "VARCHAR",
    "ts_event_us": "BIGINT",
    "price": "DECIMAL(18,8)",
    "size": "DECIMAL(18,8)",
    "trade_id": "VARCHAR",
    "aggressor_side": "VARCHAR",
}

BRONZE_SQL = f"""
SELECT * FROM read_csv($files, header = true, auto_detect = false, delim = ',', quote = '', columns = {CSV_COLUMNS})
"""

# arg_max skips nulls; none of these columns has any. The window's extremes rule out nearly all trades as outliers, so
# that medians are only taken where a price in the window is far enough away.
ORDERED_SQL = f"""
CREATE OR REPLACE TEMP TABLE ordered AS
WITH kept AS (
    SELECT
        instrument_id,
        make_timestamp(arg_max(ts_event_us, file_row_number)) AS ts_event,
        trade_id::BIGINT AS sequence,
        trade_id,
        arg_max(price, file_row_number) AS price,
        arg_max(size, file_row_number) AS size,
        arg_max(aggressor_side, file_row_number) AS aggressor_side
    FROM read_parquet($file, file_row_number = true)
    WHERE price > 0 AND size > 0
    GROUP BY instrument_id, trade_id
)
SELECT
    *,
    row_number() OVER in_time AS number,
    min(price) OVER before AS lowest,
    max(price) OVER before AS highest
FROM kept
WINDOW
    in_time AS (PARTITION BY instrument_id ORDER BY ts_event, sequence),
    before AS (PARTITION BY instrument_id ORDER BY ts_event, sequence
               ROWS BETWEEN {OUTLIER_WINDOW} PRECEDING AND 1 PRECEDING)
"""

OUTLIERS_SQL = f"""
CREATE OR REPLACE TEMP TABLE outliers AS
WITH candidates AS (
    SELECT instrument_id, number, price, unnest(range(number - {OUTLIER_WINDOW}, number)) AS number_before
    FROM ordered
    WHERE number > {OUTLIER_MINIMUM_TRADES}
        AND greatest(price - lowest, highest - price)::DOUBLE > {OUTLIER_FLOOR_RATIO} * lowest::DOUBLE
),
judged AS (
    SELECT
        candidates.instrument_id,
        candidates.number,
        any_value(candidates.price)::DOUBLE AS price,
        median(earlier.price::DOUBLE) AS middle,
        mad(earlier.price::DOUBLE) AS spread
    FROM candidates JOIN ordered AS earlier
        ON earlier.instrument_id = candidates.instrument_id AND earlier.number = candidates.number_before
    GROUP BY candidates.instrument_id, candidates.number
)
SELECT instrument_id, number
FROM judged
WHERE abs(price - middle) > greatest({OUTLIER_SPREADS} * spread, {OUTLIER_FLOOR_RATIO} * middle)
"""

SILVER_SQL = """
SELECT
    ordered.* EXCLUDE (number, lowest, highest),
    outliers.number IS NOT NULL AS is_outlier
FROM ordered LEFT JOIN outliers USING (instrument_id, number)
ORDER BY instrument_id, ts_event, sequence
"""

# The rows of a silver file are in the order of their time, so the row number tells first and last of a minute.
TRADED_SQL = """
CREATE TEMP TABLE traded AS
SELECT
    instrument_id,
    time_bucket(INTERVAL 1 MINUTE, ts_event) AS bar_start,
    arg_min(price, file_row_number) FILTER (NOT is_outlier) AS open,
    max(price) FILTER (NOT is_outlier) AS high,
    min(price) FILTER (NOT is_outlier) AS low,
    arg_max(price, file_row_number) FILTER (NOT is_outlier) AS close,
    sum(size)::DECIMAL(28,8) AS volume,
    count(*) AS trade_count,
    (
        sum(price::DOUBLE * size::DOUBLE) FILTER (NOT is_outlier) / sum(size) FILTER (NOT is_outlier)::DOUBLE
    )::DECIMAL(18,8) AS vwap,
    count(*) FILTER (is_outlier) AS outlier_count
FROM read_parquet($files, file_row_number = true)
GROUP BY ALL
"""

FILLED_SQL = """
CREATE TEMP TABLE bars AS
WITH carried AS (
    SELECT instrument_id, arg_max(close, bar_start) AS close FROM before GROUP BY instrument_id
),
starts AS (
    SELECT
        instrument_id,
        carried.close AS carried_close,
        if(carried.close IS NULL, min(bar_start), $first::TIMESTAMP) AS first_bar
    FROM traded FULL JOIN carried USING (instrument_id)
    GROUP BY instrument_id, carried.close
),
grid AS (
    SELECT
        instrument_id,
        carried_close,
        unnest(generate_series(first_bar, $last_exclusive::TIMESTAMP - INTERVAL 1 MINUTE, INTERVAL 1 MINUTE))
            AS bar_start
    FROM starts
),
joined AS (
    SELECT
        grid.instrument_id,
        grid.bar_start,
        traded.* EXCLUDE (instrument_id, bar_start),
        coalesce(
            last_value(close IGNORE NULLS) OVER (PARTITION BY grid.instrument_id ORDER BY grid.bar_start),
            carried_close
        ) AS last_close
    FROM grid LEFT JOIN traded USING (instrument_id, bar_start)
)
SELECT
    instrument_id,
    bar_start,
    coalesce(open, last_close) AS open,
    coalesce(high, last_close) AS high,
    coalesce(low, last_close) AS low,
    last_close AS close,
    coalesce(volume, 0)::DECIMAL(28,8) AS volume,
    coalesce(trade_count, 0) AS trade_count,
    coalesce(vwap, last_close) AS vwap,
    coalesce(outlier_count, 0) AS outlier_count,
    open IS NULL AS is_filled
FROM joined
"""


def connect() -> duckdb.DuckDBPyConnection:
    """Open an empty database in memory with as many threads as every other peer gets."""
    connection = duckdb.connect()
    connection.execute(f"SET threads = {THREADS}; SET TimeZone = 'UTC'")
    return connection


def bronze(run: Run) -> None:
    connection = connect()
    for day in run.days:
        files = [str(path) for path in run.csv_files(day)]
        connection.execute(f"COPY ({BRONZE_SQL}) TO '{run.bronze(day)}' {PARQUET}", {"files": files})


def silver(run: Run) -> None:
    connection = connect()
    for day in run.days:
        connection.execute(ORDERED_SQL, {"file": str(run.bronze(day))})
        connection.execute(OUTLIERS_SQL)
        connection.execute(f"COPY ({SILVER_SQL}) TO '{run.silver(day)}' {PARQUET}")


def gold(run: Run) -> None:
    connection = connect()
    connection.execute(TRADED_SQL, {"files": [str(run.silver(day)) for day in run.days]})
    before = run.bars(run.day_before)
    if before.exists():
        connection.execute("CREATE TEMP TABLE before AS SELECT * FROM read_parquet($file)", {"file": str(before)})
    else:
        connection.execute("CREATE TEMP TABLE before (instrument_id VARCHAR, bar_start TIMESTAMP, close DECIMAL(18,8))")
    connection.execute(FILLED_SQL, {"first": run.first, "last_exclusive": run.last_exclusive})
    if before.exists():
        connection.execute("INSERT INTO bars SELECT * FROM before")
    connection.execute(FEATURES_SQL)
    for table, path in (("bars", run.bars), ("features", run.features)):
        for day in run.days:
            rows = f"SELECT * FROM {table} WHERE bar_start::DATE = DATE '{day}' ORDER BY instrument_id, bar_start"
            connection.execute(f"COPY ({rows}) TO '{path(day)}' {PARQUET}")


if __name__ == "__main__":
    run_peer({"bronze": bronze, "silver": silver, "gold": gold})
