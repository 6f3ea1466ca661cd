"""Two writers: whoever comes second plans again; nothing is lost and nothing is doubled."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from lakehouse.errors import ExitCode
from lakehouse.lake.catalog import load
from lakehouse.lake.history import SLICES
from lakehouse.tables.finance import BRONZE_TRADES, SILVER_TRADES, SILVER_TRADES_REJECTED
from lakehouse.tables.manifest import BRONZE_FILES
from spark_jobs.engine import publish, run
from spark_jobs.engine.stage import Branch
from spark_jobs.finance import bronze_quotes, bronze_trades, silver_trades

DAY = date(2024, 8, 8)
DAYS_OF_TEST = [DAY + timedelta(days=number) for number in range(4)]
JOBS = Path(__file__).parents[2] / "spark_jobs" / "finance"


def land(lake, binance_zip, days):
    for day in days:
        noon = datetime(day.year, day.month, day.day, 12)
        binance_zip(lake.landing, "BTCUSDT", day, [(n, "100", "1", noon + timedelta(seconds=n)) for n in range(1, 4)])


def delivered(lake):
    """What each day of bronze holds, and what the manifest says of it."""
    lines = lake.values(BRONZE_TRADES, "delivery_date", "_source_line")
    assert [(day, 3, "accepted") for day in sorted({day for day, _ in lines})] == lake.values(
        BRONZE_FILES, "delivery_date", "rows", "verdict"
    )
    return lines


def lines_of(days):
    return [(day, line) for day in days for line in (1, 2, 3)]


@pytest.mark.parametrize("moment", ["before it stages", "after its audit"])
def test_run_whose_table_moved_meanwhile_plans_again(lake, binance_zip, monkeypatch, moment):
    land(lake, binance_zip, DAYS_OF_TEST[:2])
    others = [DAYS_OF_TEST[1]]
    module, name = (run, "publish") if moment == "before it stages" else (publish, "audit_all")
    original = getattr(module, name)

    def let_another_run_be_faster(*arguments):
        reports = original(*arguments) if moment == "after its audit" else None
        if others:
            assert lake.run(bronze_trades.JOB, [others.pop()]).outcome == "published"
        return original(*arguments) if moment == "before it stages" else reports

    monkeypatch.setattr(module, name, let_another_run_be_faster)
    outcome = lake.run(bronze_trades.JOB)
    assert (outcome.outcome, outcome.slices) == ("published", (DAYS_OF_TEST[0],))  # the other day is not due any more
    assert delivered(lake) == lines_of(DAYS_OF_TEST[:2])


def land_a_quote(lake):
    quotes = lake.landing / "canonical" / "quotes" / "acme" / f"{DAY}.csv"
    quotes.parent.mkdir(parents=True)
    quotes.write_text(
        f"instrument_id,ts_event,bid_price,bid_size,ask_price,ask_size\nABC.ACME,{DAY}T12:00:00Z,1.0,5,1.1,5\n"
    )


def test_run_whose_second_table_moved_before_its_branch_was_made_begins_anew(lake, binance_zip, monkeypatch):
    """The first table has no row yet: a branch of it that stayed could not be made again."""
    land(lake, binance_zip, DAYS_OF_TEST[:1])
    land_a_quote(lake)
    original, moved = publish.open_branch, []

    def let_quotes_be_faster(attempt, table):
        if table is BRONZE_FILES and not moved:
            moved.append(table)
            assert lake.run(bronze_quotes.JOB).outcome == "published"
        return original(attempt, table)

    monkeypatch.setattr(publish, "open_branch", let_quotes_be_faster)
    assert lake.run(bronze_trades.JOB).outcome == "published"
    assert lake.branches(BRONZE_TRADES) == []
    assert lake.values(BRONZE_TRADES, "delivery_date", "_source_line") == lines_of([DAY])


def test_run_that_published_one_table_before_the_other_moved_counts_both(lake, binance_zip, monkeypatch):
    """Trades and quotes share the manifest: it moves after trades are on main, and is planned again alone."""
    land(lake, binance_zip, DAYS_OF_TEST[:1])
    land_a_quote(lake)
    original, moved = publish.fast_forward, []

    def let_quotes_be_faster(attempt, staged):
        if staged.write.table is BRONZE_FILES and not moved:
            moved.append(staged)
            assert lake.run(bronze_quotes.JOB).outcome == "published"
        original(attempt, staged)

    monkeypatch.setattr(publish, "fast_forward", let_quotes_be_faster)
    outcome = lake.run(bronze_trades.JOB)
    assert (outcome.outcome, outcome.summary.rows_in, outcome.summary.rows_out) == ("published", 3, 3)
    assert lake.branches(BRONZE_TRADES) == []  # the first attempt's is gone, too
    assert lake.values(BRONZE_TRADES, "delivery_date", "_source_line") == lines_of([DAY])
    assert lake.values(BRONZE_FILES, "dataset", "rows") == [("quotes", 1), ("trades", 3)]


def test_run_gives_up_where_others_are_always_faster(make_lake, binance_zip, monkeypatch):
    lake = make_lake("lake", publish_attempts="2")
    land(lake, binance_zip, DAYS_OF_TEST[:3])
    others = DAYS_OF_TEST[1:3]
    original = run.publish

    def always_be_faster(*arguments):
        monkeypatch.setattr(run, "publish", original)
        assert lake.run(bronze_trades.JOB, [others.pop()]).outcome == "published"
        monkeypatch.setattr(run, "publish", always_be_faster)
        return original(*arguments)

    monkeypatch.setattr(run, "publish", always_be_faster)
    outcome = lake.run(bronze_trades.JOB, [DAY])
    assert outcome.exit_code == ExitCode.CONFLICT
    assert outcome.message == (
        "finance.bronze_trades: other runs published first 2 times; run it again when they are through"
    )
    monkeypatch.undo()
    assert lake.run(bronze_trades.JOB).slices == (DAY,)
    assert delivered(lake) == lines_of(DAYS_OF_TEST[:3])


def test_fast_forward_goes_on_where_only_another_branch_was_made_meanwhile(lake, binance_zip, monkeypatch):
    """The catalog refuses a commit where any metadata changed; `main` did not, so nothing is to be planned again."""
    land(lake, binance_zip, DAYS_OF_TEST[:1])
    java_table = Branch.java_table
    made, tried = [], []

    class Delayed:
        def __init__(self, branch):
            self.branch, self.wrapped = branch, java_table(branch)

        def manageSnapshots(self):  # noqa: N802
            return self

        def removeBranch(self, *names):  # noqa: N802
            return self.wrapped.manageSnapshots().removeBranch(*names)

        def fastForwardBranch(self, *names):  # noqa: N802
            pending = self.wrapped.manageSnapshots().fastForwardBranch(*names)
            tried.append(self.branch.table.name)
            if self.branch.table is BRONZE_TRADES and not made:
                made.append("audit_of_another_run")
                iceberg = load(lake.settings, BRONZE_TRADES)
                snapshot_id = iceberg.refs()[self.branch.name].snapshot_id
                iceberg.manage_snapshots().create_branch(snapshot_id, made[0]).commit()
            return pending

        def __getattr__(self, name):
            return getattr(self.wrapped, name)

    monkeypatch.setattr(Branch, "java_table", lambda branch, delayed=Delayed: delayed(branch))
    outcome = lake.run(bronze_trades.JOB)
    assert outcome.exit_code == 0, outcome.message
    assert tried == ["trades", "trades", "files"]
    assert lake.branches(BRONZE_TRADES) == made
    assert delivered(lake) == lines_of([DAY])


def start(lake, job, day):
    """Run a job for one day in a process of its own."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("LAKEHOUSE_", "PYSPARK_"))}
    environment |= {
        "LAKEHOUSE_HOME": str(lake.settings.home),
        "LAKEHOUSE_LANDING": str(lake.landing),
        "LAKEHOUSE_SPARK_MASTER": "local[1]",
        "LAKEHOUSE_DRIVER_MEMORY": "1g",
        "LAKEHOUSE_SHUFFLE_PARTITIONS": "1",
        "LAKEHOUSE_PUBLISH_ATTEMPTS": "6",
    }
    command = [sys.executable, JOBS / f"{job}.py", "--from", str(day), "--to", str(day + timedelta(days=1))]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(processes):
    for process in processes:
        output, errors = process.communicate(timeout=300)
        assert process.returncode == 0, (output, errors[-3000:])


def test_two_processes_that_publish_different_days_at_once_both_do(lake, binance_zip):
    land(lake, binance_zip, DAYS_OF_TEST[:2])
    finish([start(lake, "bronze_trades", day) for day in DAYS_OF_TEST[:2]])
    assert delivered(lake) == lines_of(DAYS_OF_TEST[:2])
    finish([start(lake, "silver_trades", day) for day in DAYS_OF_TEST[:2]])
    assert lake.values(SILVER_TRADES, "event_date", "_source_line") == lines_of(DAYS_OF_TEST[:2])
    published = [summary[SLICES] for summary in lake.snapshots(SILVER_TRADES) if SLICES in summary]
    assert sorted(published) == [str(day) for day in DAYS_OF_TEST[:2]]
    for table in (BRONZE_TRADES, BRONZE_FILES, SILVER_TRADES, SILVER_TRADES_REJECTED):
        assert lake.branches(table) == []
    for job in (bronze_trades.JOB, silver_trades.JOB):
        assert lake.run(job).outcome == "done already"
