"""Parts: one instrument's bad day is held back alone, is named with its file, and is tried again."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from functools import partial

import pytest

from expectations import SUITES
from expectations.rules import FactRule, row_rule
from lakehouse.errors import ExitCode
from lakehouse.lake.catalog import load, read_log
from lakehouse.lake.history import held_back
from lakehouse.tables.finance import (
    GOLD_BARS_1M,
    GOLD_RETURN_CORRELATIONS_1D,
    GOLD_TICK_FEATURES,
    SILVER_TRADES,
    SILVER_TRADES_REJECTED,
)
from lakehouse.tables.logs import CHECK_RESULTS, HELD_PARTS, RUNS
from spark_jobs.engine import audits
from spark_jobs.finance import bars_1m, bronze_trades, return_correlations_1d, silver_trades, tick_features

DAY = date(2024, 8, 8)
NEXT_DAY = date(2024, 8, 9)
BTC, ETH = "BTCUSDT.BINANCE", "ETHUSDT.BINANCE"


def land(lake, binance_zip, symbol, day, price="100", **how):
    noon = datetime(day.year, day.month, day.day, 12)
    lines = [(n, price if n % 2 else f"{price}.5", "1", noon + timedelta(minutes=n)) for n in range(1, 5)]
    return binance_zip(lake.landing, symbol, day, [*lines, "nonsense"], **how)


@pytest.fixture
def demand(monkeypatch):
    """demand(table, rule) adds a rule to the table's suite; rules of several calls add up."""
    more = {}

    def suite_for(table):
        suite = next(suite for suite in SUITES if suite.table == table)
        rules = more.get(table.identifier, ())
        return replace(
            suite,
            rules=(*suite.rules, *(rule for rule in rules if not isinstance(rule, FactRule))),
            fact_rules=(*suite.fact_rules, *(rule for rule in rules if isinstance(rule, FactRule))),
        )

    def install(table, *rules):
        more[table.identifier] = rules

    monkeypatch.setattr(audits, "suite_for", suite_for)
    return install


CHEAP = row_rule("is_cheap", "critical", "Nothing costs more than 1,000.", "price > 1000")


def trades(lake):
    return lake.values(SILVER_TRADES, "event_date", "instrument_id", "price")


def prices(lake, day, instrument_id):
    return {int(price) for of_day, name, price in trades(lake) if (of_day, name) == (day, instrument_id)}


def test_a_part_that_fails_keeps_its_rows_while_the_others_are_published(lake, binance_zip, demand):
    for symbol in ("BTCUSDT", "ETHUSDT"):
        land(lake, binance_zip, symbol, DAY)
    for job in (bronze_trades.JOB, silver_trades.JOB):
        assert lake.run(job).exit_code == 0
    rejected = lake.digest(SILVER_TRADES_REJECTED)

    demand(SILVER_TRADES, CHEAP)
    file = land(lake, binance_zip, "BTCUSDT", DAY, "5000")  # corrected, and wrong now
    land(lake, binance_zip, "ETHUSDT", DAY, "200")  # corrected, and right
    land(lake, binance_zip, "ETHUSDT", NEXT_DAY, "300")
    assert lake.run(bronze_trades.JOB, is_replacing=True).exit_code == 0
    outcome = lake.run(silver_trades.JOB)

    assert (outcome.outcome, outcome.exit_code) == ("held back", ExitCode.QUARANTINED)
    path = file.relative_to(lake.landing)
    assert outcome.message.splitlines() == [
        "published 2024-08-08..2024-08-09; held back a part, which keeps its rows from before:",
        f"  {BTC} of {DAY} (silver.trades: is_cheap), from {path}",
    ]
    assert prices(lake, DAY, BTC) == {100}  # as before, with its rejected line
    assert prices(lake, DAY, ETH) == {200}
    assert prices(lake, NEXT_DAY, ETH) == {300}
    assert lake.rows(SILVER_TRADES_REJECTED).num_rows == 3
    assert lake.digest(SILVER_TRADES_REJECTED) != rejected  # ETH's line is of the corrected file
    assert held_back(load(lake.settings, SILVER_TRADES), [DAY, NEXT_DAY]) == {DAY: (BTC,)}
    (held,) = read_log(lake.settings, HELD_PARTS).drop(["run_id", "held_at"]).to_pylist()
    assert held == {
        "table_name": "silver.trades",
        "slice": str(DAY),
        "subject": BTC,
        "rules": "is_cheap",
        "files": str(path),
    }
    assert lake.branches(SILVER_TRADES) == lake.branches(SILVER_TRADES_REJECTED) == []

    # The next run tries the day again, and changes nothing as long as the part is as it was
    before = lake.main(SILVER_TRADES)
    again = lake.run(silver_trades.JOB)
    assert (again.outcome, again.exit_code, again.slices) == ("held back", ExitCode.QUARANTINED, ())
    assert again.message.startswith("published nothing; held back a part")
    assert lake.main(SILVER_TRADES) == before

    # Another day is published meanwhile, and the part stays held back
    land(lake, binance_zip, "BTCUSDT", NEXT_DAY, "400")
    assert lake.run(bronze_trades.JOB).exit_code == 0
    assert lake.run(silver_trades.JOB).exit_code == ExitCode.QUARANTINED
    assert (prices(lake, NEXT_DAY, BTC), prices(lake, DAY, BTC)) == ({400}, {100})

    # Repaired, it is published
    land(lake, binance_zip, "BTCUSDT", DAY, "500")
    assert lake.run(bronze_trades.JOB, is_replacing=True).exit_code == 0
    repaired = lake.run(silver_trades.JOB)
    assert (repaired.outcome, repaired.exit_code, repaired.slices) == ("published", 0, (DAY,))
    assert prices(lake, DAY, BTC) == {500}
    assert lake.run(silver_trades.JOB).outcome == "done already"
    assert [row["outcome"] for row in read_log(lake.settings, RUNS).sort_by("started_at").to_pylist()][-2:] == [
        "published",
        "done already",
    ]


def test_a_part_that_was_never_published_is_held_back_beside_sound_ones(lake, binance_zip, demand):
    demand(SILVER_TRADES, CHEAP)
    land(lake, binance_zip, "BTCUSDT", DAY, "5000")
    land(lake, binance_zip, "ETHUSDT", DAY)
    assert lake.run(bronze_trades.JOB).exit_code == 0
    assert lake.run(silver_trades.JOB).exit_code == ExitCode.QUARANTINED
    assert {name for _, name, _ in trades(lake)} == {ETH}


def test_what_is_left_without_the_held_back_part_is_audited_again(lake, binance_zip, demand):
    instruments = FactRule("instruments", "critical", "Two instruments are there.", minimum=2, maximum=None)
    demand(SILVER_TRADES, CHEAP, instruments)
    land(lake, binance_zip, "BTCUSDT", DAY, "5000")
    land(lake, binance_zip, "ETHUSDT", DAY)
    assert lake.run(bronze_trades.JOB).exit_code == 0

    def count(write, branch, slices, held):
        return {**write.facts(branch, slices, held), "instruments": 2 - len(held)}

    job = replace(
        silver_trades.JOB,
        build=lambda *given: [replace(write, facts=partial(count, write)) for write in silver_trades.JOB.build(*given)],
    )
    outcome = lake.run(job)
    assert (outcome.outcome, outcome.exit_code) == ("audit failed", ExitCode.AUDIT_FAILED)
    assert "silver.trades: instruments" in outcome.message
    assert lake.main(SILVER_TRADES) is None
    checks = read_log(lake.settings, CHECK_RESULTS).sort_by("checked_at").to_pylist()
    assert [row["is_passed"] for row in checks if row["rule"] == "instruments"] == [False]
    assert [row["is_passed"] for row in checks if row["rule"] == "is_cheap"] == [True]  # of what is left


def test_a_rule_about_the_table_stops_it_whole(lake, binance_zip, demand):
    demand(SILVER_TRADES, replace(CHEAP, scope="table"))
    land(lake, binance_zip, "BTCUSDT", DAY, "5000")
    land(lake, binance_zip, "ETHUSDT", DAY)
    assert lake.run(bronze_trades.JOB).exit_code == 0
    outcome = lake.run(silver_trades.JOB)
    assert (outcome.outcome, outcome.exit_code) == ("audit failed", ExitCode.AUDIT_FAILED)
    assert lake.main(SILVER_TRADES) is None


def test_a_number_counted_per_part_holds_back_the_parts_outside_its_limits(lake, binance_zip, demand):
    land(lake, binance_zip, "BTCUSDT", DAY)
    land(lake, binance_zip, "ETHUSDT", DAY)
    assert lake.run(bronze_trades.JOB).exit_code == 0
    limits = {"minimum": 1, "maximum": None}
    demand(SILVER_TRADES, FactRule("hours_covered", "critical", "A day has an hour.", **limits, scope="part"))
    hours = {(DAY, BTC): 0.5, (DAY, ETH): 3.0}
    job = replace(
        silver_trades.JOB,
        build=lambda *given: [
            replace(write, facts=lambda *what, write=write: {**write.facts(*what), "hours_covered": hours})
            for write in silver_trades.JOB.build(*given)
        ],
    )
    outcome = lake.run(job)
    assert (outcome.exit_code, [part.subject for part in outcome.held]) == (ExitCode.QUARANTINED, [BTC])
    assert {name for _, name, _ in trades(lake)} == {ETH}


def test_a_table_that_combines_parts_leaves_the_held_back_one_out_and_says_so(lake, binance_zip, demand):
    for symbol in ("BTCUSDT", "ETHUSDT", "XRPETH"):
        land(lake, binance_zip, symbol, DAY)
    for job in (bronze_trades.JOB, silver_trades.JOB, bars_1m.JOB, tick_features.JOB, return_correlations_1d.JOB):
        assert lake.run(job).exit_code == 0
    pairs = lake.values(GOLD_RETURN_CORRELATIONS_1D, "instrument_id_a", "instrument_id_b")
    assert len(pairs) == 3

    demand(GOLD_TICK_FEATURES, row_rule("is_dear", "critical", "Nothing costs less than 50.", "close < 50"))
    land(lake, binance_zip, "BTCUSDT", DAY, "20")
    assert lake.run(bronze_trades.JOB, is_replacing=True).exit_code == 0
    for job in (silver_trades.JOB, bars_1m.JOB):
        assert lake.run(job).exit_code == 0
    assert lake.run(tick_features.JOB).exit_code == ExitCode.QUARANTINED
    closes = {int(close) for name, close in lake.values(GOLD_BARS_1M, "instrument_id", "close") if name == BTC}
    assert closes == {20}  # bars are their own part, and passed
    kept = {int(close) for name, close in lake.values(GOLD_TICK_FEATURES, "instrument_id", "close") if name == BTC}
    assert kept == {100}
    outcome = lake.run(return_correlations_1d.JOB)
    assert outcome.message == f"published {DAY}; left out {BTC} of {DAY}, held back in gold.tick_features"
    assert lake.values(GOLD_RETURN_CORRELATIONS_1D, "instrument_id_a", "instrument_id_b") == [(ETH, "XRPETH.BINANCE")]
