"""One-minute bars: open, high, low, close, volume and vwap per instrument, on a complete grid inside sessions.

Reads   lakehouse.silver.trades   the event days; the session calendars; closes of earlier days from gold.bars_1m
Writes  lakehouse.gold.bars_1m    replaces those event days

Outliers move no price but count as volume. A minute without a usable trade carries the instrument's last close, over
midnight too, for at most CARRY_DAYS days: after a longer silence, as before the first trade ever, bars begin with
the next trade. The grid is filled inside sessions only, and only on UTC days on which the instrument traded; on a day
that is not over, up to the minute in which the run began.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple

import polars as pl

from lakehouse.lake.scans import PinnedTable, pin_current
from lakehouse.reference import instruments
from lakehouse.reference.instruments import describe_instrument, sessions
from lakehouse.tables.finance import GOLD_BARS_1M, SILVER_TRADES
from spark_jobs.engine import day_files
from spark_jobs.engine.day_files import deal_rows, map_in_tasks, rows_per_task, write_rows
from spark_jobs.engine.stage import Branch, DataFile
from spark_jobs.layers import gold
from spark_jobs.layers.command_line import main
from spark_jobs.layers.convert import Target, target_of
from spark_jobs.layers.gold import Derivation, Inputs, by_tasks, gold_job
from transforms.finance import minutes
from transforms.finance.minutes import (
    MINUTE_US,
    SESSION_SCHEMA,
    TRADE_COLUMNS,
    aggregate_minutes,
    complete_minutes,
    last_prices,
)

CARRY_DAYS = 10
"""How many days back a close may be carried from; no declared venue closes for that long."""
TRADES_PER_TASK = 1_000_000
"""Half a kilobyte of memory each."""


class Close(NamedTuple):
    """An instrument's last close, and the day that it is of."""

    day: date
    close: Decimal


@dataclass(frozen=True)
class Traded:
    """What an instrument's trades of a day come to: how many there are, and the close; None where all are outliers."""

    day: date
    instrument_id: str
    trades: int
    close: Decimal | None


@dataclass(frozen=True)
class Piece:
    """What one task makes: the bars of some instruments and one event day, from the closes that they carry into it."""

    day: date
    instrument_ids: tuple[str, ...]
    sessions: pl.DataFrame
    previous_closes: Mapping[str, Decimal]


def session_frame(instrument_ids: Collection[str], day: date, now: datetime) -> pl.DataFrame:
    """Say when instruments trade on a UTC day, until the minute of `now`; see `complete_minutes`."""
    parts = [
        (instrument_id, *part)
        for instrument_id in instrument_ids
        for part in session_parts(describe_instrument(instrument_id).calendar, day, now)
    ]
    return pl.DataFrame(parts, SESSION_SCHEMA, orient="row")


@lru_cache(maxsize=1024)  # most instruments share a calendar
def session_parts(calendar: str, day: date, now: datetime) -> tuple[tuple[int, int, int], ...]:
    """Cut the sessions that touch a UTC day to that day, and to what of it is over: start of the whole, begin, end."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    known_until = min(midnight + timedelta(days=1), now)
    parts = []
    for opened, closed in sessions(calendar, day, day):
        first_minute = whole_minutes(max(opened, midnight))
        end_minute = max(first_minute, whole_minutes(min(closed, known_until)))
        parts.append((whole_minutes(opened), first_minute, end_minute))
    return tuple(parts)


def whole_minutes(time: datetime) -> int:
    """Minutes since 1970-01-01 UTC."""
    return int(time.timestamp()) // 60


def write_bars(inputs: Inputs, branch: Branch, days: Sequence[date]) -> list[DataFile]:
    """Have Spark tasks make the days' bars, from the closes that the table has before them."""
    context = branch.spark.sparkContext
    trades, target = inputs.upstream, target_of(inputs.settings, GOLD_BARS_1M, branch.run_id, branch.started_at)
    surveyed = map_in_tasks(context, days, lambda day: survey_day(trades, day))
    closes = read_state(pin_current(inputs.settings, GOLD_BARS_1M, branch.name), min(days) - timedelta(days=1))
    pieces = cut_pieces(surveyed, closes, branch.started_at, context.defaultParallelism)
    written = map_in_tasks(context, pieces, lambda piece: make(trades, target, piece))
    return [file for files in written for file in files]


def survey_day(trades: PinnedTable, day: date) -> list[Traded]:
    """Find out what each instrument's trades of a day come to."""
    return [Traded(day, *row) for row in last_prices(trades.rows(pl.col("event_date") == day)).rows()]


def cut_pieces(
    surveyed: Sequence[Sequence[Traded]], closes: Mapping[str, Close], now: datetime, cores: int
) -> list[Piece]:
    """Cut the days, in order, into pieces that fit a task and give every core some; `closes` are those before them."""
    carried = dict(closes)
    trades_of_days = [{each.instrument_id: each.trades for each in traded} for traded in surveyed]
    most = rows_per_task(trades_of_days, cores, TRADES_PER_TASK)
    pieces = []
    for traded, trades in zip(surveyed, trades_of_days, strict=True):
        for group in deal_rows(trades, most):
            day = traded[0].day
            previous = {name: carried[name].close for name in group if is_carried(carried.get(name), day)}
            pieces.append(Piece(day, group, session_frame(group, day, now), previous))
        carried |= {each.instrument_id: Close(each.day, each.close) for each in traded if each.close is not None}
    return pieces


def is_carried(close: Close | None, day: date) -> bool:
    """Say whether a day may carry on from a close."""
    return close is not None and day - close.day <= timedelta(days=CARRY_DAYS)


def make(trades: PinnedTable, target: Target, piece: Piece) -> tuple[DataFile, ...]:
    """Make one piece's bars and write their files."""
    of_piece = pl.col("instrument_id").is_in(piece.instrument_ids)
    rows = trades.rows(pl.col("event_date") == piece.day, of_piece).select(TRADE_COLUMNS)
    bars = complete_minutes(aggregate_minutes(rows.collect()), piece.day, piece.sessions, piece.previous_closes)
    return write_rows(target, piece.day, bars)


def read_state(bars: PinnedTable, day: date) -> Mapping[str, Close]:
    """Return each instrument's last traded close by the end of a day that days after it may carry on from."""
    recent = [day - timedelta(days=number) for number in range(CARRY_DAYS)]
    traded = bars.rows(pl.col("event_date").is_in(recent), ~pl.col("is_filled")).sort("bar_start")
    last = traded.group_by("instrument_id").agg(pl.col("event_date").last(), pl.col("close").last()).collect()
    return {instrument_id: Close(of_day, close) for instrument_id, of_day, close in last.rows()}


def compare_trades(inputs: Inputs, branch: Branch, days: Sequence[date]) -> Mapping[str, Any]:
    """Count what the bars have more or less volume than the trades, and the minutes that a session lacks."""
    of_days = pl.col("event_date").is_in(days)
    bars = pin_current(inputs.settings, GOLD_BARS_1M, branch.name).rows(of_days)
    totals = (inputs.upstream.rows(of_days).select(pl.col("size").sum()), bars.select(pl.col("volume").sum()))
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
        stage=by_tasks(write_bars),
        read_state=read_state,
        facts=compare_trades,
        grows_by_itself=True,
    ),
    code=(sys.modules[__name__], minutes, instruments, gold, day_files),
)

if __name__ == "__main__":
    main(JOB)
