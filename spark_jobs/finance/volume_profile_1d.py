"""Volume by price: how much of an instrument's day traded in which part of the day's price range.

Reads   lakehouse.silver.trades             the event days
Writes  lakehouse.gold.volume_profile_1d    replaces those event days

Bins and value area: transforms/finance/volume_profile.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from lakehouse.slices import Slice
from lakehouse.tables.finance import GOLD_VOLUME_PROFILE_1D, SILVER_TRADES
from spark_jobs.engine.kept import not_held, staged_rows
from spark_jobs.engine.stage import Branch, HeldBack
from spark_jobs.layers.command_line import main
from spark_jobs.layers.derive import by_slices
from spark_jobs.layers.gold import Derivation, Inputs, gold_job
from transforms.finance.volume_profile import TRADE_COLUMNS, make_profile

TRADES_PER_PIECE = 4_000_000
"""About 150 bytes of memory each. Every piece of a day reads the day's whole file, so that few are cheaper."""


def compare_volume(inputs: Inputs, branch: Branch, days: Sequence[Slice], held: HeldBack) -> Mapping[str, Any]:
    """Count the volume that the bins have more or less than the trades, outliers left out."""
    is_compared = not_held("event_date", "instrument_id", held)
    trades = inputs.upstream.rows(pl.col("event_date").is_in(days), is_compared, ~pl.col("is_outlier"))
    totals = (trades.select(pl.col("size").sum()), staged_rows(branch, days, held).select(pl.col("volume").sum()))
    traded, binned = (total.collect(engine="streaming").item() for total in totals)
    return {"volume_difference": abs(binned - traded)}


JOB = gold_job(
    "finance.volume_profile_1d",
    Derivation(
        table=GOLD_VOLUME_PROFILE_1D,
        upstream=SILVER_TRADES,
        making=by_slices(make_profile, TRADE_COLUMNS, rows_per_piece=TRADES_PER_PIECE),
        facts=compare_volume,
    ),
)

if __name__ == "__main__":
    main(JOB)
