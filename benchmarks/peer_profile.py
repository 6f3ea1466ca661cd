"""DuckDB makes the volume profiles of silver trades, on bare Parquet, without commits, audits or lineage.

    python benchmarks/peer_profile.py WORK FILES...

Reads the Parquet files of silver.trades and writes WORK/volume_profile_1d.parquet. The rules are the product's
(transforms/finance/volume_profile.py): whole units of 10^-8, 50 bins, a value area that grows from the fullest bin.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from peer import run_steps

BINS = 50
SHARE_PERCENT = 70


def bins_of(files: list[Path]) -> pa.Table:
    """Return every bin of every instrument's day, in units of 10^-8."""
    connection = duckdb.connect()
    connection.execute("SET threads = 2; SET TimeZone = 'UTC'")
    listed = ", ".join(f"'{file}'" for file in files)
    query = f"""
        WITH trades AS (
            SELECT event_date, instrument_id, -- exact, since the numbers are below 2^53 units
                round(price::DOUBLE * 1e8)::BIGINT AS price, round(size::DOUBLE * 1e8)::BIGINT AS volume
            FROM read_parquet([{listed}], hive_partitioning = false) WHERE NOT is_outlier
        ),
        days AS (
            SELECT event_date, instrument_id, min(price) AS low, max(price) AS high,
                greatest((max(price) - min(price) + {BINS - 1}) // {BINS}, 1) AS width,
                least((max(price) - min(price)) // width, {BINS - 1}) AS last_bin
            FROM trades GROUP BY ALL
        ),
        filled AS (
            SELECT event_date, instrument_id, least((price - low) // width, last_bin) AS bin_index,
                sum(volume) AS volume, count(*) AS trade_count
            FROM trades JOIN days USING (event_date, instrument_id) GROUP BY ALL
        ),
        every AS (SELECT *, unnest(range(last_bin + 1)) AS bin_index FROM days)
        SELECT event_date, instrument_id, bin_index, low, high, width, last_bin,
            coalesce(volume, 0)::BIGINT AS volume, coalesce(trade_count, 0) AS trade_count
        FROM every LEFT JOIN filled USING (event_date, instrument_id, bin_index)
        ORDER BY event_date, instrument_id, bin_index"""
    return connection.sql(query).to_arrow_table()


def value_area(volumes: list[int]) -> tuple[int, int, int]:
    """Return the fullest bin and the first and last bin of the value area around it."""
    peak = low = high = volumes.index(max(volumes))
    held = volumes[peak]
    while held * 100 < sum(volumes) * SHARE_PERCENT:
        below = volumes[low - 1] if low else -1
        above = volumes[high + 1] if high + 1 < len(volumes) else -1
        low, high = (low - 1, high) if below >= above else (low, high + 1)
        held += max(below, above)
    return peak, low, high


def profile(files: list[Path], work: Path) -> None:
    bins = bins_of(files)
    volumes, lasts = bins["volume"].to_pylist(), bins["last_bin"].to_pylist()
    is_peak, is_inside, begin = [], [], 0
    while begin < len(volumes):
        end = begin + lasts[begin] + 1
        peak, low, high = value_area(volumes[begin:end])
        is_peak += [number == peak for number in range(end - begin)]
        is_inside += [low <= number <= high for number in range(end - begin)]
        begin = end
    bins = bins.append_column("is_point_of_control", pa.array(is_peak))
    bins = bins.append_column("is_in_value_area", pa.array(is_inside))
    pq.write_table(bins, work / "volume_profile_1d.parquet", compression="zstd", compression_level=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("files", type=Path, nargs="+")
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    run_steps({"profile": lambda: profile(arguments.files, arguments.work)})


if __name__ == "__main__":
    main()
