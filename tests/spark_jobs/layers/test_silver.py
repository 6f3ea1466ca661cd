"""Silver by tasks that write files: how a day's lines are cut, and that the cut leaves no trace."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import polars as pl

from lakehouse.lake.catalog import read_log
from lakehouse.lake.scans import pin_current
from lakehouse.tables.finance import BRONZE_TRADES, SILVER_TRADES, SILVER_TRADES_REJECTED
from lakehouse.tables.logs import FILE_BALANCES
from spark_jobs.engine import tasks
from spark_jobs.engine.manifest import Entry
from spark_jobs.engine.pieces import cut_pieces
from spark_jobs.finance import bronze_trades, silver_trades
from spark_jobs.layers import balance, silver
from spark_jobs.layers.balance import line_difference
from spark_jobs.layers.silver import expected_lines

DAY = date(2024, 8, 8)
NEXT_DAY = date(2024, 8, 9)


def entry(instrument_id: str, sha256: str, rows: int, *days: date) -> Entry:
    loaded = datetime(2024, 8, 10, tzinfo=UTC)
    return Entry(
        *(DAY, "trades", "test", instrument_id, "", f"{sha256}.zip", sha256, 1, rows, None, None, None, None),
        *(days, "accepted", None, loaded),
    )


def cut(entries, days, cores, limit=500_000):
    """Cut lines into pieces: slices, subjects, and the files that they are read from."""
    counts, hashes = expected_lines(entries, days)
    pieces = cut_pieces(SILVER_TRADES, counts, cores, limit)
    return [(piece.slices, piece.subjects, balance.hashes_of(hashes, piece.slices)) for piece in pieces]


def test_pieces_keep_an_instruments_day_whole_and_name_the_days_files():
    entries = [
        entry("A.X", "a", 180, DAY, NEXT_DAY),  # 90 lines a day
        entry("B.X", "b", 60, DAY),
        entry("C.X", "c", 40, DAY),
        entry("D.X", "d", 500, NEXT_DAY + timedelta(days=1)),  # of a day that nobody asked for
    ]
    assert cut(entries, [DAY, NEXT_DAY], cores=1, limit=100) == [
        ((DAY,), ("A.X",), ["a", "b", "c"]),
        ((DAY,), ("B.X", "C.X"), ["a", "b", "c"]),
        ((NEXT_DAY,), ("A.X",), ["a"]),
    ]


def test_every_core_gets_a_piece_of_a_single_day():
    entries = [entry(name, name, 1000, DAY) for name in ("A.X", "B.X", "C.X", "D.X")]
    assert sorted(len(subjects) for _, subjects, _ in cut(entries, [DAY], cores=2)) == [2, 2]
    assert cut([], [DAY], cores=2) == []  # a day that lost its last delivery is emptied without a task


def test_silver_files_of_many_pieces_equal_those_of_one(make_lake, binance_zip, monkeypatch):
    whole, cut = make_lake("whole"), make_lake("cut")
    for lake in (whole, cut):
        for symbol in ("BTCUSDT", "ETHUSDT", "XRPETH"):
            noon = datetime(2024, 8, 8, 12)
            lines = [(number, "100", "1", noon + timedelta(seconds=number)) for number in range(40)]
            binance_zip(lake.landing, symbol, DAY, [*lines, lines[3], (5, "101", "1", noon), "nonsense"])
        assert lake.run(bronze_trades.JOB).exit_code == 0
        assert lake.run(silver_trades.JOB).exit_code == 0
        monkeypatch.setattr(silver, "LINES_PER_TASK", 1)
        monkeypatch.setattr(tasks, "TASKS_PER_CORE", 1)  # a task makes several pieces, of one day too
    for table in (SILVER_TRADES, SILVER_TRADES_REJECTED):
        assert whole.digest(table) == cut.digest(table)
    balance = read_log(cut.settings, FILE_BALANCES)
    counted = ("lines_in", "rows_out", "rows_rejected", "rows_duplicate", "is_balanced")
    assert set(zip(*(balance.column(name).to_pylist() for name in counted), strict=True)) == {(43, 40, 2, 1, True)}


def test_line_difference_compares_files_of_which_every_day_is_looked_at():
    entries = [entry("A.X", "a", 180, DAY, NEXT_DAY), entry("B.X", "b", 60, DAY), entry("C.X", "b", 40, DAY)]
    lines = {(DAY, "a"): 90, (DAY, "b"): 98}
    assert line_difference(entries, [DAY], lines) == 2
    assert line_difference(entries, [DAY, NEXT_DAY], {**lines, (NEXT_DAY, "a"): 95}) == 7
    assert line_difference(entries, [NEXT_DAY], {}) == 0


def test_silver_is_not_published_where_lines_are_neither_read_nor_counted(make_lake, binance_zip, monkeypatch):
    lake = make_lake("short")
    for symbol in ("BTCUSDT", "ETHUSDT"):
        binance_zip(lake.landing, symbol, DAY, [(number, "100", "1", datetime(2024, 8, 8, 12)) for number in range(9)])
    assert lake.run(bronze_trades.JOB).exit_code == 0
    with monkeypatch.context() as patched:
        for module in (silver, balance):  # as if the reader took a file for one without such rows
            patched.setattr(module, "accepted_lines", lambda *_: [pl.col("instrument_id") == "BTCUSDT.BINANCE"])
        outcome = lake.run(silver_trades.JOB)
    assert (outcome.exit_code, lake.main(SILVER_TRADES)) == (3, None)
    assert "manifest_line_difference" in outcome.message
    assert lake.run(silver_trades.JOB).exit_code == 0


def test_rows_are_those_that_spark_left_when_it_rewrote_files_and_deleted_rows(make_lake, binance_zip):
    lake = make_lake("rewritten")
    noon = datetime(2024, 8, 8, 12)
    binance_zip(lake.landing, "BTCUSDT", DAY, [(number, "100.5", "0.25", noon) for number in range(9)])
    for job in (bronze_trades.JOB, silver_trades.JOB):
        assert lake.run(job).exit_code == 0
    before = {table: pin_current(lake.settings, table).rows().collect() for table in (BRONZE_TRADES, SILVER_TRADES)}
    for table, rows in before.items():
        lake.spark.sql(
            f"CALL lakehouse.system.rewrite_data_files(table => '{table.identifier}', "
            "options => map('rewrite-all', 'true'))"
        )
        assert pin_current(lake.settings, table).rows().collect().sort(table.row_order).equals(rows)
    lake.spark.sql(
        f"ALTER TABLE {SILVER_TRADES.full_name} SET TBLPROPERTIES ('format-version' = '2', "
        "'write.delete.mode' = 'merge-on-read')"
    )
    lake.spark.sql(f"DELETE FROM {SILVER_TRADES.full_name} WHERE trade_id IN ('3', '4')")  # noqa: S608  # a constant
    left = pin_current(lake.settings, SILVER_TRADES).rows().select(pl.col("trade_id").sort()).collect()
    assert left.to_series().to_list() == ["0", "1", "2", "5", "6", "7", "8"]
