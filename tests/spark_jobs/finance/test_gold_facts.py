"""What audits of bars and features are told: nothing where all is there, and how much where something is missing."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace

import pytest
from pyiceberg.expressions import EqualTo, Or, Reference

from lakehouse.lake.catalog import load
from lakehouse.lake.scans import pin_current
from lakehouse.tables.finance import GOLD_BARS_1M, GOLD_TICK_FEATURES, SILVER_TRADES
from spark_jobs.finance import bars_1m, bronze_trades, silver_trades, tick_features
from spark_jobs.finance.bars_1m import compare_trades
from spark_jobs.finance.tick_features import compare_bars

DAY = date(2024, 8, 8)
LATER = datetime(2026, 1, 1, tzinfo=UTC)


def at(minute: int) -> EqualTo:
    bar_start = datetime(2024, 8, 8, 12, tzinfo=UTC) + timedelta(minutes=minute)
    return EqualTo(term=Reference("bar_start"), value=bar_start.isoformat())


@pytest.fixture
def lake(make_lake, binance_zip):
    found = make_lake("lake")
    noon = datetime(2024, 8, 8, 12)
    lines = [(number, "100", "2", noon + timedelta(minutes=number)) for number in range(5)]
    binance_zip(found.landing, "BTCUSDT", DAY, lines)
    for job in (bronze_trades.JOB, silver_trades.JOB, bars_1m.JOB, tick_features.JOB):
        assert found.run(job).exit_code == 0
    return found


def test_facts_count_volume_minutes_and_features_that_are_missing(lake):
    def facts(compare, upstream, held=None):
        table = GOLD_BARS_1M if compare is compare_trades else GOLD_TICK_FEATURES
        branch = SimpleNamespace(name="main", table=table, settings=lake.settings, started_at=LATER)
        return compare(SimpleNamespace(settings=lake.settings, upstream=upstream), branch, [DAY], held or {})

    trades, bars = (pin_current(lake.settings, table) for table in (SILVER_TRADES, GOLD_BARS_1M))
    assert facts(compare_trades, trades) == {"volume_difference": Decimal(0), "grid_gaps": 0}
    assert facts(compare_bars, bars) == {"bars_without_features": 0}

    load(lake.settings, GOLD_BARS_1M).delete(Or(at(1), at(30)))  # a minute with a trade, and a filled one
    load(lake.settings, GOLD_TICK_FEATURES).delete(at(2))
    assert facts(compare_trades, trades) == {"volume_difference": Decimal(2), "grid_gaps": 2}
    assert facts(compare_bars, bars) == {"bars_without_features": 1}
    # A part that is held back is looked at nowhere
    held = {DAY: ("BTCUSDT.BINANCE",)}
    assert facts(compare_trades, trades, held) == {"volume_difference": Decimal(0), "grid_gaps": 0}
    assert facts(compare_bars, bars, held) == {"bars_without_features": 0}
    # The features of the two bars that are gone are too many, as the one that is gone is missing
    assert facts(compare_bars, pin_current(lake.settings, GOLD_BARS_1M)) == {"bars_without_features": 3}
