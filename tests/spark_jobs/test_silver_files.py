"""Silver by tasks that write files: how a day's lines are cut, and that the cut leaves no trace."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from lakehouse.catalog import read_log
from lakehouse.tables.finance import SILVER_TRADES, SILVER_TRADES_REJECTED
from lakehouse.tables.logs import FILE_BALANCES
from spark_jobs import day_files, silver_files
from spark_jobs.finance import bronze_trades, silver_trades
from spark_jobs.manifest import Entry
from spark_jobs.silver_files import Piece, cut_pieces

DAY = date(2024, 8, 8)
NEXT_DAY = date(2024, 8, 9)


def entry(instrument_id: str, sha256: str, rows: int, *days: date) -> Entry:
    loaded = datetime(2024, 8, 10, tzinfo=UTC)
    return Entry(
        *(DAY, "trades", "test", instrument_id, "", f"{sha256}.zip", sha256, 1, rows, None, None),
        *(days, "accepted", None, loaded),
    )


def test_cut_pieces_keeps_an_instruments_day_whole_and_names_the_days_files(monkeypatch):
    monkeypatch.setattr(silver_files, "LINES_PER_TASK", 100)
    entries = [
        entry("A.X", "a", 180, DAY, NEXT_DAY),  # 90 lines a day
        entry("B.X", "b", 60, DAY),
        entry("C.X", "c", 40, DAY),
        entry("D.X", "d", 500, NEXT_DAY + timedelta(days=1)),  # of a day that nobody asked for
    ]
    assert cut_pieces(entries, [DAY, NEXT_DAY], cores=1) == [
        Piece(DAY, ("A.X",), ("a", "b", "c")),
        Piece(DAY, ("B.X", "C.X"), ("a", "b", "c")),
        Piece(NEXT_DAY, ("A.X",), ("a",)),
    ]


def test_cut_pieces_gives_every_core_a_piece_of_a_single_day():
    entries = [entry(name, name, 1000, DAY) for name in ("A.X", "B.X", "C.X", "D.X")]
    pieces = cut_pieces(entries, [DAY], cores=2)
    assert sorted(len(piece.instrument_ids) for piece in pieces) == [2, 2]
    assert cut_pieces([], [DAY], cores=2) == []  # a day that lost its last delivery is emptied without a task


def test_silver_files_of_many_pieces_equal_those_of_one(make_lake, binance_zip, monkeypatch):
    whole, cut = make_lake("whole"), make_lake("cut")
    for lake in (whole, cut):
        for symbol in ("BTCUSDT", "ETHUSDT", "XRPETH"):
            noon = datetime(2024, 8, 8, 12)
            lines = [(number, "100", "1", noon + timedelta(seconds=number)) for number in range(40)]
            binance_zip(lake.landing, symbol, DAY, [*lines, lines[3], (5, "101", "1", noon), "nonsense"])
        assert lake.run(bronze_trades.JOB).exit_code == 0
        assert lake.run(silver_trades.JOB).exit_code == 0
        monkeypatch.setattr(silver_files, "LINES_PER_TASK", 1)
        monkeypatch.setattr(day_files, "TASKS_PER_CORE", 1)  # a task makes several pieces, of one day too
    for table in (SILVER_TRADES, SILVER_TRADES_REJECTED):
        assert whole.digest(table) == cut.digest(table)
    balance = read_log(cut.settings, FILE_BALANCES)
    counted = ("lines_in", "rows_out", "rows_rejected", "rows_duplicate", "is_balanced")
    assert set(zip(*(balance.column(name).to_pylist() for name in counted), strict=True)) == {(43, 40, 2, 1, True)}
