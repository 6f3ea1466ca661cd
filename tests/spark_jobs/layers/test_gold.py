"""State that crosses midnight: gold computed day by day, in any order and with corrections, is gold from scratch."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from lakehouse.tables.finance import GOLD_BARS_1M, GOLD_TICK_FEATURES, SILVER_TRADES
from spark_jobs.engine import run
from spark_jobs.finance import bars_1m, bronze_trades, silver_trades, tick_features
from spark_jobs.layers import gold

D0, D1, D2, D3 = (date(2024, 8, 8) + timedelta(days=number) for number in range(4))
GOLD = (GOLD_BARS_1M, GOLD_TICK_FEATURES)


def trades_of(day, shift=0):
    """A price walk with a trade every 7 minutes from 00:05 on, so that each day begins with the close before it."""
    midnight = datetime(day.year, day.month, day.day)
    first = day.toordinal() * 1000
    return [
        (first + n, f"{1000 + shift + n * n * 7 % 101}.5", f"0.{1 + n % 9}", midnight + timedelta(minutes=5 + 7 * n))
        for n in range(200)
    ]


def land(landing, binance_zip, day, shift=0):
    binance_zip(landing, "BTCUSDT", day, trades_of(day, shift))
    if day != D2:  # an instrument that is silent for a day
        binance_zip(landing, "ETHUSDT", day, trades_of(day, shift + 5)[::3])


def published(lake, job, days=None, **flags):
    """The days that a run replaced; empty where it was done already."""
    outcome = lake.run(job, days, **flags)
    assert outcome.exit_code == 0, outcome.message
    return list(outcome.slices)


def first_close(bars, day):
    return next(close for of_day, close in bars if of_day == day)


def last_close(bars, day):
    return first_close(reversed(bars), day)


def digests(lake):
    return {table.identifier: lake.digest(table) for table in (SILVER_TRADES, *GOLD)}


def test_gold_day_by_day_in_any_order_and_corrected_is_gold_from_scratch(make_lake, binance_zip):
    lake, scratch = make_lake("lake"), make_lake("scratch")
    for day in (D0, D1, D2, D3):
        land(lake.landing, binance_zip, day)
        land(scratch.landing, binance_zip, day, shift=3 if day == D1 else 0)
    assert published(lake, bronze_trades.JOB) == published(lake, silver_trades.JOB) == [D0, D1, D2, D3]

    # D0 changes what D2 begins with, and so does D1 then.
    replaced = [
        (day, published(lake, bars_1m.JOB, [day]), published(lake, tick_features.JOB, [day]))
        for day in (D2, D0, D3, D1)
    ]
    assert replaced == [
        (D2, [D2], [D2]),
        (D0, [D0, D2], [D0, D2]),
        (D3, [D3], [D3]),
        (D1, [D1, D2, D3], [D1, D2, D3]),  # ETHUSDT is silent on D2: its close of D1 reaches D3
    ]
    assert published(lake, bars_1m.JOB) == published(lake, tick_features.JOB) == []

    land(lake.landing, binance_zip, D1, shift=3)
    assert published(lake, bronze_trades.JOB, [D1], is_replacing=True) == [D1]
    assert published(lake, silver_trades.JOB) == [D1]
    assert published(lake, bars_1m.JOB, [D1]) == [D1, D2, D3]
    assert published(lake, tick_features.JOB, [D1]) == [D1, D2, D3]

    for job in (bronze_trades.JOB, silver_trades.JOB, bars_1m.JOB, tick_features.JOB):
        assert published(scratch, job) == [D0, D1, D2, D3]
    assert digests(lake) == digests(scratch)


def test_gold_recomputes_later_days_until_the_state_is_the_same_again(lake, binance_zip, monkeypatch):
    for day in (D0, D1, D2):
        binance_zip(lake.landing, "BTCUSDT", day, trades_of(day))
    for job in (bronze_trades.JOB, silver_trades.JOB, bars_1m.JOB, tick_features.JOB):
        published(lake, job)
    binance_zip(lake.landing, "BTCUSDT", D0, trades_of(D0, shift=9))
    published(lake, bronze_trades.JOB, is_replacing=True)
    assert published(lake, silver_trades.JOB) == [D0]
    before = digests(lake)
    dry = lake.run(bars_1m.JOB, [D0], is_dry_run=True)
    assert dry.message.splitlines() == [
        f"finance.bars_1m would replace {D0}",
        f"read silver.trades of {D0}",
        f"replace {D1}, too, if what it is made from has changed",
        f"replace {D2}, too, if what it is made from has changed",
    ]
    assert digests(lake) == before
    assert published(lake, bars_1m.JOB, [D0]) == [D0, D1]  # D1 begins with another close and ends with its own
    assert published(lake, tick_features.JOB, [D0]) == [D0, D1]

    bars = lake.values(GOLD_BARS_1M, "event_date", "close")
    assert first_close(bars, D1) == last_close(bars, D0)

    # The control: where the state is not looked at, D1 keeps the close of a day that is no more.
    binance_zip(lake.landing, "BTCUSDT", D0, trades_of(D0, shift=11))
    published(lake, bronze_trades.JOB, is_replacing=True)
    published(lake, silver_trades.JOB)
    monkeypatch.setattr(
        gold,
        "stage_with_state",
        lambda inputs, branch, plan: inputs.derivation.making.stage(inputs, branch, plan.slices) or plan.slices,
    )
    assert published(lake, bars_1m.JOB, [D0]) == [D0]
    bars = lake.values(GOLD_BARS_1M, "event_date", "close")
    assert first_close(bars, D1) != last_close(bars, D0)


def test_gold_brings_later_days_up_to_date_that_a_dead_run_left_behind(lake, binance_zip):
    """Bars of D1 changed with those of D0, then the run died: features asked for D0 alone must follow for D1, too."""
    for day in (D0, D1):
        binance_zip(lake.landing, "BTCUSDT", day, trades_of(day))
    for job in (bronze_trades.JOB, silver_trades.JOB, bars_1m.JOB, tick_features.JOB):
        published(lake, job)
    binance_zip(lake.landing, "BTCUSDT", D0, trades_of(D0, shift=9))
    published(lake, bronze_trades.JOB, is_replacing=True)
    published(lake, silver_trades.JOB)
    assert published(lake, bars_1m.JOB, [D0]) == [D0, D1]
    # As after a kill: the pipeline is run again for D0, finds the bars done and knows of no other day.
    assert published(lake, bars_1m.JOB, [D0]) == []
    assert published(lake, tick_features.JOB, [D0]) == [D0, D1]
    assert published(lake, tick_features.JOB) == []


@pytest.mark.parametrize("job", [bars_1m.JOB, tick_features.JOB], ids=lambda job: job.name)
def test_gold_without_upstream_rows_has_nothing_to_do(lake, job):
    outcome = lake.run(job)
    assert (outcome.outcome, outcome.exit_code, outcome.message) == ("done already", 0, "nothing to do")


def test_bars_of_a_day_that_is_not_over_end_with_the_minute_of_the_run(make_lake, binance_zip, monkeypatch):
    lake, scratch = make_lake("lake"), make_lake("scratch")
    midnight = datetime(D0.year, D0.month, D0.day, tzinfo=UTC)
    for each in (lake, scratch):
        binance_zip(each.landing, "BTCUSDT", D0, trades_of(D0)[:100])  # the last one is of 11:38
        assert published(each, bronze_trades.JOB) == published(each, silver_trades.JOB) == [D0]

    def last_minute(hour, minute):
        """The last bar that a run at that time leaves; it replaces the day, also where no trade is new."""
        clock = type("Clock", (datetime,), {"now": lambda zone: midnight + timedelta(hours=hour, minutes=minute)})
        with monkeypatch.context() as patch:
            patch.setattr(run, "datetime", clock)
            assert published(lake, bars_1m.JOB) == [D0]
        return max(start for (start,) in lake.values(GOLD_BARS_1M, "bar_start")) - midnight

    assert last_minute(11, 45) == timedelta(hours=11, minutes=44)
    assert last_minute(12, 0) == timedelta(hours=11, minutes=59)
    assert last_minute(24, 1) == timedelta(hours=23, minutes=59)
    assert published(lake, bars_1m.JOB) == []
    assert published(scratch, bars_1m.JOB) == [D0]
    assert lake.digest(GOLD_BARS_1M) == scratch.digest(GOLD_BARS_1M)
