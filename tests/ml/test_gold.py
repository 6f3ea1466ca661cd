from dataclasses import replace
from datetime import date, datetime

import polars as pl
import pytest

from lakehouse.config.settings import read_settings
from lakehouse.errors import BadInputError
from lakehouse.lake.catalog import load
from lakehouse.lake.migration import migrate_table
from lakehouse.tables import Column
from lakehouse.tables.energy import GOLD_LOAD_HOURLY
from lakehouse.tables.vision import gold_images
from ml import gold
from ml.gold import Pin, RowFilter, choose_snapshot, in_order, read_gold
from ml.pins import pin, tag_name

TAG = tag_name("m1", "0" * 32)
DAYS = RowFilter((("meter_id", "household.UCI"),), first=date(2007, 1, 2), last_exclusive=date(2007, 1, 4))


@pytest.fixture
def pinned(tmp_path, hours):
    settings = read_settings({"LAKEHOUSE_HOME": str(tmp_path / "home")})
    frame = hours.generated(10)
    snapshot_id = hours.publish(settings, frame.sample(frac=1, random_state=1))  # files are in no order
    pin(settings, GOLD_LOAD_HOURLY, snapshot_id, TAG, 7)
    return settings, frame, Pin("gold.load_hourly", TAG, snapshot_id, 0)


def test_read_gold_gives_the_wanted_columns_of_the_wanted_days_in_order(pinned):
    settings, frame, where = pinned
    rows = read_gold(settings, where, ("load_kw",), DAYS)
    assert rows.column_names == ["meter_id", "hour_start", "occurrence", "load_kw"]
    assert rows.column("hour_start").to_pylist() == [datetime(2007, 1, 2 + n // 24, n % 24) for n in range(48)]
    assert rows.column("load_kw").to_pylist() == frame["load_kw"].to_list()[24:72]


def test_read_gold_is_as_it_was_pinned_after_gold_has_changed_and_the_rest_expired(pinned, hours):
    settings, frame, where = pinned
    hours.publish(settings, hours.generated(10, seed=8))
    iceberg = load(settings, GOLD_LOAD_HOURLY)
    kept = {reference.snapshot_id for reference in iceberg.refs().values()}
    iceberg.maintenance.expire_snapshots().by_ids(
        [each.snapshot_id for each in iceberg.snapshots() if each.snapshot_id not in kept]
    ).commit()
    rows = read_gold(settings, where, ("load_kw",), RowFilter())
    assert rows.column("load_kw").to_pylist() == frame["load_kw"].to_list()


def test_read_gold_of_another_meter_is_empty(pinned):
    settings, _, where = pinned
    rows = read_gold(settings, where, ("load_kw",), RowFilter((("meter_id", "x' or 'a' = 'a"),)))
    assert rows.num_rows == 0


@pytest.mark.parametrize(
    ("meters", "count"),
    [
        pytest.param(("household.UCI",), 240, id="one"),
        pytest.param(("household.OTHER", "household.UCI"), 240, id="one of two"),
        pytest.param(("household.OTHER", "x' or 'a' = 'a"), 0, id="none"),
    ],
)
def test_read_gold_of_several_meters(pinned, meters, count):
    settings, _, where = pinned
    rows = read_gold(settings, where, ("load_kw",), RowFilter(any_of=(("meter_id", meters),)))
    assert rows.num_rows == count


def test_tag_that_is_not_where_it_was_is_not_read(pinned):
    settings, _, where = pinned
    with pytest.raises(
        BadInputError,
        match=rf"^tag {TAG} of gold\.load_hourly is at snapshot {where.snapshot_id}; expected snapshot 5$",
    ):
        read_gold(settings, Pin(where.identifier, TAG, 5, 0), ("load_kw",), DAYS)
    with pytest.raises(BadInputError, match=r"^tag nothing of gold\.load_hourly is gone; expected"):
        read_gold(settings, Pin(where.identifier, "nothing", where.snapshot_id, 0), ("load_kw",), DAYS)


def test_choose_snapshot_takes_main_or_a_point_in_time(pinned, hours):
    settings, _, where = pinned
    newest = hours.publish(settings, hours.generated(11))
    assert choose_snapshot(settings, GOLD_LOAD_HOURLY, None)[0] == newest
    assert choose_snapshot(settings, GOLD_LOAD_HOURLY, TAG)[0] == where.snapshot_id
    with pytest.raises(BadInputError, match=r"^gold\.load_hourly has no tag or branch 'x'"):
        choose_snapshot(settings, GOLD_LOAD_HOURLY, "x")


@pytest.mark.parametrize("piece_bytes", [2**30, 5000])
def test_rows_have_the_types_nulls_and_order_that_pyiceberg_reads(pinned, monkeypatch, piece_bytes):
    settings, _, where = pinned
    monkeypatch.setattr(gold, "PIECE_BYTES", piece_bytes)  # 240 hours in one piece, or in many
    rows = read_gold(settings, where, None, RowFilter())
    expected = load(settings, GOLD_LOAD_HOURLY).scan().to_arrow()
    expected = expected.sort_by([(name, "ascending") for name in GOLD_LOAD_HOURLY.primary_key])
    assert rows.schema.equals(expected.schema)
    assert rows.equals(expected)
    assert rows.column("load_kw_lag_168").null_count == 168
    assert {column.num_chunks for column in rows.columns} == {1}


def test_filter_of_a_table_without_days_asks_for_none():
    assert RowFilter().conditions(gold_images("digits")) == ()


@pytest.fixture
def evolved(pinned, monkeypatch):
    """The same after a version that renamed the meter and the load, and added a column between them."""
    settings, frame, where = pinned
    names = {"meter_id": "meter", "load_kw": "mean_kw"}
    columns = [
        replace(column, name=names[column.name], formerly=(column.name,)) if column.name in names else column
        for column in GOLD_LOAD_HOURLY.columns
    ]
    columns.insert(1, Column("country", "string", "Where the meter is.", nullable=True))
    key = ("meter", *GOLD_LOAD_HOURLY.primary_key[1:])
    declared = replace(GOLD_LOAD_HOURLY, columns=tuple(columns), primary_key=key)
    migrate_table(load(settings, GOLD_LOAD_HOURLY), declared)
    monkeypatch.setattr(gold, "find_table", lambda identifier: declared)
    return settings, frame, where


def test_read_gold_gives_a_renamed_column_by_the_name_that_is_asked_for(evolved):
    settings, frame, where = evolved
    rows = read_gold(settings, where, ("load_kw", "mean_kw", "hour"), DAYS)  # DAYS has the meter's former name
    assert rows.column_names == ["meter", "hour_start", "occurrence", "load_kw", "mean_kw", "hour"]
    assert rows.column("load_kw").to_pylist() == frame["load_kw"].to_list()[24:72]
    assert rows.column("mean_kw") == rows.column("load_kw")


def test_read_gold_refuses_a_column_that_came_after_the_snapshot(evolved):
    settings, _, where = evolved
    expected = rf"^gold\.load_hourly has no column country at snapshot {where.snapshot_id}; choose a snapshot that was "
    with pytest.raises(BadInputError, match=expected):
        read_gold(settings, where, ("country", "load_kw"), DAYS)
    with pytest.raises(BadInputError, match=r"^gold\.load_hourly has no column kw at snapshot"):
        read_gold(settings, where, ("kw",), DAYS)


def test_read_gold_of_all_columns_gives_those_of_the_snapshot(evolved):
    settings, frame, where = evolved
    rows = read_gold(settings, where, None, DAYS)
    assert rows.column_names == [name for name in where.table.column_names if name != "country"]
    assert rows.column("mean_kw").to_pylist() == frame["load_kw"].to_list()[24:72]


@pytest.mark.parametrize(
    ("keys", "numbers", "is_copied"),
    [
        pytest.param(["a", "b", "c"], [1, 2, 3], False, id="in order already"),
        pytest.param(["b", "c", "a"], [2, 3, 1], True, id="not in order"),
        pytest.param(["a"], [1], False, id="one row"),
        pytest.param([], [], False, id="none"),
    ],
)
def test_in_order_sorts_what_is_not_sorted(keys, numbers, is_copied):
    rows = pl.DataFrame({"key": keys, "number": numbers}, {"key": pl.String, "number": pl.Int64})
    found = in_order(rows, ["key"])
    assert found.to_dict(as_series=False) == {"key": sorted(keys), "number": sorted(numbers)}
    assert (found is not rows) is is_copied


def test_in_order_sorts_by_several_keys():
    rows = pl.DataFrame({"key": ["a", "a"], "number": [2, 1]})
    assert in_order(rows, ["key", "number"]).to_dict(as_series=False) == {"key": ["a", "a"], "number": [1, 2]}
