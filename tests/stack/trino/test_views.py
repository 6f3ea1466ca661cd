"""Every file of sql/ in Trino, against the same numbers by DuckDB, which has its own SQL over the same tables."""

from __future__ import annotations

import math
import re
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import zip_longest
from typing import Any

import pytest

from lakehouse.lake.catalog import load
from lakehouse.queries.statements import SqlFile, find_sql_file, read_sql_files
from lakehouse.tables import find_table
from lakehouse.tables.energy import GOLD_LOAD_HOURLY

FILES = read_sql_files()
EXPECTED = {
    "finance/daily_vwap": """
        SELECT b.instrument_id, b.event_date, any_value(i.currency),
            (sum(b.vwap::DOUBLE * b.volume::DOUBLE * (1 - b.is_filled::INT))
                / sum(b.volume::DOUBLE * (1 - b.is_filled::INT)))::DECIMAL(18, 8),
            first(b.open ORDER BY b.bar_start) FILTER (NOT b.is_filled),
            max(b.high) FILTER (NOT b.is_filled), min(b.low) FILTER (NOT b.is_filled),
            last(b.close ORDER BY b.bar_start) FILTER (NOT b.is_filled),
            sum(b.volume), sum(b.vwap::DOUBLE * b.volume::DOUBLE * (1 - b.is_filled::INT))::DECIMAL(38, 8),
            sum(b.trade_count)::BIGINT, sum(b.outlier_count)::BIGINT
        FROM gold_bars_1m b JOIN gold_instruments i USING (instrument_id) GROUP BY 1, 2""",
    "finance/volume_profile": """
        WITH poc AS (FROM gold_volume_profile_1d WHERE is_point_of_control),
        area AS (
            SELECT instrument_id, event_date, min(price_low) AS low, max(price_high) AS high, sum(volume) AS volume
            FROM gold_volume_profile_1d WHERE is_in_value_area GROUP BY ALL
        ),
        whole AS (
            SELECT instrument_id, event_date, sum(volume) AS volume, sum(trade_count)::BIGINT AS trades, count() AS bins
            FROM gold_volume_profile_1d GROUP BY ALL
        )
        SELECT instrument_id, event_date, i.currency, poc.price_low, poc.price_high, area.low, area.high,
            area.volume::DOUBLE / whole.volume::DOUBLE * 100, whole.volume, trades, bins
        FROM whole JOIN area USING (instrument_id, event_date) JOIN poc USING (instrument_id, event_date)
            JOIN gold_instruments i USING (instrument_id)""",
    "finance/volume_profile_of_a_day": """
        SELECT bin_index, price_low, price_high, volume,
            volume::DOUBLE * 100 / (
                SELECT sum(volume)::DOUBLE FROM gold_volume_profile_1d
                WHERE (instrument_id, event_date) = ('GENBTCUSDT.BINANCE', '2026-01-06'::DATE)
            ), trade_count, is_point_of_control, is_in_value_area
        FROM gold_volume_profile_1d WHERE (instrument_id, event_date) = ('GENBTCUSDT.BINANCE', '2026-01-06'::DATE)""",
    "finance/spread_by_hour": """
        SELECT instrument_id, event_date, date_part('hour', ts_event)::INT, count(),
            count() FILTER (spread_bps IS NOT NULL), sum(spread_bps) / count(spread_bps), stddev(spread_bps),
            min(spread_bps), max(spread_bps)
        FROM silver_quotes GROUP BY 1, 2, 3""",
    "finance/rolling_volatility": """
        WITH numbered AS (
            SELECT *, row_number() OVER (PARTITION BY instrument_id, event_date ORDER BY bar_start) AS n
            FROM gold_tick_features
        )
        SELECT a.instrument_id, a.event_date, a.bar_start,
            CASE WHEN count(b.log_return) = 60 THEN sqrt(sum(pow(b.log_return, 2))) * 10000 END,
            any_value(a.realized_volatility_30) * 10000
        FROM numbered a JOIN numbered b
            ON a.instrument_id = b.instrument_id AND a.event_date = b.event_date AND b.n BETWEEN a.n - 59 AND a.n
        GROUP BY 1, 2, 3""",
    "energy/load_by_weekday_and_hour": """
        SELECT meter_id, make_date(year(event_date), month(event_date), 1), isodow(hour_start)::INT - 1,
            hour(hour_start)::INT, count(), count(load_kw), sum(load_kw) / count(load_kw), stddev(load_kw),
            min(load_kw), max(load_kw), sum(completeness_ratio) / count()
        FROM gold_load_hourly GROUP BY 1, 2, 3, 4""",
    "energy/forecast_errors": """
        SELECT f.model_name, f.model_version, f.meter_id, f.event_date, f.horizon, count(), count(h.load_kw),
            avg(f.load_kw) FILTER (h.load_kw IS NOT NULL) - avg(h.load_kw), avg(abs(h.load_kw - f.load_kw)),
            sqrt(avg(pow(h.load_kw - f.load_kw, 2))), any_value(f.interval_ratio),
            100 * avg((h.load_kw >= f.load_kw_lower AND h.load_kw <= f.load_kw_upper)::INT)
        FROM gold_load_forecasts f LEFT JOIN gold_load_hourly h
            ON (h.meter_id, h.hour_start, h.occurrence) = (f.meter_id, f.target_start, f.target_occurrence)
        GROUP BY 1, 2, 3, 4, 5""",
    "energy/peak_hours_of_a_month": """
        SELECT meter_id, hour_start, occurrence, load_kw, completeness_ratio, is_holiday FROM gold_load_hourly
        WHERE year(hour_start) = 2025 AND month(hour_start) = 12 ORDER BY load_kw DESC NULLS LAST LIMIT 10""",
    "vision/class_balance": """
        SELECT a.dataset, a.split, a.label, any_value(a.label_name), any_value(a.image_count),
            any_value(a.image_count) / sum(b.image_count) * 100,
            any_value(a.image_count) / sum(b.image_count) * count(b.label)
        FROM gold_image_class_counts a JOIN gold_image_class_counts b USING (dataset, split) GROUP BY 1, 2, 3""",
    "quality/held_parts": """
        SELECT table_name, slice, subject, count(DISTINCT run_id), min(held_at), max(held_at),
            arg_max(rules, held_at), arg_max(files, held_at), arg_max(run_id, held_at)
        FROM quality_held_parts GROUP BY ALL""",
    "quality/latest_verdicts": """
        WITH last AS (SELECT table_name, arg_max(run_id, checked_at) AS run_id FROM quality_check_results GROUP BY 1)
        SELECT table_name,
            CASE WHEN bool_or(NOT is_passed AND severity = 'critical') THEN 'failed'
                WHEN bool_and(is_passed) THEN 'passed' ELSE 'passed with warnings' END,
            count(DISTINCT rule), count(DISTINCT rule) FILTER (NOT is_passed AND severity = 'critical'),
            count(DISTINCT rule) FILTER (NOT is_passed AND severity = 'warning'), max(checked_at), run_id
        FROM quality_check_results JOIN last USING (table_name, run_id) GROUP BY table_name, run_id""",
    "quality/failed_rules": """
        WITH failed AS (
            FROM quality_check_results WHERE NOT is_passed
            QUALIFY row_number() OVER (PARTITION BY table_name, rule ORDER BY checked_at DESC) = 1
        ),
        audits AS (
            SELECT table_name, rule, count(DISTINCT run_id) AS audits,
                count(DISTINCT run_id) FILTER (NOT is_passed) AS failures,
                last(is_passed ORDER BY checked_at) AS is_passed_last, max(checked_at) AS last_checked_at
            FROM quality_check_results GROUP BY 1, 2
        )
        SELECT table_name, rule, severity, audits, failures, is_passed_last, last_checked_at, checked_at, observed,
            threshold, rows_evaluated, rows_failed
        FROM failed JOIN audits USING (table_name, rule)""",
    "models/model_snapshots": """
        SELECT model_name, version, model_type, owner, unnest(table_names), unnest(tags), unnest(snapshot_ids),
            is_gate_passed, gate_verdict, mlflow_run_id, registered_at
        FROM registry_model_versions""",
    "models/champions": """
        SELECT model_name, version, previous_version, action, decided_by, promoted_by, reason, decided_at
        FROM registry_promotions WHERE is_applied
        QUALIFY row_number() OVER (PARTITION BY model_name ORDER BY recorded_at DESC) = 1""",
    "models/load_as_a_model_saw_it": """
        SELECT meter_id, min(event_date), max(event_date), count(), sum(load_kw) / count(load_kw)
        FROM gold_load_hourly GROUP BY 1""",
}


def plain(value: Any) -> Any:
    """Spell equal values alike: instants in UTC, decimals as doubles, to be compared to nine digits."""
    if isinstance(value, datetime) and value.tzinfo:
        return value.astimezone(UTC).isoformat()
    return float(value) if isinstance(value, Decimal) else value


def by_grain(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Sort rows by what is no double in them, which the grain is of."""
    spelled = [tuple(plain(value) for value in row) for row in rows]
    return sorted(spelled, key=lambda row: [str(value) for value in row if not isinstance(value, float)])


def is_close(found: Any, expected: Any) -> bool:
    if isinstance(found, float) and isinstance(expected, float):
        return math.isclose(found, expected, rel_tol=1e-9, abs_tol=1e-9)
    return found == expected


def differences(found: list[tuple[Any, ...]], expected: list[tuple[Any, ...]]) -> list[tuple[Any, Any]]:
    """Return the rows that differ, side by side."""
    pairs = zip_longest(by_grain(found), by_grain(expected), fillvalue=())
    return [(row, other) for row, other in pairs if len(row) != len(other) or not all(map(is_close, row, other))]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_file_gives_in_trino_what_duckdb_computes_on_its_own(filled, file: SqlFile):
    found = filled.trino(f"SELECT * FROM {file.view}" if file.is_view else file.query)  # noqa: S608
    expected = filled.duckdb(EXPECTED[file.name], *(find_table(name) for name in file.reads))
    assert expected, "nothing to compare"
    assert differences(found, expected) == []


PRUNING = {
    "event_date": "DATE '2026-01-06'",
    "month_start": "DATE '2025-12-01'",
    "dataset": "'digits'",
}


@pytest.mark.parametrize(
    "file", [file for file in FILES if not file.facts["Prunes"].startswith("nothing")], ids=lambda file: file.name
)
def test_filter_of_the_header_spares_the_other_partitions(filled, file: SqlFile):
    column, table = re.fullmatch(r"(\w+): one partition of (\S+) per .+", file.facts["Prunes"]).groups()
    sql = f"SELECT * FROM {file.view} WHERE {column} = {PRUNING[column]}" if file.is_view else file.query  # noqa: S608
    read = rows_read(filled.trino(f"EXPLAIN ANALYZE {sql}")[0][0], table)
    files = load(filled.settings, find_table(table)).inspect.files().to_pylist()
    wanted = [row["record_count"] for row in files if is_in(row["partition"], column, file)]
    assert read == sum(wanted)
    if column != "dataset":  # of which there is one
        assert sum(wanted) < sum(row["record_count"] for row in files)


def rows_read(plan: str, table: str) -> int:
    """Return how many rows the scans of a table gave."""
    scans = re.findall(
        rf"(?:TableScan|Scan\w+)\[table = lakehouse:{re.escape(table)}\b.*?Input: ([\d,]+) rows?", plan, re.S
    )
    assert scans, plan
    return sum(int(number.replace(",", "")) for number in scans)


def is_in(partition: dict[str, Any], column: str, file: SqlFile) -> bool:
    if column == "dataset":
        return partition["dataset"] == "digits"
    if "event_date_month" in partition:
        return partition["event_date_month"] == (2025 - 1970) * 12 + 11
    return partition["event_date"] == date(2026, 1, 6)


def test_tag_shows_the_table_as_the_model_saw_it(filled):
    ((name, tag),) = filled.trino("SELECT table_name, tag FROM views.models.model_snapshots")
    assert name == "gold.load_hourly"
    count = "SELECT count(*), sum(load_kw) FROM gold.load_hourly"
    seen = filled.trino(f"{count} FOR VERSION AS OF '{tag}'")
    table = load(filled.settings, GOLD_LOAD_HOURLY)
    rows = table.scan(snapshot_id=table.snapshot_by_name(tag).snapshot_id).to_arrow()
    assert seen == [(60 * 24, pytest.approx(sum(filter(None, rows.column("load_kw").to_pylist()))))]
    # the readings came again, with two days more
    assert filled.trino(count)[0][0] == 62 * 24
    snapshot = table.snapshot_by_name(tag)
    # main came to the snapshot after it was staged and audited: its history says when
    moved_ms = next(entry.timestamp_ms for entry in table.history() if entry.snapshot_id == snapshot.snapshot_id)
    later = datetime.fromtimestamp(moved_ms / 1000 + 1, UTC).strftime("%F %T UTC")
    assert filled.trino(f"{count} FOR VERSION AS OF {snapshot.snapshot_id}") == seen
    assert filled.trino(f"{count} FOR TIMESTAMP AS OF TIMESTAMP '{later}'") == seen
    query = find_sql_file("models/load_as_a_model_saw_it").query.replace("'main'", f"'{tag}'")
    assert filled.trino(query)[0][1:4] == (date(2025, 11, 9), date(2026, 1, 7), 60 * 24)


def test_apply_again_changes_nothing_and_says_so(filled):
    lines = filled.run("sql", "apply").splitlines()
    assert lines == [f"{file.view}: unchanged" for file in FILES if file.is_view]


def test_sql_run_answers_from_trino(filled):
    printed = filled.run("sql", "run", "volume_profile_of_a_day", "--format", "csv").splitlines()
    assert (
        printed[0]
        == "bin_index,price_low,price_high,volume,volume_pct,trade_count,is_point_of_control,is_in_value_area"
    )
    assert len(printed) > 2


def test_times_are_utc_and_civil_times_have_no_zone(filled):
    ((bar, hour),) = filled.trino(
        "SELECT max(b.bar_start), max(h.hour_start) FROM gold.bars_1m AS b, gold.load_hourly AS h"
    )
    assert bar.utcoffset().total_seconds() == 0
    assert hour == datetime(2026, 1, 9, 23)
