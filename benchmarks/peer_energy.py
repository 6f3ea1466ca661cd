"""DuckDB makes the energy tables of one meter from its file, on bare Parquet, without commits and audits.

    python benchmarks/peer_energy.py LANDING WORK

Writes  WORK/bronze_power_readings.parquet   the file's fields as text, with file, line and hash
        WORK/power_readings.parquet          typed, on a grid of minutes; gaps of up to ten minutes interpolated
        WORK/load_hourly.parquet             the hours and features of gold.load_hourly

The tables have the columns and the rules of the product (transforms/energy). The clock of UCI's layout has
no zone, so that every day has 24 hours.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path

import duckdb
import holidays
from peer import run_steps

LAGS = (1, 2, 3, 24, 48, 168)
WINDOWS = (3, 24, 168)
MEASURES = {
    "active_power_kw": "Global_active_power",
    "reactive_power_kvar": "Global_reactive_power",
    "voltage_v": "Voltage",
    "current_a": "Global_intensity",
    "sub_metering_1_wh": "Sub_metering_1",
    "sub_metering_2_wh": "Sub_metering_2",
    "sub_metering_3_wh": "Sub_metering_3",
}
OF_LINES = (
    *("meter_id", "event_date", "interval_start", "dialect", "interval_min", "zone", "country", "utc_offset_min"),
    *("source", "delivery_date", "_source_file", "_source_member", "_source_line", "_source_sha256"),
)
"""What a reading has of its line."""


def connect() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute("SET threads = 2; SET TimeZone = 'UTC'")
    return connection


def copy_to(connection: duckdb.DuckDBPyConnection, query: str, path: Path) -> None:
    connection.execute(f"COPY ({query}) TO '{path}' (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1)")


def bronze(landing: Path, work: Path) -> None:
    file = landing / "meters" / "household_power_consumption.txt"
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    fields = f"read_csv('{file}', delim = ';', header = true, all_varchar = true, nullstr = '?', quote = '')"
    raw = ", ".join(f"nullif({field}, '') AS raw_{name}" for name, field in MEASURES.items())
    query = f"""
        SELECT 'power_readings' AS source, 'household.UCI' AS meter_id, DATE '2006-12-16' AS delivery_date,
            '' AS delivery_part, Date || ' ' || Time AS raw_time,
            strptime(raw_time, '%d/%m/%Y %H:%M:%S') AS interval_start, interval_start::DATE AS event_date,
            row_number() OVER () + 1 AS _source_line, _source_line AS sequence,
            'uci_household' AS dialect, 1::INT AS interval_min, NULL::VARCHAR AS zone, 'FR' AS country,
            NULL::INT AS utc_offset_min, NULL::INT AS second_utc_offset_min, false AS is_skipped_time,
            {raw}, 1.0::DOUBLE AS active_power_factor,
            1.0::DOUBLE AS reactive_power_factor, 1.0::DOUBLE AS sub_metering_factor, NULL::VARCHAR AS raw_line,
            '{file.name}' AS _source_file, '' AS _source_member,
            '{sha256}' AS _source_sha256, now() AS _ingested_at
        FROM {fields}"""
    copy_to(connect(), query, work / "bronze_power_readings.parquet")


def silver(landing: Path, work: Path) -> None:
    """Type the lines; missing minutes are joined to the measured ones before and after them on the same day."""
    numbers = ", ".join(f"try_cast(raw_{name} AS DOUBLE) AS {name}" for name in MEASURES)
    filled = ", ".join(
        f"CASE WHEN is_short THEN b.{name} + (a.{name} - b.{name}) * share END AS {name}" for name in MEASURES
    )
    connection = connect()
    connection.execute(
        f"CREATE TEMP TABLE parsed AS SELECT {', '.join(OF_LINES)}, {numbers} "
        f"FROM '{work / 'bronze_power_readings.parquet'}'"
    )
    connection.execute("CREATE TEMP VIEW measured AS SELECT * FROM parsed WHERE active_power_kw IS NOT NULL")
    query = f"""
        WITH gaps AS (
            SELECT * EXCLUDE ({", ".join(MEASURES)}) FROM parsed WHERE active_power_kw IS NULL
        ),
        neighbours AS (
            SELECT g.*, b, a,
                epoch(a.interval_start - b.interval_start) - 60 <= 600 AS is_short,
                epoch(g.interval_start - b.interval_start) / epoch(a.interval_start - b.interval_start) AS share
            FROM gaps AS g
            ASOF LEFT JOIN measured AS b ON g.event_date = b.event_date AND g.interval_start >= b.interval_start
            ASOF LEFT JOIN measured AS a ON g.event_date = a.event_date AND g.interval_start <= a.interval_start
        ),
        rows AS (
            SELECT {", ".join(OF_LINES)}, {", ".join(MEASURES)}, 'measured' AS status,
                interval_start + INTERVAL 1 MINUTE AS available_at
            FROM measured
            UNION ALL
            SELECT {", ".join(OF_LINES)}, {filled},
                CASE WHEN is_short THEN 'interpolated' ELSE 'missing' END,
                CASE WHEN is_short THEN a.interval_start + INTERVAL 1 MINUTE END
            FROM neighbours
        )
        SELECT *, 1::INT AS occurrence, now() AS _ingested_at, active_power_kw * 1000 / 60
            - (sub_metering_1_wh + sub_metering_2_wh + sub_metering_3_wh) AS other_wh
        FROM rows ORDER BY interval_start"""
    copy_to(connection, query, work / "power_readings.parquet")


def gold(landing: Path, work: Path) -> None:
    readings = f"'{work / 'power_readings.parquet'}'"
    connection = connect()
    years = connection.sql(f"SELECT DISTINCT year(event_date) FROM {readings}").fetchall()
    days = ", ".join(f"DATE '{day}'" for day in holidays.country_holidays("FR", years=[year for (year,) in years]))
    window = "ROWS BETWEEN {0} PRECEDING AND 1 PRECEDING"

    def over(function: str, length: int) -> str:
        frame = f"OVER (ORDER BY hour_start {window.format(length)})"
        return f"CASE WHEN count(load_kw) {frame} >= {length / 2} THEN {function}(load_kw) {frame} END"

    features = [f"lag(load_kw, {lag}) OVER (ORDER BY hour_start) AS load_kw_lag_{lag}" for lag in LAGS]
    features += [f"{over('avg', length)} AS load_kw_mean_{length}" for length in WINDOWS]
    features += [f"{over('stddev_samp', length)} AS load_kw_std_{length}" for length in WINDOWS]
    weeks = [f"lag(load_kw, {168 * week}) OVER (ORDER BY hour_start)" for week in range(1, 5)]
    known = " + ".join(f"({lag} IS NOT NULL)::INT" for lag in weeks)
    total = " + ".join(f"coalesce({lag}, 0)" for lag in weeks)
    query = f"""
        WITH hours AS (
            SELECT date_trunc('hour', interval_start) AS hour_start,
                available_at <= hour_start + INTERVAL 1 HOUR AS known,
                CASE WHEN known THEN active_power_kw::DECIMAL(38, 9) END AS power,
                CASE WHEN known THEN available_at END AS known_at, status
            FROM {readings}
        ),
        loads AS (
            SELECT hour_start, sum(power)::DOUBLE / nullif(count(power), 0) AS load_kw,
                count(*) FILTER (status = 'measured') / 60.0::DOUBLE AS completeness_ratio, max(known_at) AS last_known
            FROM hours GROUP BY hour_start
        ),
        grid AS (
            SELECT event_date,
                unnest(range(event_date::TIMESTAMP, event_date + INTERVAL 1 DAY, INTERVAL 1 HOUR)) AS hour_start
            FROM (SELECT DISTINCT event_date FROM {readings})
        ),
        complete AS (
            SELECT event_date, hour_start, load_kw, coalesce(completeness_ratio, 0) AS completeness_ratio, last_known
            FROM grid LEFT JOIN loads USING (hour_start)
        )
        SELECT *, 'household.UCI' AS meter_id, 1::INT AS occurrence, now() AS _ingested_at,
            max(last_known) OVER (ORDER BY hour_start {window.format(672)}) AS available_at,
            hour(hour_start) AS hour, isodow(event_date) - 1 AS weekday, month(event_date) AS month,
            event_date IN ({days}) AS is_holiday, {", ".join(features)},
            {over("avg", 672)} AS load_kw_trend,
            CASE WHEN {known} >= 2 THEN ({total}) / ({known}) END - load_kw_trend AS load_kw_seasonal
        FROM complete ORDER BY hour_start"""
    copy_to(connection, query, work / "load_hourly.parquet")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("landing", type=Path)
    parser.add_argument("work", type=Path)
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    run_steps(
        {step.__name__: lambda step=step: step(arguments.landing, arguments.work) for step in (bronze, silver, gold)}
    )


if __name__ == "__main__":
    main()
