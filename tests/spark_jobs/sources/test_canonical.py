"""The canonical layout: what docs/sources.md promises to whoever writes such files."""

from __future__ import annotations

import gzip
import io
from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from spark_jobs.sources.base import Claim
from spark_jobs.sources.discovery import claim_file

PATH = "canonical/trades/acme/2024-08-08.csv"
NOON = datetime(2024, 8, 8, 12, tzinfo=UTC)
HEADER = "instrument_id,ts_event,price,size"
ROW = "BTCUSDT.ACME,2024-08-08T12:00:00Z,61837.63,0.02"


def parquet(table):
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("path", "source", "part"),
    [
        ("canonical/trades/acme/2024-08-08.csv", "canonical_trades", ""),
        ("in/canonical/trades/acme/2024-08-08_2.csv.gz", "canonical_trades", "2"),
        ("canonical/trades/acme/2024-08-08_0017.csv.zip", "canonical_trades", "0017"),
        ("canonical/quotes/acme/2024-08-08.parquet", "canonical_quotes", ""),
    ],
)
def test_claim_reads_feed_day_and_part(path, source, part):
    dataset = source.removeprefix("canonical_")
    assert claim_file(path) == Claim(source, dataset, path, date(2024, 8, 8), part, "")


@pytest.mark.parametrize(
    "path",
    [
        "canonical/trades/2024-08-08.csv",
        "canonical/bars/acme/2024-08-08.csv",
        "canonical/trades/acme/2024-08-32.csv",
        "canonical/trades/acme/2024-08-08_am.csv",
    ],
)
def test_claim_leaves_other_paths(path):
    assert claim_file(path) is None


def test_read_takes_columns_in_any_order_and_optional_ones(read):
    content = (
        b"\xef\xbb\xbfsize,price,ts_event_ns,instrument_id,trade_id,aggressor_side,exchange,conditions,is_suspicious\r\n"
        b"0.02,61837.63,1723118400000000999,BTCUSDT.ACME,7,BUY,X,a b,true\r\n"
        b"1,2,1723118400000001000,ETH-USD.ACME,,,,,\r\n"
    )
    rows = read(content, PATH).to_pylist()
    names = (
        "instrument_id",
        "ts_event",
        "raw_time",
        "raw_trade_id",
        "raw_price",
        "raw_size",
        "raw_side",
        "aggressor_side",
    )
    more = ("raw_exchange", "raw_conditions", "raw_suspicious", "_source_line", "sequence", "raw_line")
    assert [tuple(row[name] for name in names + more) for row in rows] == [
        (
            *("BTCUSDT.ACME", NOON, "1723118400000000999", "7", "61837.63", "0.02", "BUY", "buy"),
            *("X", "a b", "true", 2, 2, None),
        ),
        (
            *("ETH-USD.ACME", NOON.replace(microsecond=1), "1723118400000001000", None, "2", "1", "", None),
            *("", "", "", 3, 3, None),
        ),
    ]


@pytest.mark.parametrize(
    ("column", "text"),
    [
        ("ts_event", "2024-08-08T14:00:00+02:00"),
        ("ts_event_ms", "1723118400000"),
        ("ts_event_us", "1723118400000000"),
        ("ts_event_ns", "1723118400000000000"),
    ],
)
def test_read_takes_the_unit_of_time_from_the_column_name(read, column, text):
    table = read(f"instrument_id,{column},price,size\nA.B,{text},1,2\n".encode(), PATH)
    assert table["ts_event"].to_pylist() == [NOON]


def test_read_packs_make_no_difference(read, zipped):
    text = f"{HEADER}\n{ROW}\n"
    columns = ["instrument_id", "ts_event", "raw_time", "raw_price", "raw_size", "_source_line"]
    plain = read(text.encode(), PATH).select(columns)
    assert read(gzip.compress(text.encode()), PATH + ".gz").select(columns).equals(plain)
    assert read(zipped({"a.csv": text}), PATH + ".zip").select(columns).equals(plain)


def test_read_keeps_a_row_whose_instrument_is_unknown_with_its_whole_line(read):
    broken = ("btc.acme,2024-08-08T12:00:00Z,1,2", ",2024-08-08T12:00:00Z,1,2", "BTCUSDT.ACME,too,few", "A.B.C,x,1,2")
    content = "\n".join((HEADER, ROW, *broken)).encode()
    rows = read(content, PATH).to_pylist()
    assert [
        (row["_source_line"], row["instrument_id"], row["ts_event"], row["raw_price"], row["raw_line"]) for row in rows
    ] == [
        (2, "BTCUSDT.ACME", NOON, "61837.63", None),
        (3, "UNKNOWN.ACME", NOON, "1", broken[0]),
        (4, "UNKNOWN.ACME", NOON, "1", broken[1]),
        (5, "UNKNOWN.ACME", None, None, broken[2]),
        (6, "UNKNOWN.ACME", None, "1", broken[3]),
    ]


@pytest.mark.parametrize(
    "header",
    [
        "instrument_id,ts_event,price",
        "instrument_id,price,size",
        f"{HEADER},colour",
        f"{HEADER},price",
        "instrument_id,ts_event,ts_event_ms,price,size",
        ROW,
        "instrument_id;ts_event;price;size",
    ],
)
def test_read_refuses_other_columns_and_lists_expected_and_found(reason_of, header):
    assert reason_of(f"{header}\n{ROW}\n".encode(), PATH) == (
        "expected a header with instrument_id, one of ts_event, ts_event_ms, ts_event_us, ts_event_ns, price, size and "
        f"optionally trade_id, aggressor_side, exchange, conditions, is_suspicious; found {header!r}"
    )


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (f"{HEADER}\n", "the file holds no rows"),
        (f"{HEADER}\n{ROW.replace('2024', '2023')}\n", "0 of 1 times lie within a day of 2024-08-08"),
        (f"{HEADER}\n{ROW.replace('Z', '')}\n", "no row has a readable time"),
    ],
    ids=["header alone", "another day", "no zone"],
)
def test_read_refuses_a_file_without_rows_of_its_day(reason_of, content, reason):
    assert reason_of(content.encode(), PATH).startswith(reason)


def test_read_takes_parquet_values_as_exact_texts(read):
    table = pa.table(
        {
            "instrument_id": pa.array(["EURUSD.ACME", None]).dictionary_encode(),
            "ts_event": pa.array([NOON, NOON.replace(microsecond=5)], pa.timestamp("ns", "Europe/Paris")),
            "bid_price": pa.array([Decimal("0.00000001"), Decimal("1.39147000")], pa.decimal128(18, 8)),
            "bid_size": pa.array([10**17 + 1, None], pa.int64()),
            "ask_price": pa.array(["1.39150", "x"], pa.large_string()),
            "ask_size": pa.array([3, 4], pa.uint8()),
            "is_suspicious": pa.array([True, None]),
        }
    )
    rows = read(parquet(table), "canonical/quotes/acme/2024-08-08.parquet").to_pylist()
    names = ("instrument_id", "ts_event", "raw_bid_price", "raw_bid_size", "raw_ask_price", "raw_ask_size")
    more = ("raw_suspicious", "_source_line", "_source_member", "raw_line")
    assert [tuple(row[name] for name in names + more) for row in rows] == [
        ("EURUSD.ACME", NOON, "0.00000001", "100000000000000001", "1.39150", "3", "true", 1, "", None),
        (
            *("UNKNOWN.ACME", NOON.replace(microsecond=5), "1.39147000", None, "x", "4", None, 2, ""),
            ",2024-08-08 14:00:00.000005000+0200,1.39147000,,x,4,",
        ),
    ]


@pytest.mark.parametrize(
    ("column", "values", "kind"),
    [
        ("price", pa.array([1.5]), "double"),
        ("size", pa.array([1.5], pa.float32()), "float"),
        ("ts_event", pa.array([NOON.replace(tzinfo=None)], pa.timestamp("us")), r"timestamp\[us\]"),
        ("ts_event", pa.array([1723118400]), "int64"),
    ],
)
def test_read_refuses_parquet_columns_that_are_not_exact(reason_of, column, values, kind):
    columns = {"instrument_id": ["A.B"], "ts_event": ["2024-08-08T12:00:00Z"], "price": ["1"], "size": ["2"]}
    table = pa.table(columns | {column: values})
    reason = reason_of(parquet(table), "canonical/trades/acme/2024-08-08.parquet")
    assert reason.startswith(f"column {column} is of type {kind.replace(chr(92), '')}; expected ")


def test_read_refuses_a_cut_parquet_file(reason_of):
    content = parquet(pa.table({"instrument_id": ["A.B"], "ts_event": ["x"], "price": ["1"], "size": ["2"]}))
    path = "canonical/trades/acme/2024-08-08.parquet"
    assert reason_of(content[:-9], path).startswith("not a Parquet file, or a damaged one")
    assert reason_of(content[: len(content) // 2], path).startswith("not a Parquet file, or a damaged one")
