"""Every line of the real files arrives as the file has it; Python's own zipfile and str.split are the oracle."""

from __future__ import annotations

import gzip
import json
import zipfile
from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc
import pytest

BINANCE = ["raw_trade_id", "raw_price", "raw_size", None, "raw_time", "raw_side", None]
LEAN_TRADES = ["raw_time", "raw_price", "raw_size", "raw_exchange", "raw_conditions", "raw_suspicious"]
LEAN_QUOTES = [
    *("raw_time", "raw_bid_price", "raw_bid_size", "raw_ask_price", "raw_ask_size"),
    *("raw_exchange", "raw_conditions", "raw_suspicious"),
]
PRICES = ["raw_time", "raw_bid_price", "raw_ask_price"]


@pytest.mark.parametrize(
    ("pattern", "columns", "instrument_id", "rows"),
    [
        pytest.param("binance/XRPETH/*-2019-10-11.zip", BINANCE, "XRPETH.BINANCE", 5_929, id="xrpeth 1"),
        pytest.param("binance/XRPETH/*-2019-10-12.zip", BINANCE, "XRPETH.BINANCE", 4_134, id="xrpeth 2"),
        pytest.param("binance/XRPETH/*-2019-10-13.zip", BINANCE, "XRPETH.BINANCE", 2_414, id="xrpeth 3"),
        pytest.param("binance/BTCUSDT/*-2024-08-08.zip", BINANCE, "BTCUSDT.BINANCE", 9_738, id="btcusdt 1"),
        pytest.param("binance/BTCUSDT/*-2024-08-09.zip", BINANCE, "BTCUSDT.BINANCE", 19, id="btcusdt 2"),
        pytest.param("binance/ETHUSDT/*-2024-08-08.zip", BINANCE, "ETHUSDT.BINANCE", 6_098, id="ethusdt 1"),
        pytest.param("binance/ETHUSDT/*-2024-08-09.zip", BINANCE, "ETHUSDT.BINANCE", 8, id="ethusdt 2"),
        pytest.param("lean/equity/usa/tick/aig/*_trade.zip", LEAN_TRADES, "AIG.USA", 206_337, id="aig"),
        pytest.param("lean/equity/usa/tick/bac/*_trade.zip", LEAN_TRADES, "BAC.USA", 573_620, id="bac"),
        pytest.param("lean/equity/usa/tick/ibm/*_quote.zip", LEAN_QUOTES, "IBM.USA", 109_067, id="ibm"),
        pytest.param("lean/forex/fxcm/tick/eurusd/*.zip", PRICES, "EURUSD.FXCM", 1_144_807, id="eurusd"),
        pytest.param("lean/cfd/oanda/tick/xauusd/*.zip", PRICES, "XAUUSD.OANDA", 394_759, id="xauusd"),
        pytest.param("lean/future/comex/tick/gc/*_trade.zip", LEAN_TRADES, None, 92_514, id="gc"),
    ],
)
def test_read_rows_has_every_line_of_a_real_file(real_ticks, read, pattern, columns, instrument_id, rows):
    total = 0
    for file in sorted(real_ticks.glob(pattern)):
        table = read(file.read_bytes(), file.relative_to(real_ticks).as_posix())
        expected = _split_lines(file)
        total += len(table)

        assert table["_source_member"].to_pylist() == [member for member, _, _ in expected]
        assert table["_source_line"].to_pylist() == [line for _, line, _ in expected]
        for place, column in enumerate(columns):
            if column:
                assert table[column].to_pylist() == [fields[place] for _, _, fields in expected], column
        assert table["raw_line"].null_count == len(table)
        assert table["ts_event"].null_count == 0
        assert pc.unique(table["sequence"]).to_pylist() == sorted(table["sequence"].to_pylist())
        if instrument_id:
            assert pc.unique(table["instrument_id"]).to_pylist() == [instrument_id]
    assert total == rows


def _split_lines(file):
    with zipfile.ZipFile(file) as archive:
        return [
            (name, number, line.split(","))
            for name in archive.namelist()
            for number, line in enumerate(archive.read(name).decode().splitlines(), start=1)
        ]


def test_lean_trades_names_each_contract_by_its_member(real_ticks, read):
    path = "lean/future/comex/tick/gc/20131007_trade.zip"
    table = read((real_ticks / path).read_bytes(), path)
    first_of_december = table.filter(pc.equal(table["instrument_id"], "GC-201312.COMEX")).slice(0, 1).to_pylist()[0]

    months = pc.unique(table["instrument_id"]).to_pylist()
    expected = ("201310", "201311", "201312", "201402", "201404", "201406", "201408", "201410", "201412", "201512")
    assert months == [f"GC-{month}.COMEX" for month in expected]
    # 276,1313.7,1,usa,,0 is the first line of the third member; comex has a UTC clock and unscaled prices.
    assert first_of_december["ts_event"] == datetime(2013, 10, 7, 0, 0, 0, 276_000, tzinfo=UTC)
    assert first_of_december["sequence"] == 2 * 10**10 + 1
    assert (first_of_december["raw_price"], first_of_december["price_divisor"]) == ("1313.7", 1)
    assert first_of_december["raw_conditions"] == ""


@pytest.mark.parametrize(
    ("path", "first", "last"),
    [
        # 14400688 ms after midnight in New York, summer time
        pytest.param(
            "lean/equity/usa/tick/aig/20131007_trade.zip",
            datetime(2013, 10, 7, 8, 0, 0, 688_000, tzinfo=UTC),
            datetime(2013, 10, 7, 23, 59, 57, 520_000, tzinfo=UTC),
            id="New York",
        ),
        # 50451815 ms after midnight, five hours behind UTC although it is May
        pytest.param(
            "lean/forex/fxcm/tick/eurusd/20140504_quote.zip",
            datetime(2014, 5, 4, 19, 0, 51, 815_000, tzinfo=UTC),
            datetime(2014, 5, 5, 4, 59, 58, 346_000, tzinfo=UTC),
            id="fixed UTC-05",
        ),
        # 43.142 and 75598570.086 ms
        pytest.param(
            "lean/cfd/oanda/tick/xauusd/20140502_quote.zip",
            datetime(2014, 5, 2, 0, 0, 0, 46_204, tzinfo=UTC),
            datetime(2014, 5, 2, 20, 59, 58, 570_086, tzinfo=UTC),
            id="UTC with fractions, cut to microseconds",
        ),
        pytest.param(
            "binance/BTCUSDT/BTCUSDT-trades-2024-08-08.zip",
            datetime(2024, 8, 8, 23, 54, 15, 342_000, tzinfo=UTC),
            datetime(2024, 8, 8, 23, 59, 59, 717_000, tzinfo=UTC),
            id="epoch milliseconds",
        ),
    ],
)
def test_read_rows_sets_the_clock_of_the_source(real_ticks, read, path, first, last):
    times = read((real_ticks / path).read_bytes(), path)["ts_event"]
    assert (times[0].as_py(), times[-1].as_py()) == (first, last)


def test_lean_quotes_keep_crossed_and_one_sided_rows(real_ticks, read):
    eurusd = "lean/forex/fxcm/tick/eurusd/20140508_quote.zip"
    quotes = read((real_ticks / eurusd).read_bytes(), eurusd)
    bid, ask = (pc.cast(quotes[name], pa.decimal128(18, 8)) for name in ("raw_bid_price", "raw_ask_price"))
    assert pc.sum(pc.greater(bid, ask)).as_py() == 18_285

    ibm = "lean/equity/usa/tick/ibm/20131007_quote.zip"
    first = read((real_ticks / ibm).read_bytes(), ibm).slice(0, 1).to_pylist()[0]
    assert (first["raw_bid_price"], first["raw_bid_size"], first["price_divisor"]) == ("0", "0", 10_000)
    # The last IBM quotes of the New York evening are on the next UTC day.
    assert set(read((real_ticks / ibm).read_bytes(), ibm)["event_date"].to_pylist()) == {
        date(2013, 10, 7),
        date(2013, 10, 8),
    }


def test_freqtrade_trades_are_the_exchange_trades(real_ticks, read):
    path = "freqtrade/XRP_ETH-trades.json.gz"
    freqtrade = read((real_ticks / path).read_bytes(), path)
    days = sorted((real_ticks / "binance/XRPETH").glob("*.zip"))
    binance = pa.concat_tables(read(day.read_bytes(), f"binance/XRPETH/{day.name}") for day in days)

    for column in ("raw_trade_id", "ts_event", "raw_time", "aggressor_side", "delivery_date", "event_date"):
        assert freqtrade[column].to_pylist() == binance[column].to_pylist(), column
    for column in ("raw_price", "raw_size"):
        assert [Decimal(text) for text in freqtrade[column].to_pylist()] == [
            Decimal(text) for text in binance[column].to_pylist()
        ]
    texts = json.loads(gzip.decompress((real_ticks / path).read_bytes()), parse_float=str, parse_int=str)
    assert freqtrade["raw_price"].to_pylist() == [element[4] for element in texts]
    assert freqtrade["raw_side"].to_pylist() == [element[3] for element in texts]
    assert freqtrade["_source_line"].to_pylist() == list(range(1, 12_478))
    assert pc.unique(freqtrade["instrument_id"]).to_pylist() == ["XRPETH.FREQTRADE"]
