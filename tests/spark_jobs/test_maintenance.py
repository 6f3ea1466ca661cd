"""Maintenance: fewer files with the same rows, tags that hold, orphans with a floor, and writers that come first."""

from __future__ import annotations

import os
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from lakehouse.config.settings import read_settings
from lakehouse.errors import BadInputError, ExitCode
from lakehouse.lake.catalog import append_log, load, read_log
from lakehouse.lake.migration import require_tables
from lakehouse.tables.finance import BRONZE_TRADES
from lakehouse.tables.logs import CHECK_RESULTS, RUNS
from ml.pins import pin
from spark_jobs.engine import branches, upkeep
from spark_jobs.engine.publish import Attempt, open_branch
from spark_jobs.finance import bronze_trades
from spark_jobs.maintenance import TASKS, maintain

DAY = date(2024, 8, 8)
NOON = datetime(2024, 8, 8, 12)
TAG = f"model_some_model_{'a' * 32}"
FAR = timedelta(days=365)


@pytest.fixture
def crowded(lake, binance_zip, monkeypatch):
    """Three deliveries of one day, each a run: three data files in one partition, three snapshots."""
    monkeypatch.setattr(upkeep, "MIN_FILES", 3)
    for number in range(3):
        symbol = f"AAA{number}"
        binance_zip(lake.landing, symbol, DAY, [(1 + n, "100.0", "1", NOON) for n in range(3)])
        assert lake.run(bronze_trades.JOB, [DAY]).exit_code == 0
    return lake


def check_result(number: int) -> dict[str, Any]:
    """A row of quality.check_results."""
    return {
        "run_id": f"run-{number}",
        "table_name": "bronze.trades",
        "rule": "written_by_a_test",
        "severity": "warning",
        "is_passed": True,
        "observed": "0 rows",
        "threshold": "0 rows",
        "checked_at": NOON.replace(tzinfo=UTC) + timedelta(minutes=number),
    }


def files(lake, table) -> set[str]:
    return {task.file.file_path for task in load(lake.settings, table).scan().plan_files()}


def maintain_one(lake, task: str, table=BRONZE_TRADES, *, is_dry_run: bool = False) -> str:
    """Run one task on one table and return its line in ops.runs."""
    assert maintain(lake.request(is_dry_run=is_dry_run), [task], [table]) == ExitCode.DONE
    rows = [row for row in read_log(lake.settings, RUNS).to_pylist() if row["job"] == f"maintenance.{task}"]
    return rows[-1]["message"] if rows else ""


def age_everything(monkeypatch) -> None:
    """Let the tasks believe that a year has passed."""

    class Later(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.now(tz) + FAR

    for module in (branches, upkeep):
        monkeypatch.setattr(module, "datetime", Later)


def test_compact_writes_a_crowded_partition_together_and_keeps_rows_and_day_keys(crowded):
    before, digest = files(crowded, BRONZE_TRADES), crowded.digest(BRONZE_TRADES)
    assert maintain_one(crowded, "compaction", is_dry_run=True) == ""
    assert files(crowded, BRONZE_TRADES) == before
    assert maintain_one(crowded, "compaction") == "treated bronze.trades (3 files into 1)"
    assert len(files(crowded, BRONZE_TRADES)) == 1
    assert crowded.digest(BRONZE_TRADES) == digest
    assert crowded.branches(BRONZE_TRADES) == []
    # The days are done as they were: nothing is made again because of it
    assert crowded.run(bronze_trades.JOB, [DAY]).outcome == "done already"
    assert maintain_one(crowded, "compaction") == "nothing to do"


def test_compact_leaves_a_table_at_which_a_run_is_at_work(crowded):
    bases = {BRONZE_TRADES.identifier: load(crowded.settings, BRONZE_TRADES)}
    attempt = Attempt(crowded.spark, crowded.settings, "feedbeef", "", {}, datetime.now(UTC), bases)
    open_branch(attempt, BRONZE_TRADES)
    assert maintain_one(crowded, "compaction") == "treated bronze.trades (left: a run is at work)"
    assert len(files(crowded, BRONZE_TRADES)) == 3
    template = read_log(crowded.settings, RUNS).to_pylist()[0]
    append_log(crowded.settings, RUNS, [{**template, "run_id": "feedbeef"}])  # its end was recorded: it is over
    assert maintain_one(crowded, "compaction") == "treated bronze.trades (3 files into 1)"


def test_compact_lets_a_run_win_that_publishes_meanwhile(crowded, binance_zip, monkeypatch):
    binance_zip(crowded.landing, "ZZZ", DAY, [(1, "1.0", "1", NOON)])
    check = upkeep.check_same_rows

    def publish_first(*arguments):
        check(*arguments)
        assert crowded.run(bronze_trades.JOB, [DAY]).outcome == "published"

    monkeypatch.setattr(upkeep, "check_same_rows", publish_first)
    assert maintain_one(crowded, "compaction") == "treated bronze.trades (left: another run published meanwhile)"
    assert len(files(crowded, BRONZE_TRADES)) == 4
    assert crowded.branches(BRONZE_TRADES) == []


def test_compact_treats_log_tables_too(crowded):
    rows = read_log(crowded.settings, CHECK_RESULTS)
    assert maintain_one(crowded, "compaction", CHECK_RESULTS) == "treated quality.check_results (3 files into 1)"
    assert read_log(crowded.settings, CHECK_RESULTS).sort_by("rule") == rows.sort_by("rule")


def test_expire_keeps_what_a_tag_holds_and_forgets_the_rest(crowded, monkeypatch):
    snapshots = [row["snapshot_id"] for row in load(crowded.settings, BRONZE_TRADES).inspect.snapshots().to_pylist()]
    in_order = sorted(load(crowded.settings, BRONZE_TRADES).snapshots(), key=lambda each: each.timestamp_ms)
    pinned = in_order[2]  # the first is the empty table's
    pin(crowded.settings, BRONZE_TRADES, pinned.snapshot_id, TAG, None)
    rows_at_tag = crowded.rows(BRONZE_TRADES, TAG)
    maintain_one(crowded, "compaction")
    assert maintain_one(crowded, "expiry") == "nothing to do"  # everything is younger than the setting says
    age_everything(monkeypatch)
    message = maintain_one(crowded, "expiry")
    left = {each.snapshot_id for each in load(crowded.settings, BRONZE_TRADES).snapshots()}
    assert left == {pinned.snapshot_id, crowded.main(BRONZE_TRADES)}
    assert message.startswith(f"treated bronze.trades ({len(snapshots) + 1 - len(left)} snapshots with ")
    # A training from the tag reads the very rows that it read before
    assert crowded.rows(BRONZE_TRADES, TAG) == rows_at_tag
    assert rows_at_tag.num_rows == 6  # two deliveries of three lines
    assert crowded.rows(BRONZE_TRADES).num_rows == 9


def test_expire_keeps_the_last_snapshots_of_a_log_and_all_of_its_rows(crowded, monkeypatch):
    for number in range(24):
        append_log(crowded.settings, CHECK_RESULTS, [check_result(number)])
    rows, last = read_log(crowded.settings, CHECK_RESULTS), crowded.main(CHECK_RESULTS)
    count = len(load(crowded.settings, CHECK_RESULTS).snapshots())
    assert maintain_one(crowded, "expiry", CHECK_RESULTS) == "nothing to do"  # an hour has not passed

    class Later(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.now(tz) + timedelta(minutes=61)

    for module in (branches, upkeep):
        monkeypatch.setattr(module, "datetime", Later)
    message = maintain_one(crowded, "expiry", CHECK_RESULTS)
    assert message.startswith(f"treated quality.check_results ({count - 20} snapshots with 0 ")
    assert len(load(crowded.settings, CHECK_RESULTS).snapshots()) == 20
    assert crowded.main(CHECK_RESULTS) == last
    assert read_log(crowded.settings, CHECK_RESULTS) == rows
    assert maintain_one(crowded, "expiry", CHECK_RESULTS) == "nothing to do"


def test_remove_orphans_removes_old_files_that_no_snapshot_names(crowded):
    folder = Path(crowded.settings.home) / "warehouse" / "bronze" / "trades" / "data"
    old, young = folder / "killed-run.parquet", folder / "run-at-work.parquet"
    for path in (old, young):
        path.write_bytes(b"PAR1")
    os.utime(old, (time.time() - 4 * 86_400,) * 2)
    rows = crowded.rows(BRONZE_TRADES)
    maintain_one(crowded, "orphans", is_dry_run=True)
    assert old.is_file()
    assert maintain_one(crowded, "orphans") == "treated bronze.trades (1 files)"
    assert (old.is_file(), young.is_file()) == (False, True)
    assert crowded.rows(BRONZE_TRADES) == rows


def test_orphan_files_have_a_floor_of_three_days():
    with pytest.raises(BadInputError, match="LAKEHOUSE_ORPHAN_FILE_MIN_AGE_DAYS"):
        read_settings({"LAKEHOUSE_ORPHAN_FILE_MIN_AGE_DAYS": "2"})


def test_drop_leftover_branches_removes_old_ones_alone(crowded, monkeypatch):
    bases = {BRONZE_TRADES.identifier: load(crowded.settings, BRONZE_TRADES)}
    open_branch(Attempt(crowded.spark, crowded.settings, "dead", "", {}, datetime.now(UTC), bases), BRONZE_TRADES)
    assert maintain_one(crowded, "branches") == "nothing to do"
    assert crowded.branches(BRONZE_TRADES) == ["audit_dead"]
    age_everything(monkeypatch)
    assert maintain_one(crowded, "branches") == "treated bronze.trades (1 branches)"
    assert crowded.branches(BRONZE_TRADES) == []


def test_trim_metadata_bounds_the_metadata_files_of_a_table_made_before(crowded):
    iceberg = load(crowded.settings, BRONZE_TRADES)
    with iceberg.transaction() as change:
        change.remove_properties("write.metadata.delete-after-commit.enabled", "write.metadata.previous-versions-max")
    assert maintain_one(crowded, "metadata") == "treated bronze.trades (set up)"
    properties = load(crowded.settings, BRONZE_TRADES).properties
    assert properties["write.metadata.delete-after-commit.enabled"] == "true"
    assert maintain_one(crowded, "metadata") == "nothing to do"


def test_maintain_of_an_empty_lakehouse_does_nothing(lake):
    require_tables(lake.settings, [RUNS])
    assert maintain(lake.request(), [*TASKS], [BRONZE_TRADES]) == ExitCode.DONE
    assert {row["message"] for row in read_log(lake.settings, RUNS).to_pylist()} == {"nothing to do"}
