"""A manifest of version 0.1 has true days and times after `migrate`, and every one of its rows."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from pyiceberg.catalog.sql import SqlCatalog

from lakehouse.config.settings import Settings, read_settings
from lakehouse.errors import BadInputError, ConflictError
from lakehouse.lake import migration
from lakehouse.lake.catalog import load
from lakehouse.lake.history import RUN_KEY, SLICE_KEYS, SLICES, last_replacements, rows_per_slice
from lakehouse.lake.migration import migrate, migrate_table, require_tables
from lakehouse.lake.scans import pin_current
from lakehouse.lake.schema import arrow_table
from lakehouse.slices import UNDATED
from lakehouse.tables.manifest import BRONZE_FILES

OLD = replace(
    BRONZE_FILES,
    columns=tuple(
        replace(column, name="instrument_id", formerly=()) if column.name == "subject" else column
        for column in BRONZE_FILES.columns
        if not column.name.endswith("_interval_start")
    ),
    sorted_by=("instrument_id", "_source_file"),
)
DAY, NO_DAY = date(2024, 8, 8), date(1970, 1, 1)
NOON, NIGHT = datetime(2024, 8, 8, 12), datetime(2024, 8, 8, 23, 59)


def entry(dataset: str, subject: str, delivery_date: date | None, verdict: str = "accepted", **values: Any) -> Any:
    """A row of the manifest; its file is named after what it is about."""
    row = dict.fromkeys(BRONZE_FILES.column_names) | {
        "dataset": dataset,
        "subject": subject,
        "delivery_date": delivery_date,
        "delivery_part": "",
        "source": "test",
        "_source_file": subject or "unreadable",
        "_source_sha256": "a" * 64,
        "bytes": 10,
        "rows": 2,
        "event_dates": [delivery_date] if verdict == "accepted" and delivery_date else [],
        "verdict": verdict,
        "_ingested_at": datetime(2024, 8, 9, tzinfo=UTC),
    }
    return row | values


TICKS = entry("trades", "BTC.X", DAY, first_ts_event=NOON.replace(tzinfo=UTC), last_ts_event=NIGHT.replace(tzinfo=UTC))
TIMELESS = entry("trades", "ETH.X", DAY)  # no line has a readable time
METER = entry("power_readings", "m.HOME", DAY, first_interval_start=NOON, last_interval_start=NIGHT)
IMAGES = entry("images", "mnist.train", None, delivery_part="labels")
UNREADABLE = entry("trades", "", None, "quarantined", reason="cut", rows=0)
NOW = [TICKS, TIMELESS, METER, IMAGES, UNREADABLE]


def as_written_by_0_1(row: dict[str, Any]) -> dict[str, Any]:
    """The same row as that version had it."""
    local = (row["first_interval_start"], row["last_interval_start"])
    first, last = (time and time.replace(tzinfo=UTC) for time in local)
    return {
        **row,
        "instrument_id": row["subject"],
        "delivery_date": row["delivery_date"] or NO_DAY,
        "first_ts_event": first or row["first_ts_event"],
        "last_ts_event": last or row["last_ts_event"],
    }


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A lakehouse with a manifest of version 0.1."""
    found = read_settings({"LAKEHOUSE_HOME": str(tmp_path)})
    require_tables(found, [OLD])
    days = {RUN_KEY: "run", SLICES: "1970-01-01,2024-08-08", SLICE_KEYS: "1970-01-01=k,2024-08-08=k"}
    load(found, OLD).append(arrow_table(OLD, list(map(as_written_by_0_1, NOW))), snapshot_properties=days)
    monkeypatch.setattr(migration, "TABLES", (BRONZE_FILES,))
    return found


def manifest(settings: Settings) -> list[dict[str, Any]]:
    rows = pin_current(settings, BRONZE_FILES).rows().collect().to_dicts()
    return sorted(rows, key=lambda row: [each["_source_file"] for each in NOW].index(row["_source_file"]))


def test_migrate_gives_an_old_manifest_true_days_and_times(settings: Settings) -> None:
    with pytest.raises(BadInputError, match=r"^bronze\.files lacks first_interval_start, .*; has instrument_id where"):
        require_tables(settings, [BRONZE_FILES])
    assert migrate(settings) == [
        "renamed instrument_id of bronze.files to subject",
        "added first_interval_start, last_interval_start to bronze.files",
    ]
    assert migrate(settings) == []
    require_tables(settings, [BRONZE_FILES])
    assert manifest(settings) == NOW
    iceberg = load(settings, BRONZE_FILES)
    assert rows_per_slice(iceberg, "delivery_date") == {DAY: 3, UNDATED: 2}
    # What a run knows of the days that it replaced stays known
    assert last_replacements(iceberg)[DAY].slice_key == "k"


def test_migrate_that_fails_leaves_the_old_manifest_whole(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(SqlCatalog, "commit_table", fail)
        with pytest.raises(KeyboardInterrupt):
            migrate(settings)
    iceberg = load(settings, BRONZE_FILES)
    assert [field.name for field in iceberg.schema().fields] == list(OLD.column_names)
    assert NO_DAY in iceberg.scan().to_arrow().column("delivery_date").to_pylist()
    migrate(settings)
    assert manifest(settings) == NOW


def test_migrate_beside_a_run_that_publishes_to_the_manifest_is_a_conflict(settings: Settings) -> None:
    loaded = load(settings, BRONZE_FILES)
    late = entry("trades", "LATE.X", DAY)
    load(settings, OLD).append(arrow_table(OLD, [as_written_by_0_1(late)]))
    with pytest.raises(ConflictError):
        migrate_table(loaded, BRONZE_FILES)
    migrate(settings)
    rows = pin_current(settings, BRONZE_FILES).rows().collect()
    assert rows.height == len(NOW) + 1
    assert rows.filter(subject="LATE.X").to_dicts() == [late]


def test_migrate_of_an_old_manifest_without_rows_changes_its_columns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = read_settings({"LAKEHOUSE_HOME": str(tmp_path / "empty")})
    require_tables(empty, [OLD])
    monkeypatch.setattr(migration, "TABLES", (BRONZE_FILES,))
    assert len(migrate(empty)) == 2
    assert load(empty, BRONZE_FILES).current_snapshot() is None
    require_tables(empty, [BRONZE_FILES])
