"""Publishing: a failed audit leaves `main` alone, and an exception at the fast-forward is settled by the references."""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime
from pathlib import Path

import pyarrow.compute as pc
import pytest
from py4j.protocol import Py4JError
from pyiceberg.catalog.sql import SqlCatalog

from lakehouse.errors import ExitCode
from lakehouse.lake import catalog
from lakehouse.lake.catalog import read_log
from lakehouse.tables.finance import BRONZE_TRADES, SILVER_TRADES, SILVER_TRADES_REJECTED
from lakehouse.tables.logs import CHECK_RESULTS, RUNS
from lakehouse.tables.manifest import BRONZE_FILES
from spark_jobs.engine import publish
from spark_jobs.engine.stage import Branch
from spark_jobs.finance import bronze_trades, silver_trades

DAY = date(2024, 8, 8)
NEXT_DAY = date(2024, 8, 9)
GOOD = [(1, "100", "1", datetime(2024, 8, 8, 12)), (2, "100", "1", datetime(2024, 8, 8, 13))]


def last_run(lake):
    row = read_log(lake.settings, RUNS).sort_by("started_at").to_pylist()[-1]
    return {name: row[name] for name in ("job", "outcome", "exit_code", "message", "days", "snapshot_id")}


def test_publish_of_a_failed_audit_leaves_main_and_keeps_the_branch(lake, binance_zip):
    binance_zip(lake.landing, "BTCUSDT", DAY, GOOD)
    for job in (bronze_trades.JOB, silver_trades.JOB):
        assert lake.run(job).exit_code == 0
    before = (lake.main(SILVER_TRADES), lake.main(SILVER_TRADES_REJECTED))

    noon = datetime(2024, 8, 9, 12)
    binance_zip(lake.landing, "BTCUSDT", NEXT_DAY, [(3, "0", "1", noon), (4, "100", "0", noon)])  # no line is a trade
    assert lake.run(bronze_trades.JOB).exit_code == 0
    failed = lake.run(silver_trades.JOB)

    assert failed.exit_code == ExitCode.AUDIT_FAILED
    assert failed.message.startswith(
        "audit failed in silver.trades: has_rows; main is untouched, the rows are on branch "
    )
    assert (lake.main(SILVER_TRADES), lake.main(SILVER_TRADES_REJECTED)) == before
    assert last_run(lake) == {
        "job": "finance.silver_trades",
        "outcome": "audit failed",
        "exit_code": 3,
        "message": failed.message,
        "days": [],
        "snapshot_id": before[0],
    }
    (branch,) = lake.branches(SILVER_TRADES)
    assert branch in failed.message
    assert lake.branches(SILVER_TRADES_REJECTED) == [branch]
    rejected = lake.rows(SILVER_TRADES_REJECTED, ref=branch)
    assert rejected.select(["raw_trade_id", "rule"]).to_pylist() == [
        {"raw_trade_id": "3", "rule": "non_positive_price"},
        {"raw_trade_id": "4", "rule": "non_positive_size"},
    ]
    results = read_log(lake.settings, CHECK_RESULTS).filter(pc.field("run_id") == branch.removeprefix("audit_"))
    blocking = results.filter(~pc.field("is_passed") & (pc.field("severity") == "critical"))
    assert blocking.select(["table_name", "rule"]).to_pylist() == [{"table_name": "silver.trades", "rule": "has_rows"}]
    assert set(results.column("table_name").to_pylist()) == {"silver.trades", "silver.trades_rejected"}

    assert lake.run(silver_trades.JOB).exit_code == ExitCode.AUDIT_FAILED
    binance_zip(lake.landing, "BTCUSDT", NEXT_DAY, [(3, "100", "1", noon)])
    assert lake.run(bronze_trades.JOB, is_replacing=True).exit_code == 0
    repaired = lake.run(silver_trades.JOB)
    assert (repaired.outcome, repaired.slices) == ("published", (NEXT_DAY,))
    assert lake.values(SILVER_TRADES, "event_date", "sequence") == [(DAY, 1), (DAY, 2), (NEXT_DAY, 3)]


class Interrupted:
    """Iceberg's table object, whose commits at the fast-forward go through a test's hands."""

    def __init__(self, wrapped, commit):
        self.wrapped, self.commit_with = wrapped, commit

    def manageSnapshots(self):  # noqa: N802
        return self

    def fastForwardBranch(self, *names):  # noqa: N802
        self.pending = self.wrapped.manageSnapshots().fastForwardBranch(*names)
        return self

    def removeBranch(self, *names):  # noqa: N802
        return self.wrapped.manageSnapshots().removeBranch(*names)

    def commit(self):
        self.commit_with(self.pending.commit)

    def __getattr__(self, name):
        return getattr(self.wrapped, name)


@pytest.fixture
def interrupt(monkeypatch):
    """interrupt(commit) hands the commit of each fast-forward to a function."""
    java_table = Branch.java_table

    def install(commit):
        monkeypatch.setattr(Branch, "java_table", lambda branch: Interrupted(java_table(branch), commit))

    monkeypatch.setattr(publish, "SETTLE_PAUSE_S", 0.01)
    return install


def lose_answer(commit):
    commit()
    raise Py4JError("Connection reset")


def lose_request(commit):
    raise Py4JError("Connection refused\n  at a line of a traceback")


def test_publish_whose_answer_was_lost_is_published(lake, binance_zip, interrupt):
    binance_zip(lake.landing, "BTCUSDT", DAY, GOOD)
    interrupt(lose_answer)
    outcome = lake.run(bronze_trades.JOB)
    assert (outcome.outcome, outcome.exit_code, outcome.slices) == ("published", 0, (DAY,))
    assert lake.rows(BRONZE_TRADES).num_rows == 2
    assert lake.values(BRONZE_FILES, "rows", "verdict") == [(2, "accepted")]


def test_publish_that_was_not_applied_says_so_and_is_repeated(lake, binance_zip, interrupt, monkeypatch):
    binance_zip(lake.landing, "BTCUSDT", DAY, GOOD)
    interrupt(lose_request)
    outcome = lake.run(bronze_trades.JOB)
    assert outcome.exit_code == ExitCode.UNAVAILABLE
    assert outcome.message == (
        "bronze.trades was not published: Connection refused; main is as it was, run the same again"
    )
    assert (lake.main(BRONZE_TRADES), lake.main(BRONZE_FILES)) == (None, None)
    assert last_run(lake)["outcome"] == "unavailable"
    monkeypatch.undo()
    assert lake.run(bronze_trades.JOB).exit_code == 0
    assert lake.rows(BRONZE_TRADES).num_rows == 2


@pytest.fixture
def impatient(monkeypatch):
    """What is away stays away: pauses and attempts are cut short."""
    monkeypatch.setattr(catalog, "LOG_APPEND_ATTEMPTS", 2)
    monkeypatch.setattr(publish, "SETTLE_PAUSE_S", 0.01)


def test_publish_while_the_catalog_is_away_is_unknown_and_is_repeated(
    lake, binance_zip, interrupt, impatient, monkeypatch, caplog
):
    binance_zip(lake.landing, "BTCUSDT", DAY, GOOD)
    database = lake.settings.catalog_file
    away = database.with_name("away.db")

    def take_catalog_away(commit):
        commit()
        for file in list(database.parent.glob("catalog.db*")):
            file.rename(str(file).replace("catalog.db", "away.db"))
        database.mkdir()
        raise Py4JError("Connection reset")

    interrupt(take_catalog_away)
    outcome = lake.run(bronze_trades.JOB)
    assert outcome.exit_code == ExitCode.UNAVAILABLE
    assert outcome.message == (
        "whether bronze.trades was published is unknown, the catalog is away: Connection reset; run the same again"
    )
    assert "ops.runs" in caplog.text  # where a person finds that this run is not recorded
    database.rmdir()
    for file in list(Path(away).parent.glob("away.db*")):
        file.rename(str(file).replace("away.db", "catalog.db"))
    monkeypatch.undo()
    assert lake.run(bronze_trades.JOB).exit_code == 0
    assert lake.rows(BRONZE_TRADES).num_rows == 2
    assert lake.values(BRONZE_FILES, "rows", "verdict") == [(2, "accepted")]


def test_run_without_a_catalog_is_unavailable(lake, binance_zip, impatient):
    binance_zip(lake.landing, "BTCUSDT", DAY, GOOD)
    lake.settings.catalog_file.mkdir(parents=True)
    outcome = lake.run(bronze_trades.JOB)
    assert outcome.exit_code == ExitCode.UNAVAILABLE
    assert outcome.message == (
        "the catalog can't be opened ((sqlite3.OperationalError) unable to open database file); "
        "`lakehouse doctor` says more"
    )


def test_run_that_crashes_is_recorded_and_raised(lake, binance_zip, monkeypatch):
    binance_zip(lake.landing, "BTCUSDT", DAY, GOOD)

    def crash(*_):
        raise RuntimeError("a defect\nwith more lines")

    monkeypatch.setattr(publish, "audit_all", crash)
    with pytest.raises(RuntimeError, match="a defect"):
        lake.run(bronze_trades.JOB)
    recorded = last_run(lake)
    assert (recorded["outcome"], recorded["exit_code"], recorded["message"]) == ("crash", 1, "RuntimeError: a defect")
    assert lake.main(BRONZE_TRADES) is None


def test_a_publish_loads_a_table_a_few_times_only(lake, binance_zip, monkeypatch):
    """The state before the plan is loaded once; what is counted, audited and recorded later is loaded where it is."""
    binance_zip(lake.landing, "BTCUSDT", DAY, GOOD)
    for job in (bronze_trades.JOB, silver_trades.JOB):
        assert lake.run(job).exit_code == 0
    binance_zip(lake.landing, "BTCUSDT", NEXT_DAY, [(3, "100", "1", datetime(2024, 8, 9, 12))])
    assert lake.run(bronze_trades.JOB).exit_code == 0
    loads, load_table = Counter(), SqlCatalog.load_table

    def load_counted(catalog, identifier):
        loads[identifier] += 1
        return load_table(catalog, identifier)

    monkeypatch.setattr(SqlCatalog, "load_table", load_counted)
    assert lake.run(silver_trades.JOB).slices == (NEXT_DAY,)
    assert 0 < loads[SILVER_TRADES.identifier] <= 5
    assert 0 < loads[SILVER_TRADES_REJECTED.identifier] <= 4
