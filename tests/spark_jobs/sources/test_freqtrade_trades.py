"""freqtrade's JSON lists: numbers as they stand, days from the content, odd elements kept."""

from __future__ import annotations

import gzip
from datetime import UTC, date, datetime

import pytest

from spark_jobs.sources import freqtrade_trades
from spark_jobs.sources.base import Claim
from spark_jobs.sources.discovery import claim_file

PATH = "freqtrade/XRP_ETH-trades.json"
MIDNIGHT = 1_570_838_400_000  # 2019-10-12


def test_claim_has_no_day_and_the_folder_as_venue():
    expected = Claim("freqtrade_trades", "trades", PATH, None, "", "XRPETH.FREQTRADE")
    assert claim_file(PATH) == expected
    assert claim_file("a/kraken_1/BTC_EUR-trades.json.gz").subject == "BTCEUR.KRAKEN_1"
    assert claim_file("XRP_ETH-trades.json") is None
    assert claim_file("freqtrade/XRP_ETH-trades.feather") is None


@pytest.mark.parametrize("rows_per_batch", [1, 2, 100])
def test_read_takes_numbers_as_text_and_keeps_odd_elements(monkeypatch, read, rows_per_batch):
    monkeypatch.setattr(freqtrade_trades, "ROWS_PER_BATCH", rows_per_batch)
    text = (
        ' [["soon", "6", null, "buy", 1, 2, 3],\n'
        f' [{MIDNIGHT - 1},"7",null,"sell",0.1000000000000000055,23.0,1e-7] ,'
        f'[{MIDNIGHT},8,null,null,{{"a": 1}},null,3], {{"a": [1, 2]}},[1,2],[{MIDNIGHT}.5,"9",null,"up",1,2,3]]\n'
    )
    rows = read(gzip.compress(text.encode()), PATH + ".gz").to_pylist()
    names = (
        "_source_line",
        "ts_event",
        "raw_time",
        "raw_trade_id",
        "raw_side",
        "aggressor_side",
        "raw_price",
        "raw_size",
    )
    assert [tuple(row[name] for name in (*names, "raw_line")) for row in rows] == [
        (1, None, "soon", "6", "buy", "buy", "1", "2", None),
        (
            *(2, datetime(2019, 10, 11, 23, 59, 59, 999_000, tzinfo=UTC), str(MIDNIGHT - 1), "7"),
            *("sell", "sell", "0.1000000000000000055", "23.0", None),
        ),
        (3, datetime(2019, 10, 12, tzinfo=UTC), str(MIDNIGHT), "8", None, None, '{"a": "1"}', None, None),
        (4, None, None, None, None, None, None, None, '{"a": [1, 2]}'),
        (5, None, None, None, None, None, None, None, "[1,2]"),
        (6, None, f"{MIDNIGHT}.5", "9", "up", None, "1", "2", None),
    ]
    # Rows without a readable time are delivered on the first readable day of the file.
    first, second = date(2019, 10, 11), date(2019, 10, 12)
    assert [row["delivery_date"] for row in rows] == [first, first, second, first, first, first]
    assert [row["event_date"] for row in rows] == [row["delivery_date"] for row in rows]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[]", "the file holds no rows"),
        ("{}", "no JSON list: begins with '{}'"),
        (f'[[{MIDNIGHT},"7",null,"sell",1,2,3],', "broken JSON at character 39: "),
        (f'[[{MIDNIGHT},"7",null,"sell",1,2,3]', "broken JSON at character 38: expected , or ], found the end"),
        (f'[[{MIDNIGHT},"7",null,"sell",1,2,3] x', "broken JSON at character 39: expected , or ], found x"),
        (f'[[{MIDNIGHT},"7",null,"sell",1,2,3]][]', "more text behind the JSON list, at character 39: '[]'"),
        ('[["soon","7",null,"sell",1,2,3]]', "no row has a readable time, and the file's path has no day"),
        ("[" * 100_000, "broken JSON at character 1: "),
    ],
)
def test_read_refuses_broken_json(reason_of, text, reason):
    assert reason_of(text.encode(), PATH).startswith(reason)
