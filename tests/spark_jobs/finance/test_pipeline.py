"""The finance pipeline: from files to every gold table in one session, and again without doing anything twice."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal

import pyarrow.compute as pc

from lakehouse.lake.catalog import read_log
from lakehouse.lake.history import SLICES
from lakehouse.tables.finance import (
    BRONZE_TRADES,
    GOLD_BARS_1M,
    GOLD_INSTRUMENTS,
    GOLD_RETURN_CORRELATIONS_1D,
    GOLD_TICK_FEATURES,
    GOLD_VOLUME_PROFILE_1D,
    SILVER_TRADES,
)
from lakehouse.tables.logs import RUNS
from spark_jobs.layers.chain import find_jobs, order_chain, run_domain

CHAIN = order_chain(find_jobs("finance"))
DAY = date(2024, 8, 8)
NEXT_DAY = date(2024, 8, 9)
MADE = (SILVER_TRADES, GOLD_INSTRUMENTS, GOLD_BARS_1M, GOLD_TICK_FEATURES, GOLD_VOLUME_PROFILE_1D)


def land(lake, binance_zip, day, count=30):
    midnight = datetime(day.year, day.month, day.day)
    for symbol, price in (("BTCUSDT", 60_000), ("ETHUSDT", 2_500)):
        lines = [(n, f"{price + n % 7}.5", "0.25", midnight + timedelta(minutes=3 * n)) for n in range(1, count + 1)]
        binance_zip(lake.landing, symbol, day, lines)


def mains(lake):
    return {table.identifier: lake.main(table) for job in CHAIN for table in job.tables}


def outcomes(lake):
    rows = read_log(lake.settings, RUNS).sort_by("started_at").to_pylist()
    return [(row["job"].partition(".")[2], row["outcome"]) for row in rows]


def test_pipeline_makes_every_table_goes_on_past_a_damaged_file_and_does_nothing_twice(lake, binance_zip, capsys):
    land(lake, binance_zip, DAY)
    broken = lake.landing / f"XRPETH-trades-{DAY}.zip"
    broken.write_bytes(b"PK\x03\x04 and no more")
    assert run_domain("finance", lake.request([DAY], is_strict=True)) == 2
    assert outcomes(lake) == [
        ("bronze_quotes", "done already"),
        ("bronze_trades", "bad input"),
        ("silver_quotes", "done already"),
        ("instruments", "done already"),
    ]
    left_out = ("silver_trades", "bars_1m", "volume_profile_1d", "tick_features", "return_correlations_1d")
    printed = capsys.readouterr().out.splitlines()
    assert [line for line in printed if "left out" in line] == [
        f"finance.{name}: left out, since finance.bronze_trades failed" for name in left_out
    ]

    assert run_domain("finance", lake.request([DAY])) == 5
    jobs = [job.name.partition(".")[2] for job in CHAIN]
    others = dict.fromkeys(("bronze_quotes", "silver_quotes"), "done already") | {"bronze_trades": "quarantined"}
    assert outcomes(lake)[4:] == [(name, others.get(name, "published")) for name in jobs]
    printed = [line.partition(":")[0] for line in capsys.readouterr().out.splitlines()]
    assert printed == [f"finance.{name}" for name in jobs for _ in ("begins", "ends")]

    trades, bars = lake.rows(SILVER_TRADES), lake.rows(GOLD_BARS_1M)
    assert trades.num_rows == 60
    assert pc.sum(bars.column("volume")).as_py() == pc.sum(trades.column("size")).as_py() == Decimal(15)
    assert lake.rows(GOLD_TICK_FEATURES).num_rows == bars.num_rows
    assert lake.values(GOLD_INSTRUMENTS, "instrument_id", "calendar") == [
        ("BTCUSDT.BINANCE", "24/7"),
        ("ETHUSDT.BINANCE", "24/7"),
    ]
    pairs = lake.values(GOLD_RETURN_CORRELATIONS_1D, "event_date", "instrument_id_a", "instrument_id_b")
    assert pairs == [(DAY, "BTCUSDT.BINANCE", "ETHUSDT.BINANCE")]

    before = mains(lake)
    assert run_domain("finance", lake.request([DAY])) == 0
    assert {outcome for _, outcome in outcomes(lake)[-len(jobs) :]} == {"done already"}
    assert mains(lake) == before

    land(lake, binance_zip, NEXT_DAY)
    assert run_domain("finance", lake.request([NEXT_DAY])) == 0
    for table in (*MADE, GOLD_RETURN_CORRELATIONS_1D):
        if table.replaced_by is not None:
            assert lake.snapshots(table)[0][SLICES] == str(NEXT_DAY), table.identifier
    assert lake.main(GOLD_INSTRUMENTS) == before["gold.instruments"]


def test_pipeline_that_runs_dry_changes_nothing(lake, binance_zip, capsys):
    land(lake, binance_zip, DAY)
    assert run_domain("finance", lake.request(is_dry_run=True)) == 0
    assert set(mains(lake).values()) == {None}
    assert read_log(lake.settings, RUNS).num_rows == 0
    assert f"finance.bronze_trades: finance.bronze_trades would replace {DAY}\n" in capsys.readouterr().out


def test_pipeline_of_real_files_carries_every_trade_into_gold(lake, real_data):
    assert run_domain("finance", lake.request(landing=real_data / "ticks" / "binance")) == 0
    trades, bars = lake.rows(SILVER_TRADES), lake.rows(GOLD_BARS_1M)
    per_instrument = bars.group_by("instrument_id").aggregate([("trade_count", "sum")]).sort_by("instrument_id")
    assert per_instrument.to_pylist() == [
        {"instrument_id": "BTCUSDT.BINANCE", "trade_count_sum": 9_757},
        {"instrument_id": "ETHUSDT.BINANCE", "trade_count_sum": 6_106},
        {"instrument_id": "XRPETH.BINANCE", "trade_count_sum": 12_477},
    ]
    assert lake.rows(BRONZE_TRADES).num_rows == trades.num_rows == 28_340
    assert pc.sum(bars.column("volume")).as_py() == pc.sum(trades.column("size")).as_py()
    grid = (
        bars.filter(pc.field("instrument_id") == "XRPETH.BINANCE").group_by("event_date").aggregate([([], "count_all")])
    )
    counts = grid.sort_by("event_date").column("count_all").to_pylist()
    assert counts[1:] == [1440, 1440]  # around the clock; the first day begins with its first trade
