"""`kill -9` of a real process at the worst moments, then one rerun: the tables are those of a lakehouse left in peace.

Each moment has its control: with the protection off, the same check fails.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from lakehouse.tables.finance import BRONZE_TRADES, SILVER_TRADES, SILVER_TRADES_REJECTED
from lakehouse.tables.manifest import BRONZE_FILES
from spark_jobs.engine import kept, publish, run, stage
from spark_jobs.finance import bronze_trades, silver_trades
from spark_jobs.layers import bronze

DAY = date(2024, 8, 8)
NEXT_DAY = date(2024, 8, 9)
BRONZE = (BRONZE_TRADES, BRONZE_FILES)
SILVER = (SILVER_TRADES_REJECTED, SILVER_TRADES)
VICTIM = Path(__file__).with_name("killed_run.py")
BEFORE_PUBLISH = ("while writing", "between write and audit", "between audit and publish")
AFTER_PUBLISH = ("between the two tables", "after publish", "before the record")


def at(hour, day=DAY):
    return datetime(day.year, day.month, day.day, hour)


FIRST_DELIVERY = [(1, "100", "1", at(12)), (2, "100", "1", at(23)), "nonsense"]
CORRECTION = [(1, "101", "1", at(12)), (2, "100", "1", at(23)), (3, "100", "0", at(13))]
SECOND_DELIVERY = [
    (2, "102", "1", at(23)),  # changes a trade of the day before, so both event days are replaced
    (4, "100", "1", at(1, NEXT_DAY)),
    (4, "100", "1", at(1, NEXT_DAY)),
    (5, "-1", "1", at(2, NEXT_DAY)),
]


@dataclass
class Scene:
    """A lakehouse on one path whose folder can be put back to how it was before bronze, or before silver."""

    open_lake: partial
    saved: dict[str, Path]
    undisturbed: dict[str, str]

    def put_back(self, layer):
        lake = self.open_lake()  # a new session: the old one's catalog has the removed database open
        shutil.rmtree(lake.settings.home)
        shutil.copytree(self.saved[layer], lake.settings.home)
        return lake


def digests(lake):
    return {table.identifier: lake.digest(table) for table in (*BRONZE, *SILVER)}


def load(lake, job, **flags):
    outcome = lake.run(job, **flags)
    assert outcome.exit_code == 0, outcome.message
    return outcome


@pytest.fixture(scope="module")
def scene(spark, lakes, binance_zip, tmp_path_factory):
    """The first day published; its correction and the second day landed, and in a second picture in bronze, too."""
    folder = tmp_path_factory.mktemp("kill")
    open_lake = partial(lakes, spark, folder, "lake")
    lake = open_lake()
    binance_zip(lake.landing, "BTCUSDT", DAY, FIRST_DELIVERY)
    load(lake, bronze_trades.JOB)
    load(lake, silver_trades.JOB)
    binance_zip(lake.landing, "BTCUSDT", DAY, CORRECTION)
    binance_zip(lake.landing, "BTCUSDT", NEXT_DAY, SECOND_DELIVERY)
    saved = {"bronze": folder / "before-bronze", "silver": folder / "before-silver"}
    shutil.copytree(lake.settings.home, saved["bronze"])
    load(lake, bronze_trades.JOB, is_replacing=True)
    shutil.copytree(lake.settings.home, saved["silver"])
    load(lake, silver_trades.JOB)
    return Scene(open_lake, saved, digests(lake))


def is_running(group):
    """Say whether a process of the group still runs; one that only waits to be reaped does not."""
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _, of_group = status.read_text().rpartition(")")[2].split()[:3]
            if int(of_group) == group and state not in "ZX":
                return True
    return False


def kill_run(lake, job, moment, protection="protected", *arguments):
    """Run a job in a process of its own until it kills itself."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("LAKEHOUSE_", "PYSPARK_"))}
    environment |= {
        "LAKEHOUSE_HOME": str(lake.settings.home),
        "LAKEHOUSE_LANDING": str(lake.landing),
        "LAKEHOUSE_SPARK_MASTER": "local[2]",
        "LAKEHOUSE_DRIVER_MEMORY": "1g",
        "LAKEHOUSE_SHUFFLE_PARTITIONS": "2",
    }
    module = f"spark_jobs.finance.{job.name.partition('.')[2]}"
    victim = subprocess.Popen(
        [sys.executable, VICTIM, module, moment, protection, *arguments],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
        text=True,
    )
    _, errors = victim.communicate(timeout=300)
    assert victim.returncode == -9, errors[-2000:]
    while is_running(victim.pid):
        time.sleep(0.05)


def mains(lake):
    return {table.identifier: lake.main(table) for table in (*BRONZE, *SILVER)}


def double_what_is_there(monkeypatch):
    """Turn off what makes a rerun safe: keys are not looked at, nothing is replaced, and no audit stops it."""

    monkeypatch.setattr(run, "due_slices", lambda tables, keys: tuple(sorted(keys)))
    monkeypatch.setattr(publish, "is_published", lambda attempt, table, slices: False)
    unread = SimpleNamespace(rows_evaluated=0)
    monkeypatch.setattr(publish, "audit_all", lambda attempt, staged, **_: ([unread] * len(staged), ()))
    monkeypatch.setattr(publish, "log_checks", lambda settings, reports: None)
    monkeypatch.setattr(bronze, "delete_rows", lambda branch, columns, keys: None)
    append = partial(stage.stage_files, replaces=False)
    monkeypatch.setattr(kept, "stage_files", lambda branch, files, slices, **_: append(branch, files, slices))


@pytest.mark.parametrize("moment", BEFORE_PUBLISH)
def test_run_killed_before_it_publishes_leaves_main_and_is_repeated(scene, moment):
    lake = scene.put_back("silver")
    before = mains(lake)
    kill_run(lake, silver_trades.JOB, moment)
    assert mains(lake) == before
    load(lake, silver_trades.JOB)
    assert digests(lake) == scene.undisturbed


@pytest.mark.parametrize("moment", BEFORE_PUBLISH)
def test_control_run_that_writes_to_main_is_seen_when_killed(scene, moment):
    lake = scene.put_back("silver")
    before = mains(lake)
    kill_run(lake, silver_trades.JOB, moment, "unprotected")
    assert mains(lake) != before


@pytest.mark.parametrize("moment", AFTER_PUBLISH)
def test_run_killed_after_it_published_is_repeated(scene, moment, monkeypatch):
    lake = scene.put_back("silver")
    before = mains(lake)
    kill_run(lake, silver_trades.JOB, moment)
    moved = {name for name, snapshot in mains(lake).items() if snapshot != before[name]}
    expected = {"silver.trades_rejected", "silver.trades"}
    assert moved == ({"silver.trades_rejected"} if moment == "between the two tables" else expected)
    again = load(lake, silver_trades.JOB)
    assert again.outcome == ("published" if moment == "between the two tables" else "done already")
    assert digests(lake) == scene.undisturbed

    # The control: a rerun without keys that appends.
    lake = scene.put_back("silver")
    kill_run(lake, silver_trades.JOB, moment) if moment == "between the two tables" else load(lake, silver_trades.JOB)
    double_what_is_there(monkeypatch)
    load(lake, silver_trades.JOB)
    assert digests(lake) != scene.undisturbed


@pytest.mark.parametrize("moment", ["while writing", "between the two tables"])
def test_bronze_run_killed_is_repeated(scene, moment):
    lake = scene.put_back("bronze")
    before = mains(lake)
    kill_run(lake, bronze_trades.JOB, moment, "protected", "--replace")
    moved = {name for name, snapshot in mains(lake).items() if snapshot != before[name]}
    assert moved == ({"bronze.trades"} if moment == "between the two tables" else set())
    load(lake, bronze_trades.JOB, is_replacing=True)
    load(lake, silver_trades.JOB)
    assert digests(lake) == scene.undisturbed


def test_control_bronze_run_repeated_without_keys_doubles_its_lines(scene, monkeypatch):
    lake = scene.put_back("bronze")
    kill_run(lake, bronze_trades.JOB, "between the two tables", "protected", "--replace")
    double_what_is_there(monkeypatch)
    load(lake, bronze_trades.JOB, is_replacing=True)
    assert digests(lake) != scene.undisturbed


def test_bronze_run_killed_between_its_tables_makes_way_for_another_file(scene, binance_zip, lakes, tmp_path):
    """The file that the dead run had written is corrected before the rerun: nothing of it may stay."""
    lake = scene.put_back("bronze")
    kill_run(lake, bronze_trades.JOB, "between the two tables", "protected", "--replace")
    landing = tmp_path / "landing"
    shutil.copytree(lake.landing, landing)
    binance_zip(landing, "BTCUSDT", NEXT_DAY, SECOND_DELIVERY[:2])
    outcome = lake.run(bronze_trades.JOB, landing=landing, is_replacing=True)
    assert outcome.exit_code == 0, outcome.message
    scratch = lakes(lake.spark, tmp_path, "scratch")
    load(scratch, bronze_trades.JOB, landing=landing)
    assert lake.digest(BRONZE_TRADES) == scratch.digest(BRONZE_TRADES)
