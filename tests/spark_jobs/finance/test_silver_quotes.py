"""Silver quotes: one-sided rows, crossed quotes, rejected lines."""

from __future__ import annotations

import zipfile
from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow.compute as pc
import pytest

from lakehouse.lake.catalog import read_log
from lakehouse.tables.finance import SILVER_QUOTES, SILVER_QUOTES_REJECTED
from lakehouse.tables.logs import FILE_BALANCES
from lakehouse.tables.manifest import BRONZE_FILES
from spark_jobs.finance import bronze_quotes, silver_quotes

DAY = date(2013, 10, 7)


def deliver(landing, path, member, text):
    file = landing / path
    file.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(member, text)


def load(lake):
    for job in (bronze_quotes.JOB, silver_quotes.JOB):
        outcome = lake.run(job)
        assert outcome.exit_code == 0, outcome.message


def test_silver_quotes_leaves_a_side_that_is_not_updated_null(lake):
    deliver(
        lake.landing,
        "equity/usa/tick/abc/20131007_quote.zip",
        "20131007_abc_tick_quote.csv",
        "34200000,1000000,3,0,0,P,0,0\n"  # the bid alone
        "34200001,0,0,1000200,4,P,0,0\n"  # the ask alone
        "34200001,0,0,1000200,4,P,0,0\n"  # an equal row is another quote
        "34200002,1000000,3,1000200,4,P,1,1\n"
        "34200003,1000100,3,1000100,4,P,0,0\n",  # locked, not crossed
    )
    load(lake)
    bid, ask = Decimal("100.00"), Decimal("100.02")
    columns = ("sequence", "bid_price", "bid_size", "ask_price", "ask_size", "mid_price", "is_suspicious")
    assert lake.values(SILVER_QUOTES, *columns) == [
        (1, bid, Decimal(3), None, None, None, False),
        (2, None, None, ask, Decimal(4), None, False),
        (3, None, None, ask, Decimal(4), None, False),
        (4, bid, Decimal(3), ask, Decimal(4), Decimal("100.01"), True),
        (5, Decimal("100.01"), Decimal(3), Decimal("100.01"), Decimal(4), Decimal("100.01"), False),
    ]
    spreads = [spread for (spread,) in lake.values(SILVER_QUOTES, "spread_bps")]
    assert spreads == [None, None, None, pytest.approx(0.02 / 100.01 * 10_000, rel=1e-12), 0.0]
    first = lake.values(SILVER_QUOTES, "ts_event", "event_date", "delivery_date")[0]
    assert first == (datetime(2013, 10, 7, 13, 30, tzinfo=UTC), DAY, DAY)


def test_silver_quotes_rejects_by_the_first_rule_that_a_line_breaks(lake):
    deliver(
        lake.landing,
        "forex/fxcm/tick/eurusd/20131007_quote.zip",
        "20131007_eurusd_tick_quote.csv",
        "0,1.38000,1.38010\r\n"
        "1,1.38020,1.38010\r\n"
        "2,0,0\r\n"
        "3,-1.38,1.38\r\n"
        "4,1.38,none\r\n"
        "late,1.38,1.39\r\n"
        "6,1.38\r\n",
    )
    load(lake)
    assert lake.values(SILVER_QUOTES_REJECTED, "_source_line", "rule", "reason") == [
        (2, "crossed_quote", "bid '1.38020' is above ask '1.38010'"),
        (3, "empty_quote", "the line updates neither bid nor ask"),
        (4, "negative_bid_price", "bid '-1.38' is not positive"),
        (5, "unreadable_ask_price", "'none' is no number with at most 10 digits and 8 decimals"),
        (6, "unreadable_time", "no time can be read from 'late'"),
        (7, "malformed_line", "the line does not have the fields of its format"),
    ]
    # A feed without sizes has none; its clock is five hours behind UTC all year.
    assert lake.values(SILVER_QUOTES, "ts_event", "bid_price", "bid_size", "ask_price", "ask_size") == [
        (datetime(2013, 10, 7, 5, tzinfo=UTC), Decimal("1.38"), None, Decimal("1.3801"), None)
    ]


def test_silver_quotes_of_real_files(real_lake):
    outcome = real_lake.run(silver_quotes.JOB)
    assert outcome.exit_code == 0, outcome.message
    rejected = real_lake.rows(SILVER_QUOTES_REJECTED).filter(pc.field("instrument_id") == "EURUSD.FXCM")
    per_rule = rejected.group_by(["rule", "delivery_date"]).aggregate([([], "count_all")]).to_pylist()
    assert {"rule": "crossed_quote", "delivery_date": date(2014, 5, 8), "count_all": 18_285} in per_rule
    kept = real_lake.rows(SILVER_QUOTES).filter(pc.field("instrument_id") == "EURUSD.FXCM")
    assert kept.num_rows + rejected.num_rows == 1_144_807
    assert set(kept.column("is_suspicious").unique().to_pylist()) == {False}
    assert pc.all(pc.less_equal(kept.column("bid_price"), kept.column("ask_price"))).as_py()

    balance = read_log(real_lake.settings, FILE_BALANCES).filter(pc.field("table_name") == SILVER_QUOTES.identifier)
    files = real_lake.rows(BRONZE_FILES).filter(pc.field("dataset") == "quotes")
    assert pc.sum(balance.column("lines_in")).as_py() == pc.sum(files.column("rows")).as_py()
    assert pc.all(balance.column("is_balanced")).as_py()
