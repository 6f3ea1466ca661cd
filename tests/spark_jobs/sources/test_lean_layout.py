"""LEAN's paths: which are read, by which clock, and under which instrument."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from spark_jobs.sources.base import Claim
from spark_jobs.sources.discovery import claim_file

DAY = date(2013, 10, 7)


@pytest.mark.parametrize(
    ("path", "source", "dataset", "instrument_id"),
    [
        ("lean/equity/usa/tick/aig/20131007_trade.zip", "lean_trades", "trades", "AIG.USA"),
        ("equity/usa/tick/brk.b/20131007_trade.zip", "lean_trades", "trades", "BRK-B.USA"),
        ("future/comex/tick/gc/20131007_trade.zip", "lean_trades", "trades", ""),
        ("equity/usa/tick/ibm/20131007_quote.zip", "lean_quotes", "quotes", "IBM.USA"),
        ("forex/fxcm/tick/eurusd/20131007_quote.zip", "lean_quotes", "quotes", "EURUSD.FXCM"),
        ("cfd/oanda/tick/xauusd/20131007_quote.zip", "lean_quotes", "quotes", "XAUUSD.OANDA"),
    ],
)
def test_claim_file_knows_the_markets_whose_clock_is_known(path, source, dataset, instrument_id):
    assert claim_file(path) == Claim(source, dataset, path, DAY, "", instrument_id)


@pytest.mark.parametrize(
    "path",
    [
        "future/comex/tick/gc/20131007_openinterest.zip",
        "crypto/coinbase/second/btcusd/20161007_trade.zip",
        "equity/usa/second/aig/20131007_trade.zip",
        "equity/nowhere/tick/aig/20131007_trade.zip",
        "future/comex/tick/gc/20131007_quote.zip",
        "equity/usa/tick/aig/20131307_trade.zip",
        "usa/tick/aig/20131007_trade.zip",
    ],
)
def test_claim_file_leaves_other_resolutions_kinds_and_markets(path):
    assert claim_file(path) is None


def test_lean_trades_keep_equal_lines_and_hexadecimal_conditions(read, zipped):
    line = "34200000,491800,300,P,20002020,0\n"
    rows = read(zipped({"a.csv": line + line + "1,2\n"}), "equity/usa/tick/aig/20131007_trade.zip").to_pylist()
    names = ("_source_line", "sequence", "raw_conditions", "raw_price", "price_divisor", "instrument_id", "ts_event")
    opening = datetime(2013, 10, 7, 13, 30, tzinfo=UTC)
    assert [tuple(row[name] for name in names) for row in rows] == [
        (1, 1, "20002020", "491800", 10_000, "AIG.USA", opening),
        (2, 2, "20002020", "491800", 10_000, "AIG.USA", opening),
        (3, 3, None, None, 10_000, "AIG.USA", None),
    ]
    assert rows[2]["raw_line"] == "1,2"


def test_lean_trades_refuse_a_member_without_a_contract_month(reason_of, read, zipped):
    path = "future/comex/tick/gc/20131007_trade.zip"
    line = "1,1313.7,1,usa,,0\n"
    assert reason_of(zipped({"gc_201312.csv": line, "gc.csv": line}), path) == (
        "member 'gc.csv' names no contract month; expected ..._<yyyymm>.csv"
    )
    rows = read(zipped({"gc_201312_20131227.csv": line, "gc_201402.csv": line}), path).to_pylist()
    assert [(row["instrument_id"], row["sequence"]) for row in rows] == [
        ("GC-201312.COMEX", 1),
        ("GC-201402.COMEX", 10**10 + 1),
    ]
