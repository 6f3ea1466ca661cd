"""A pinned table stays as it was, whatever is committed after, and has the columns of today."""

from __future__ import annotations

import polars as pl
import pytest
from pyiceberg.expressions import EqualTo

from lakehouse.config.settings import read_settings
from lakehouse.lake.catalog import load
from lakehouse.lake.migration import migrate
from lakehouse.lake.scans import pin_current
from lakehouse.lake.schema import arrow_table
from lakehouse.tables.finance import GOLD_INSTRUMENTS


@pytest.fixture
def settings(tmp_path):
    found = read_settings({"LAKEHOUSE_HOME": str(tmp_path)})
    migrate(found)
    return found


def append(settings, *ids, branch="main"):
    rows = [{"instrument_id": name, "venue": name[-1]} for name in ids]
    load(settings, GOLD_INSTRUMENTS).append(arrow_table(GOLD_INSTRUMENTS, rows), branch=branch)


def ids(pinned, *conditions):
    return sorted(pinned.rows(*conditions).select("instrument_id").collect().to_series())


def test_pinned_table_is_read_as_it_was_when_it_was_pinned(settings):
    empty = pin_current(settings, GOLD_INSTRUMENTS)
    append(settings, "A.X", "B.Y")
    main = pin_current(settings, GOLD_INSTRUMENTS)
    iceberg = load(settings, GOLD_INSTRUMENTS)
    iceberg.manage_snapshots().create_branch(iceberg.current_snapshot().snapshot_id, "audit_1").commit()
    append(settings, "C.X", branch="audit_1")
    branch = pin_current(settings, GOLD_INSTRUMENTS, "audit_1")
    append(settings, "D.X")
    assert (ids(empty), ids(main), ids(branch)) == ([], ["A.X", "B.Y"], ["A.X", "B.Y", "C.X"])
    assert ids(branch, pl.col("venue") == "X") == ["A.X", "C.X"]


def test_pinned_branch_has_columns_that_were_added_after_its_snapshot(settings):
    append(settings, "A.X")
    iceberg = load(settings, GOLD_INSTRUMENTS)
    iceberg.manage_snapshots().create_branch(iceberg.current_snapshot().snapshot_id, "audit_1").commit()
    with load(settings, GOLD_INSTRUMENTS).update_schema() as update:
        update.add_column("added", iceberg.schema().find_type("venue"))
    branch = pin_current(settings, GOLD_INSTRUMENTS, "audit_1")
    assert branch.rows().select("added", "venue").collect().rows() == [(None, "X")]
    assert branch.rows(pl.col("added").is_null()).collect().height == 1


def test_pinned_tag_and_main_have_the_names_of_today(settings):
    append(settings, "A.X", "B.Y")
    iceberg = load(settings, GOLD_INSTRUMENTS)
    iceberg.manage_snapshots().create_tag(iceberg.current_snapshot().snapshot_id, "then").commit()
    append(settings, "C.X")
    with load(settings, GOLD_INSTRUMENTS).update_schema() as update:
        update.rename_column("instrument_id", "subject").rename_column("venue", "exchange").move_first("venue")
    late = arrow_table(GOLD_INSTRUMENTS, [{"instrument_id": "D.X", "venue": "X"}])
    names = [{"instrument_id": "subject", "venue": "exchange"}.get(name, name) for name in late.column_names]
    load(settings, GOLD_INSTRUMENTS).append(late.rename_columns(names))
    for reference, rows in (("then", ["A.X"]), ("main", ["A.X", "C.X", "D.X"])):
        pinned = pin_current(settings, GOLD_INSTRUMENTS, reference)
        assert pinned.rows().collect_schema().names()[0] == "exchange"
        # the statistics of files from before are found by the column's id, too
        found = pinned.rows(pl.col("exchange") == "X").select("subject").collect().to_series()
        assert sorted(found) == rows
        scanned = pinned.scan(EqualTo("exchange", "X"), ("subject",)).to_arrow()
        assert sorted(scanned.column("subject").to_pylist()) == rows
