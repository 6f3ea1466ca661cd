"""Indicators per one-minute bar, carried over midnight.

Reads   lakehouse.gold.bars_1m          the event days
        lakehouse.gold.tick_features    `_carry` of days before them
Writes  lakehouse.gold.tick_features    replaces those event days

The formulas are in transforms/finance/indicators.py. A day starts from the state that the instrument's last day before
it left behind, so that days computed one by one equal the same days computed at once, bit for bit. After CARRY_DAYS
days without a bar an instrument starts anew, as bars do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import polars as pl

from lakehouse.lake.scans import PinnedTable
from lakehouse.slices import Slice
from lakehouse.tables.finance import GOLD_BARS_1M, GOLD_TICK_FEATURES
from spark_jobs.engine.kept import not_held, staged_rows
from spark_jobs.engine.stage import Branch, HeldBack
from spark_jobs.finance.bars_1m import CARRY_DAYS
from spark_jobs.layers.command_line import main
from spark_jobs.layers.derive import CarryReader, by_state
from spark_jobs.layers.gold import Derivation, Inputs, gold_job
from transforms.finance.features import BAR_COLUMNS, Carries, latest_carries, make_features

BARS_PER_PIECE = 100_000
"""An instrument's days are computed one after another, by one task; with fewer bars it would start for too little."""


def read_carries(features: PinnedTable, day: date) -> Carries:
    """Return each instrument's state by the end of a day that days after it may start from."""
    recent = [day - timedelta(days=number) for number in range(CARRY_DAYS)]
    of_days = features.rows(pl.col("event_date").is_in(recent), pl.col("_carry").is_not_null())
    return latest_carries(of_days.select("instrument_id", "event_date", "_carry").collect())


def compare_bars(inputs: Inputs, branch: Branch, days: Sequence[Slice], held: HeldBack) -> Mapping[str, Any]:
    """Count the bars that have no features, and features without a bar."""
    key = ("instrument_id", "bar_start")
    is_compared = not_held("event_date", "instrument_id", held)
    different = 0
    for day in days:
        sides = (
            (inputs.upstream.rows(pl.col("event_date") == day, is_compared), 1),
            (staged_rows(branch, [day], held), -1),
        )
        summed = pl.concat([rows.select(*key, n=pl.lit(n)) for rows, n in sides]).group_by(key).agg(pl.col("n").sum())
        different += summed.filter(pl.col("n") != 0).collect().height
    return {"bars_without_features": different}


JOB = gold_job(
    "finance.tick_features",
    Derivation(
        table=GOLD_TICK_FEATURES,
        upstream=GOLD_BARS_1M,
        making=by_state(
            make_features,
            BAR_COLUMNS,
            CarryReader(read_carries, timedelta(days=CARRY_DAYS), lambda carry: carry.day),
            rows_per_piece=BARS_PER_PIECE,
        ),
        facts=compare_bars,
    ),
)

if __name__ == "__main__":
    main(JOB)
