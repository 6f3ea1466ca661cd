"""One-minute bars: open, high, low, close, volume and vwap per instrument, on a complete grid inside sessions.

Reads   lakehouse.silver.trades   the event days; the session calendars; closes of earlier days from gold.bars_1m
Writes  lakehouse.gold.bars_1m    replaces those event days

Outliers move no price but count as volume. A minute without a usable trade carries the instrument's last close, over
midnight too, for at most CARRY_DAYS days: after a longer silence, as before the first trade ever, bars begin with
the next trade. The grid is filled inside sessions only, and only on UTC days on which the instrument traded; on a day
that is not over, up to the minute in which the run began.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

import polars as pl

from lakehouse.lake.scans import PinnedTable
from lakehouse.reference.instruments import describe_instrument
from lakehouse.slices import Slice, days_of
from lakehouse.tables.finance import GOLD_BARS_1M, SILVER_TRADES
from spark_jobs.engine.kept import not_held, staged_rows
from spark_jobs.engine.stage import Branch, HeldBack
from spark_jobs.finance.sessions import describe_sessions, session_frame, session_parts
from spark_jobs.layers.command_line import main
from spark_jobs.layers.derive import CarryReader, by_state
from spark_jobs.layers.gold import Derivation, Inputs, gold_job
from transforms.finance.bars import BarState, BarStates, make_bars, survey_closes
from transforms.finance.minutes import MINUTE_US, TRADE_COLUMNS

CARRY_DAYS = 10
"""How many days back a close may be carried from; no declared venue closes for that long."""


def given(instrument_ids: Sequence[str], days: Sequence[Slice], now: datetime) -> tuple[pl.DataFrame, date]:
    """Return when instruments trade on a day, as far as that is over, and the day."""
    (day,) = days_of(days)
    return session_frame(instrument_ids, day, now), day


def read_closes(bars: PinnedTable, day: date) -> BarStates:
    """Return each instrument's last traded close by the end of a day that days after it may carry on from."""
    recent = [day - timedelta(days=number) for number in range(CARRY_DAYS)]
    traded = bars.rows(pl.col("event_date").is_in(recent), ~pl.col("is_filled")).sort("bar_start")
    last = traded.group_by("instrument_id").agg(pl.col("event_date").last(), pl.col("close").last()).collect()
    return {instrument_id: BarState(of_day, close) for instrument_id, of_day, close in last.rows()}


def compare_trades(inputs: Inputs, branch: Branch, days: Sequence[Slice], held: HeldBack) -> Mapping[str, Any]:
    """Count what the bars have more or less volume than the trades, and the minutes that a session lacks."""
    bars = staged_rows(branch, days, held)
    trades = inputs.upstream.rows(pl.col("event_date").is_in(days), not_held("event_date", "instrument_id", held))
    totals = (trades.select(pl.col("size").sum()), bars.select(pl.col("volume").sum()))
    traded, barred = (total.collect(engine="streaming").item() for total in totals)
    return {"volume_difference": abs(traded - barred), "grid_gaps": count_gaps(bars, branch.started_at)}


def count_gaps(bars: pl.LazyFrame, now: datetime) -> int:
    """Count the minutes of sessions that have no bar, from an instrument's first bar of the day on."""
    of_days = bars.group_by("instrument_id", "event_date").agg(
        first_bar=pl.col("bar_start").min().to_physical() // MINUTE_US, inside=pl.col("minutes_since_open").count()
    )
    gaps = 0
    for instrument_id, day, first_bar, inside in of_days.collect(engine="streaming").rows():
        parts_of_day = session_parts(describe_instrument(instrument_id).calendar, day, now)
        gaps += sum(max(end - max(first, first_bar), 0) for _, first, end in parts_of_day) - inside
    return gaps


JOB = gold_job(
    "finance.bars_1m",
    Derivation(
        table=GOLD_BARS_1M,
        upstream=SILVER_TRADES,
        making=by_state(
            make_bars,
            TRADE_COLUMNS,
            CarryReader(read_closes, timedelta(days=CARRY_DAYS), lambda state: state.day, survey_closes),
            given=given,
        ),
        facts=compare_trades,
        declared=describe_sessions,
        grows_by_itself=True,
    ),
)

if __name__ == "__main__":
    main(JOB)
