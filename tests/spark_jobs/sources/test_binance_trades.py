"""Binance's daily dumps: what is claimed, the unit of `time`, headers, and lines that are odd."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from spark_jobs.sources.base import Claim
from spark_jobs.sources.discovery import claim_file

PATH = "BTCUSDT-trades-2025-01-01.zip"
AGG_PATH = "spot/BTCUSDT-aggTrades-2024-08-08.zip"
TIME = datetime(2025, 1, 1, 12, 0, 0, 123_456, tzinfo=UTC)
MICROS = "1735732800123456"


@pytest.mark.parametrize(
    ("path", "claim"),
    [
        (
            "binance/XRPETH/XRPETH-trades-2019-10-11.zip",
            Claim(
                "binance_trades",
                "trades",
                "binance/XRPETH/XRPETH-trades-2019-10-11.zip",
                date(2019, 10, 11),
                "",
                "XRPETH.BINANCE",
            ),
        ),
        (
            AGG_PATH,
            Claim("binance_agg_trades", "trades", AGG_PATH, date(2024, 8, 8), "", "BTCUSDT.BINANCE_AGG"),
        ),
        ("data/futures/um/daily/trades/BTCUSDT/BTCUSDT-trades-2024-08-08.zip", None),
        ("BTCUSDT-trades-2024-13-08.zip", None),
        ("BTCUSDT-trades-2024-08.zip", None),
        ("BTCUSDT-trades-2024-08-08.zip.CHECKSUM", None),
        ("btcusdt-trades-2024-08-08.zip", None),
    ],
)
def test_claim_reads_symbol_and_day_from_the_name(path, claim):
    assert claim_file(path) == claim


def test_read_parses_microseconds_and_keeps_odd_lines(read, zipped):
    text = (
        f"7,61837.63000000,0.02000000,1236.75,{MICROS},True,True\n"
        f",61837.63,0.02,1236.75,{MICROS},false,true\n"  # no id
        "9,x,0.02,1236.75,yesterday,maybe,true\n"
        "10,61837.63,0.02\n"
        "\n"
        f"11,1,1,1,{MICROS},false,true\n"
    )
    rows = read(zipped({"BTCUSDT-trades-2025-01-01.csv": text}), PATH).to_pylist()

    assert [
        (
            *(row[name] for name in ("_source_line", "ts_event", "aggressor_side", "raw_trade_id", "raw_price")),
            *(row[name] for name in ("raw_time", "raw_side", "raw_line")),
        )
        for row in rows
    ] == [
        (1, TIME, "sell", "7", "61837.63000000", MICROS, "True", None),
        (2, TIME, "buy", None, "61837.63", MICROS, "false", None),
        (3, None, None, "9", "x", "yesterday", "maybe", None),
        (4, None, None, None, None, None, None, "10,61837.63,0.02"),
        (5, None, None, None, None, None, None, ""),
        (6, TIME, "buy", "11", "1", MICROS, "false", None),
    ]
    assert {row["event_date"] for row in rows} == {date(2025, 1, 1)}


@pytest.mark.parametrize(
    "header",
    [
        "id,price,qty,quoteQty,time,isBuyerMaker,isBestMatch",
        "trade_id,price,qty,quote_qty,time,is_buyer_maker,is_best_match",
    ],
)
def test_read_tolerates_a_header(read, zipped, header):
    table = read(zipped({"a.csv": f"{header}\n7,1,2,2,{MICROS},true,true\n"}), PATH)
    assert table.select(["_source_line", "raw_trade_id", "ts_event"]).to_pylist() == [
        {"_source_line": 2, "raw_trade_id": "7", "ts_event": TIME}
    ]


def test_read_takes_the_id_and_the_time_of_an_aggregate(read, zipped):
    rows = read(zipped({"a.csv": "26129,0.01633102,4.7,27781,27784,1723075200000,true,true\n"}), AGG_PATH).to_pylist()
    assert [
        (row["raw_trade_id"], row["raw_price"], row["raw_size"], row["raw_time"], row["ts_event"]) for row in rows
    ] == [("26129", "0.01633102", "4.7", "1723075200000", datetime(2024, 8, 8, tzinfo=UTC))]


def test_read_keeps_the_event_day_of_neighbours_and_the_delivery_day_of_others(read, zipped):
    noon = int(TIME.timestamp()) * 10**6
    day = 86_400 * 10**6
    text = "".join(f"{shift},1,2,2,{noon + shift * day},true,true\n" for shift in (-2, -1, 0, 1, 2))
    table = read(zipped({"a.csv": text}), PATH)
    delivered = date(2025, 1, 1)
    assert table["event_date"].to_pylist() == [delivered + timedelta(days=shift) for shift in (0, -1, 0, 1, 0)]
    assert table["delivery_date"].to_pylist() == [delivered] * 5


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("7,1,2,2,1570752011620,true,true\n", "no time lies within a day of 2025-01-01"),
        ("7,1,2,2,soon,true,true\n", "no row has a readable time"),
        ("7,1,2,1735732800123456,true,true\n", "none of its 1 lines has the 7 fields id,price"),
        ("", "the file holds no rows"),
        ("id,price,qty,quoteQty,time,isBuyerMaker,isBestMatch\n", "the file holds no rows"),
    ],
    ids=["another day", "no time", "another dump", "empty member", "header alone"],
)
def test_read_refuses_a_file_that_is_not_its_path(reason_of, zipped, text, reason):
    assert reason_of(zipped({"a.csv": text}), PATH).startswith(reason)
