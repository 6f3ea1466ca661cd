"""Rows for every suite: one that keeps all rules, and rows that between them break every rule."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import duckdb
import pytest
from pyspark.sql import DataFrame, SparkSession

from expectations.batch import NAME, Batch
from lakehouse.lake.schema import arrow_table
from lakehouse.tables import Column, Table
from lakehouse.tables.vision import SHIPPED_SETS

Row = dict[str, Any]
DAY = date(2024, 8, 8)
FAR_AWAY = date(2024, 8, 20)
INSTANT = datetime(2024, 8, 8, 10, 0, tzinfo=UTC)
LOCAL = datetime(2024, 8, 8, 10, 0)

GOOD_VALUES: dict[str, Any] = {
    "string": "x",
    "bigint": 1,
    "int": 1,
    "double": 1.0,
    "boolean": False,
    "date": DAY,
    "timestamp": INSTANT,
    "timestamp_ntz": LOCAL,
    "array<date>": [DAY],
    "array<double>": [1.0],
    "array<bigint>": [1],
    "binary": b"x",
}

HASHES = {"_source_sha256": "a" * 64, "image_sha256": "a" * 64, "pixels_sha256": "a" * 64, "_label_sha256": "a" * 64}

GOOD_ROWS: dict[str, Row] = {
    "bronze.files": {
        "_source_sha256": "a" * 64,
        "reason": None,
        "dataset": "trades",
        "first_interval_start": None,
        "last_interval_start": None,
    },
    "gold.bars_1m": {"outlier_count": 0},
    "gold.tick_features": {"macd_histogram": 0.0},
    "gold.volume_profile_1d": {"is_point_of_control": True, "is_in_value_area": True},
    "gold.return_correlations_1d": {"instrument_id_b": "y", "pair_count": 2},
    "gold.load_forecasts": {"_source_sha256": "a" * 64},
    "gold.tick_predictions": {"_source_sha256": "a" * 64},
    "silver.power_readings": {"available_at": LOCAL + timedelta(minutes=1), "other_wh": 1000 / 60 - 3},
    "bronze.images": HASHES,
    "silver.images": HASHES | {"pixel_max": 2, "duplicate_of": None},
    "silver.images_rejected": HASHES,
    **{f"gold.{name}_images": HASHES | {"pixel_max": 2} for name in SHIPPED_SETS},
    "gold.image_predictions": HASHES | {"image_id": "mnist.test.1", "dataset": "mnist", "split": "test"},
}
"""What a row of defaults lacks to keep its table's rules."""

WRONG_DELIVERY_DAY = {"event_date_is_utc_day_or_delivery": [{"event_date": FAR_AWAY}]}
WRONG_DAY = {"event_date_is_utc_day": [{"event_date": FAR_AWAY}]}
WRONG_CIVIL_DAY = {"event_date_is_civil_day": [{"event_date": FAR_AWAY}]}
NO_REASON = {"reason_given": [{"reason": " "}]}
BLANK = {"blank_image": [{"pixel_min": 2}]}
TORN = {"image_is_whole": [{"pixels": b"more"}], "sha256_is_hex": [{"image_sha256": "short"}]}
TORN_RAW = {"image_is_whole": [{"raw_pixels": b"more"}], "sha256_is_hex": [{"pixels_sha256": "short"}]}

METER_FILE = {"dataset": "power_readings", "first_ts_event": None, "last_ts_event": None}

BROKEN_ROWS: dict[str, dict[str, list[Row]]] = {
    "bronze.trades": WRONG_DELIVERY_DAY,
    "bronze.quotes": WRONG_DELIVERY_DAY,
    "bronze.files": {
        "dataset_allowed": [{"dataset": "weather"}],
        "one_accepted_file_per_delivery": [{"delivery_part": "2"}, {"delivery_part": "2", "_source_file": "again"}],
        "reason_given": [{"verdict": "refused"}],
        "quarantined_without_rows": [{"verdict": "quarantined", "reason": "cut", "rows": 1}],
        "sha256_is_hex": [{"_source_sha256": "short"}],
        "events_in_order": [
            {"first_ts_event": datetime(2024, 8, 9, tzinfo=UTC)},
            METER_FILE | {"first_interval_start": datetime(2024, 8, 9), "last_interval_start": LOCAL},
        ],
        "dated_as_delivered": [{"delivery_date": None}, {"dataset": "images", "_source_file": "an image set's"}],
        "civil_times_of_meters": [{"last_interval_start": LOCAL}, METER_FILE | {"last_ts_event": INSTANT}],
    },
    "silver.trades": WRONG_DAY,
    "silver.trades_rejected": WRONG_DELIVERY_DAY | NO_REASON,
    "silver.quotes": WRONG_DAY
    | {
        "negative_bid_price": [{"bid_price": Decimal(-1)}],
        "negative_ask_price": [{"ask_price": Decimal(-1)}],
        "crossed_quote": [{"bid_price": Decimal(2), "mid_price": Decimal(1)}],
        "empty_quote": [{"bid_price": None, "ask_price": None, "mid_price": None, "spread_bps": None}],
        "mid_within_sides": [{"mid_price": Decimal(3)}, {"mid_price": None, "spread_bps": None}, {"bid_price": None}],
        "spread_where_mid": [{"spread_bps": None}],
    },
    "silver.quotes_rejected": WRONG_DELIVERY_DAY | NO_REASON,
    "gold.instruments": {"texts_not_blank": [{"venue": ""}]},
    "gold.bars_1m": WRONG_DAY
    | {
        "prices_in_order": [{"high": Decimal("0.5")}, {"low": Decimal("1.5")}],
        "vwap_between_low_and_high": [{"vwap": Decimal("1.5")}],
        "starts_on_the_minute": [{"bar_start": datetime(2024, 8, 8, 10, 0, 1, tzinfo=UTC)}],
        "filled_where_no_usable_trade": [{"is_filled": True}],
        "filled_prices_are_one": [{"is_filled": True, "high": Decimal(2)}],
        "outliers_are_trades": [{"outlier_count": 2}],
        "volume_where_trades": [{"volume": Decimal(0)}],
    },
    "gold.tick_features": WRONG_DAY
    | {
        "numbers_are_finite": [{"log_return": float("nan")}, {"volume_zscore_30": float("-inf")}],
        "bollinger_in_order": [{"bollinger_lower": 2.0}],
        "bollinger_with_sma": [{"bollinger_upper": None}],
        "macd_adds_up": [{"macd_histogram": 0.5}],
        "carry_once_a_day": [{"instrument_id": "no carry", "_carry": None}],
    },
    "gold.volume_profile_1d": {
        "edges_in_order": [{"price_low": Decimal(2)}],
        "volume_where_trades": [{"trade_count": 0}],
        "control_in_value_area": [{"is_in_value_area": False}],
        "one_point_of_control": [{"instrument_id": "no control", "is_point_of_control": False}],
        "control_has_most_volume": [
            {"instrument_id": "wrong control"},
            {"instrument_id": "wrong control", "bin_index": 2, "volume": Decimal(2), "is_point_of_control": False},
        ],
        "value_area_holds_70_percent": [
            {"instrument_id": "narrow"},
            {"instrument_id": "narrow", "bin_index": 2, "is_point_of_control": False, "is_in_value_area": False},
        ],
    },
    "gold.return_correlations_1d": {
        "pair_in_order": [{"instrument_id_b": "a"}],
        "correlation_needs_pairs": [{"pair_count": 1}],
    },
    "bronze.power_readings": WRONG_CIVIL_DAY | {"delivered_on_its_day": [{"delivery_date": FAR_AWAY}]},
    "silver.power_readings": WRONG_CIVIL_DAY
    | {
        "off_grid": [
            {"interval_start": datetime(2024, 8, 8, 10, 7), "interval_min": 15},
            {"interval_start": datetime(2024, 8, 8, 10, 0, 1)},
        ],
        "delivered_on_its_day": [{"delivery_date": FAR_AWAY}],
        "power_unless_missing": [{"active_power_kw": None}],
        "measured_on_a_line": [{"_source_line": None}],
        "known_after_it_began": [{"available_at": LOCAL}, {"available_at": None}],
        "power_is_finite": [{"active_power_kw": float("inf")}, {"reactive_power_kvar": float("nan")}],
        "energy_adds_up": [{"other_wh": 0.0}],
        "parts_within_the_whole": [{"other_wh": -3.0}],
    },
    "silver.power_readings_rejected": WRONG_CIVIL_DAY | NO_REASON,
    "gold.load_hourly": WRONG_CIVIL_DAY
    | {
        "known_when_the_hour_began": [{"available_at": LOCAL + timedelta(minutes=1)}],
        "features_have_a_time": [{"available_at": None}],
        "starts_on_the_hour": [{"hour_start": LOCAL + timedelta(minutes=1)}],
        "measured_hours_have_a_load": [{"load_kw": None}],
        "deviations_not_negative": [{"load_kw_std_3": -1.0}],
        "load_is_finite": [{"load_kw": float("nan")}],
    },
    "gold.tick_predictions": WRONG_DAY
    | {
        "forecast_is_a_return": [{"forecast_log_return": 1.1}, {"forecast_log_return": float("nan")}],
        "bar_start_is_whole_minute": [{"bar_start": INSTANT + timedelta(seconds=1)}],
        "sha256_is_hex": [{"_source_sha256": "short"}],
    },
    "gold.load_forecasts": {
        "interval_holds_forecast": [{"load_kw_lower": 2.0}, {"load_kw_upper": 0.5}],
        "event_date_is_target_day": [{"event_date": FAR_AWAY}],
        "target_not_before_origin": [{"origin_start": LOCAL + timedelta(hours=1)}],
        "times_are_whole_hours": [{"target_start": LOCAL + timedelta(minutes=1)}],
        "sha256_is_hex": [{"_source_sha256": "short"}],
    },
    "bronze.images": TORN_RAW | {"labels_have_a_source": [{"_label_sha256": None}]},
    "silver.images": TORN | BLANK | {"duplicate_of_an_earlier_image": [{"duplicate_of": "y"}]},
    "silver.images_rejected": TORN_RAW | NO_REASON,
    "gold.image_statistics": {"of_train": [{"split": "test"}], "deviation_not_zero": [{"std": 0.0}]},
    "gold.image_class_counts": {"shares_add_up": [{"split": "test", "share_ratio": 0.5}]},
    **{f"gold.{name}_images": TORN | BLANK | {"one_shape": [{"width": 2}]} for name in SHIPPED_SETS},
    "gold.image_predictions": {
        "image_is_of_the_set": [{"image_id": "other.test.1"}],
        "probability_is_that_of_a_winner": [{"probability": 0.0}],
        "sha256_is_hex": [{"image_sha256": "short"}],
    },
}
"""Per rule that a declaration does not imply: rows that break it, as changes to the good row."""


def good_row(table: Table) -> Row:
    """Return a row that keeps every rule of the table's suite."""
    values = {
        column.name: Decimal(1) if column.type.startswith("decimal") else GOOD_VALUES[column.type]
        for column in table.columns
    }
    good = {name: value for name, value in GOOD_ROWS.get(table.identifier, {}).items() if name in values}
    return values | {column.name: column.allowed[0] for column in table.columns if column.allowed} | good


def declared_breaks(column: Column) -> list[Row]:
    """Return changes that break each rule that a column's declaration implies."""
    breaks: list[Row] = [] if column.nullable else [{column.name: None}]
    kind = Decimal if column.type.startswith("decimal") else float if column.type == "double" else int
    if column.minimum is not None:
        breaks.append({column.name: kind(column.minimum) - kind(1)})
        if column.exclusive_minimum:
            breaks.append({column.name: kind(column.minimum)})
    if column.maximum is not None:
        breaks.append({column.name: kind(column.maximum) + kind(1)})
    return breaks + ([{column.name: "none of them"}] if column.allowed else [])


def broken_rows(table: Table) -> list[Row]:
    """Return rows that break every rule over rows or keys of the table's suite, after two good ones of one key."""
    good = good_row(table)
    changes = [change for column in table.columns for change in declared_breaks(column)]
    changes += [change for rows in BROKEN_ROWS.get(table.identifier, {}).values() for change in rows]
    return [good, good, *(good | change for change in changes)]


def frame_of(spark: SparkSession, table: Table, rows: list[Row]) -> DataFrame:
    schema = ", ".join(f"`{column.name}` {column.type}" for column in table.columns)
    return spark.createDataFrame([tuple(row[name] for name in table.column_names) for row in rows], schema)


@pytest.fixture(scope="session")
def make_frame(spark: SparkSession) -> Callable[[Table, list[Row]], DataFrame]:
    """Build a Spark frame of a table from rows."""
    return lambda table, rows: frame_of(spark, table, rows)


@pytest.fixture
def make_batch() -> Iterator[Callable[..., Batch]]:
    """Build what an audit reads from a table's rows, or from the SQL that selects from those."""
    with ExitStack() as opened:

        def build(table: Table, rows: list[Row], select: str = "SELECT * FROM given") -> Batch:
            connection = opened.enter_context(duckdb.connect())
            connection.execute("SET TimeZone = 'UTC'")
            connection.register("given", arrow_table(table, rows))
            connection.execute(f"CREATE VIEW {NAME} AS {select}")
            names = [name for name, *_ in connection.execute(f"DESCRIBE {NAME}").fetchall()]
            return Batch(connection, {name: table.column(name).type for name in names})

        yield build


@pytest.fixture(scope="session")
def make_good() -> Callable[[Table], Row]:
    """Build the good row of a table."""
    return good_row


@pytest.fixture(scope="session")
def make_broken() -> Callable[[Table], list[Row]]:
    """Build the rows that break every rule of a table."""
    return broken_rows


@pytest.fixture(scope="session")
def breaks_by_rule() -> dict[str, dict[str, list[Row]]]:
    """Rows by table and rule that a declaration does not imply: what test_completeness.py looks for gaps in."""
    return BROKEN_ROWS
