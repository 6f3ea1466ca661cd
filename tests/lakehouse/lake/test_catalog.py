"""The catalog: tables made from declarations, logs that are appended once, and what `main` says of its days."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime

import pytest
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.table import Table as IcebergTable
from sqlalchemy.exc import OperationalError

from lakehouse.config.settings import read_settings
from lakehouse.errors import BadInputError, UnavailableError
from lakehouse.lake import catalog
from lakehouse.lake.catalog import append_log, load, read_log
from lakehouse.lake.history import (
    RUN_KEY,
    SLICE_KEYS,
    SLICES,
    Replacement,
    last_replacements,
    published_slices,
    rows_per_slice,
    slice_fingerprints,
)
from lakehouse.lake.migration import require_tables
from lakehouse.lake.schema import arrow_table
from lakehouse.tables.finance import GOLD_INSTRUMENTS, GOLD_RETURN_CORRELATIONS_1D
from lakehouse.tables.logs import RUNS
from lakehouse.tables.vision import GOLD_IMAGE_CLASS_COUNTS

CORRELATIONS = GOLD_RETURN_CORRELATIONS_1D
MONDAY, TUESDAY, WEDNESDAY = date(2024, 8, 5), date(2024, 8, 6), date(2024, 8, 7)


@pytest.fixture
def settings(tmp_path):
    return read_settings({"LAKEHOUSE_HOME": str(tmp_path / "home")})


def run_row(run_id, **values):
    """One row of ops.runs."""
    started = datetime(2024, 8, 8, 12, 0, int(run_id[-1]), tzinfo=UTC)
    fields = {"run_id": run_id, "job": "test", "days": [MONDAY], "seconds": 0.5, "started_at": started}
    return fields | values


def publish(settings, day, pairs, key):
    """Replace a day of the correlations the way a run does, on `main` directly."""
    rows = [
        {"event_date": day, "instrument_id_a": a, "instrument_id_b": b, "pair_count": 2, "correlation": 0.5}
        for a, b in pairs
    ]
    load(settings, CORRELATIONS).overwrite(
        arrow_table(CORRELATIONS, rows),
        overwrite_filter=f"event_date = '{day}'",
        snapshot_properties={SLICES: str(day), SLICE_KEYS: f"{day}={key}", RUN_KEY: f"run-{key}"},
    )


def test_load_of_a_missing_table_says_who_makes_it(settings):
    with pytest.raises(BadInputError, match=r"^gold\.instruments does not exist yet; a run or `lakehouse migrate`"):
        load(settings, GOLD_INSTRUMENTS)


def test_load_without_a_database_is_unavailable(settings):
    settings.catalog_file.mkdir(parents=True)
    with pytest.raises(UnavailableError, match=r"^the catalog can't be opened \(.*unable to open database file\)"):
        load(settings, RUNS)


def test_read_log_gives_the_last_row_per_key(settings):
    assert read_log(settings, RUNS).num_rows == 0
    require_tables(settings, [RUNS])
    assert read_log(settings, RUNS).num_rows == 0
    append_log(settings, RUNS, [])
    append_log(settings, RUNS, [run_row("r1", outcome="crash"), run_row("r2")])
    append_log(settings, RUNS, [run_row("r1", outcome="published", started_at=datetime(2024, 8, 9, tzinfo=UTC))])
    rows = read_log(settings, RUNS).select(["run_id", "outcome"]).to_pylist()
    assert sorted(rows, key=lambda row: row["run_id"]) == [
        {"run_id": "r1", "outcome": "published"},
        {"run_id": "r2", "outcome": None},
    ]


def test_append_log_whose_answer_was_lost_appends_once(settings, monkeypatch):
    require_tables(settings, [RUNS])
    append, calls = IcebergTable.append, []

    def lose_answer(iceberg, *arguments, **keywords):
        calls.append(1)
        append(iceberg, *arguments, **keywords)
        raise OSError("connection reset")

    monkeypatch.setattr(IcebergTable, "append", lose_answer)
    append_log(settings, RUNS, [run_row("r1")])
    monkeypatch.undo()
    assert len(calls) == 1
    assert load(settings, RUNS).scan().to_arrow().column("run_id").to_pylist() == ["r1"]


def test_append_log_that_never_succeeds_is_unavailable(settings, monkeypatch):
    require_tables(settings, [RUNS])

    calls = []

    def fail(*_, **__):
        calls.append(1)
        raise CommitFailedException("another commit was first")

    monkeypatch.setattr(IcebergTable, "append", fail)
    with pytest.raises(UnavailableError) as caught:
        append_log(settings, RUNS, [run_row("r1")])
    assert str(caught.value) == "1 rows could not be appended to ops.runs: another commit was first; run the same again"
    assert len(calls) == catalog.LOG_APPEND_ATTEMPTS


def test_append_log_of_several_writers_at_once_loses_none(settings):
    require_tables(settings, [RUNS])
    names = [f"r{number}" for number in range(4)]
    with ThreadPoolExecutor(max_workers=len(names)) as pool:
        list(pool.map(lambda name: append_log(settings, RUNS, [run_row(name)]), names))
    assert sorted(read_log(settings, RUNS).column("run_id").to_pylist()) == names


def test_last_replacements_are_those_of_main_newest_first(settings):
    require_tables(settings, [CORRELATIONS])
    assert last_replacements(load(settings, CORRELATIONS)) == {}
    publish(settings, MONDAY, [("a", "b")], "k1")
    publish(settings, TUESDAY, [("a", "b"), ("a", "c")], "k2")
    publish(settings, MONDAY, [("a", "c")], "k3")
    iceberg = load(settings, CORRELATIONS)
    newest = iceberg.current_snapshot().snapshot_id
    last = last_replacements(iceberg)
    assert last[MONDAY] == Replacement("run-k3", "k3", newest)
    assert (last[TUESDAY].run_key, last[TUESDAY].slice_key) == ("run-k2", "k2")
    assert set(last) == {MONDAY, TUESDAY}
    assert rows_per_slice(iceberg, "event_date") == {MONDAY: 1, TUESDAY: 2}
    assert published_slices(iceberg, "event_date") == (MONDAY, TUESDAY)


def replace_set(settings, name, images, key):
    """Replace one set in gold.image_class_counts, as a run of the vision jobs does."""
    iceberg = load(settings, GOLD_IMAGE_CLASS_COUNTS)
    rows = [{"dataset": name, "split": "train", "label": 0, "image_count": number} for number in images]
    properties = {RUN_KEY: f"run-{key}", SLICES: name, SLICE_KEYS: f"{name}={key}"}
    iceberg.overwrite(
        arrow_table(GOLD_IMAGE_CLASS_COUNTS, rows),
        overwrite_filter=f"dataset = '{name}'",
        snapshot_properties=properties,
    )


def test_sets_are_replaced_counted_and_told_apart_by_name(settings):
    require_tables(settings, [GOLD_IMAGE_CLASS_COUNTS])
    replace_set(settings, "mnist", [5, 7], "k1")
    replace_set(settings, "cifar10", [3], "k2")
    first = slice_fingerprints(load(settings, GOLD_IMAGE_CLASS_COUNTS), "dataset", ["mnist", "cifar10", "digits"])
    replace_set(settings, "mnist", [6], "k3")
    iceberg = load(settings, GOLD_IMAGE_CLASS_COUNTS)
    last = last_replacements(iceberg)
    assert {name: last[name].slice_key for name in last} == {"mnist": "k3", "cifar10": "k2"}
    assert rows_per_slice(iceberg, "dataset") == {"mnist": 1, "cifar10": 1}
    assert published_slices(iceberg, "dataset") == ("cifar10", "mnist")
    second = slice_fingerprints(iceberg, "dataset", ["mnist", "cifar10", "digits"])
    assert set(first) == set(second) == {"mnist", "cifar10"}
    assert (second["cifar10"] == first["cifar10"], second["mnist"] == first["mnist"]) == (True, False)
    old = [s.snapshot_id for s in iceberg.snapshots() if s.snapshot_id != iceberg.current_snapshot().snapshot_id]
    iceberg.maintenance.expire_snapshots().by_ids(old).commit()
    expired = slice_fingerprints(load(settings, GOLD_IMAGE_CLASS_COUNTS), "dataset", ["cifar10"])
    assert expired["cifar10"].startswith("files:")


def test_rows_per_day_of_a_table_that_was_emptied_are_none(settings):
    require_tables(settings, [CORRELATIONS])
    assert rows_per_slice(load(settings, CORRELATIONS), "event_date") == {}
    publish(settings, MONDAY, [("a", "b")], "k1")
    publish(settings, MONDAY, [], "k2")  # as where no row was rejected
    assert rows_per_slice(load(settings, CORRELATIONS), "event_date") == {}
    assert last_replacements(load(settings, CORRELATIONS))[MONDAY].slice_key == "k2"


def test_day_fingerprints_change_with_their_day_alone_and_survive_expiry(settings):
    require_tables(settings, [CORRELATIONS])
    days = [MONDAY, TUESDAY, WEDNESDAY]
    assert slice_fingerprints(load(settings, CORRELATIONS), "event_date", days) == {}
    publish(settings, MONDAY, [("a", "b")], "k1")
    publish(settings, TUESDAY, [("a", "b")], "k2")
    first = slice_fingerprints(load(settings, CORRELATIONS), "event_date", days)
    assert set(first) == {MONDAY, TUESDAY}
    publish(settings, MONDAY, [("a", "b")], "k1")  # the same again is another content: its snapshot is
    second = slice_fingerprints(load(settings, CORRELATIONS), "event_date", days)
    assert second[MONDAY] != first[MONDAY]
    assert second[TUESDAY] == first[TUESDAY]

    iceberg = load(settings, CORRELATIONS)
    old = [s.snapshot_id for s in iceberg.snapshots() if s.snapshot_id != iceberg.current_snapshot().snapshot_id]
    iceberg.maintenance.expire_snapshots().by_ids(old).commit()
    expired = slice_fingerprints(load(settings, CORRELATIONS), "event_date", days)
    assert expired[MONDAY] == second[MONDAY]
    assert expired[TUESDAY].startswith("files:")
    assert slice_fingerprints(load(settings, CORRELATIONS), "event_date", days) == expired


def test_append_log_that_fails_says_so_in_one_line(settings, monkeypatch, caplog):
    def fail(*_):
        raise OperationalError("UPDATE iceberg_tables SET metadata_location=?", (), Exception("database is locked"))

    monkeypatch.setattr(catalog, "load", fail)  # a database that stays locked for minutes
    with pytest.raises(UnavailableError) as caught:
        append_log(settings, RUNS, [run_row("run1")])
    assert str(caught.value) == (
        "1 rows could not be appended to ops.runs: (builtins.Exception) database is locked; run the same again"
    )
    assert all("\n" not in message for message in caplog.messages)
