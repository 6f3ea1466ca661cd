"""An audit reads the rows of the days that a snapshot replaced, with the columns of today, wherever they lie."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path

import pytest

from expectations import batch
from expectations.batch import open_batch
from lakehouse.config.settings import Settings, read_settings
from lakehouse.lake.catalog import load
from lakehouse.lake.migration import migrate
from lakehouse.lake.scans import pin_current
from lakehouse.lake.schema import arrow_table
from lakehouse.tables import find_table

PROFILE, LOAD = find_table("gold.volume_profile_1d"), find_table("gold.load_hourly")
DAY, NEXT = date(2024, 8, 8), date(2024, 8, 9)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    found = read_settings({"LAKEHOUSE_HOME": str(tmp_path)})
    migrate(found)
    return found


def append(settings: Settings, day: date, *names: str) -> None:
    rows = [{"instrument_id": name, "event_date": day, "bin_index": 1} for name in names]
    load(settings, PROFILE).append(arrow_table(PROFILE, rows))


@pytest.mark.parametrize("is_local", [True, False], ids=["files of this machine", "files of another store"])
def test_open_batch_reads_the_rows_of_the_days_at_the_snapshot(
    settings: Settings, is_local: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(settings, DAY, "A.X", "B.X")
    append(settings, NEXT, "C.X")
    with load(settings, PROFILE).update_schema() as update:
        update.add_column("added", load(settings, PROFILE).schema().find_type("bin_index"))
    staged = pin_current(settings, PROFILE)
    append(settings, DAY, "D.X")
    if not is_local:
        monkeypatch.setattr(batch, "local_path", lambda location: None)
    with open_batch(staged, PROFILE, [DAY], threads=1) as rows:
        assert rows.rows("SELECT instrument_id, added FROM batch ORDER BY ALL") == [("A.X", None), ("B.X", None)]
        declared = {column.name: column.type for column in PROFILE.columns}
        assert rows.columns == {**declared, "added": "int"}
    with open_batch(staged, PROFILE, [], threads=1) as rows:
        assert rows.row("SELECT count(*) FROM batch") == (3,)


def test_open_batch_of_a_table_without_files_has_its_columns_and_no_rows(settings: Settings) -> None:
    with open_batch(pin_current(settings, PROFILE), PROFILE, [DAY], threads=1) as rows:
        assert rows.rows("SELECT price_low, _ingested_at FROM batch") == []


@pytest.mark.parametrize("is_local", [True, False], ids=["files of this machine", "files of another store"])
def test_open_batch_leaves_out_the_other_days_of_a_months_file(
    settings: Settings, is_local: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [
        {"meter_id": f"{day}.X", "event_date": day, "hour_start": datetime(day.year, day.month, day.day)}
        for day in (DAY, NEXT)
    ]
    load(settings, LOAD).append(arrow_table(LOAD, rows))
    assert len(list(load(settings, LOAD).scan().plan_files())) == 1
    if not is_local:
        monkeypatch.setattr(batch, "local_path", lambda location: None)
    with open_batch(pin_current(settings, LOAD), LOAD, [NEXT], threads=1) as found:
        assert found.rows("SELECT meter_id FROM batch") == [(f"{NEXT}.X",)]


@pytest.mark.parametrize("is_local", [True, False], ids=["files of this machine", "files of another store"])
def test_open_batch_finds_a_renamed_column_in_files_from_before(
    settings: Settings, is_local: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(settings, DAY, "A.X", "B.X")
    with load(settings, PROFILE).update_schema() as update:
        update.rename_column("instrument_id", "subject").move_first("bin_index")
    late = arrow_table(PROFILE, [{"instrument_id": "C.X", "event_date": DAY, "bin_index": 2}])
    names = ["subject" if name == "instrument_id" else name for name in late.column_names]
    load(settings, PROFILE).append(late.rename_columns(names))
    if not is_local:
        monkeypatch.setattr(batch, "local_path", lambda location: None)
    with open_batch(pin_current(settings, PROFILE), PROFILE, [DAY], threads=1) as rows:
        found = rows.rows("SELECT subject, bin_index FROM batch ORDER BY ALL")
        assert next(iter(rows.columns)) == rows.connection.sql("FROM batch").columns[0] == "bin_index"
    assert found == [("A.X", 1), ("B.X", 1), ("C.X", 2)]
