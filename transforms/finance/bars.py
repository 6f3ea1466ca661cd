"""Trades of one event day become one-minute bars: sums by minute, a complete grid, closes carried on.

A day may come in any number of pieces, cut between any two trades: with the states handed on, the bars of the pieces
together are those of the whole day, to the bit. Sums are whole numbers, so that it doesn't matter where they are cut.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple

import polars as pl

from lakehouse.errors import BadInputError
from lakehouse.tables.finance import GOLD_BARS_1M
from transforms.finance.minutes import (
    MINUTE,
    MINUTE_US,
    PRICE,
    SUMS,
    TRADE_ORDER,
    average_prices,
    join_sums,
    show_minute,
    sum_minutes,
)

SESSION_SCHEMA = {
    "instrument_id": pl.String,
    "session_minute": pl.Int64,
    "first_minute": pl.Int64,
    "end_minute": pl.Int64,
}
MINUTES_A_DAY = 1440


class BarState(NamedTuple):
    """What an instrument's trades leave for the bars after them.

    `close` is the last traded one, None before there is one, and `day` the day that it is of. While a day goes on,
    `next_minute` is the first minute whose bar is not made yet, and `sums` are rows of SUMS from that minute on.
    """

    day: date
    close: Decimal | None
    next_minute: int | None = None
    sums: tuple[tuple[Any, ...], ...] = ()


BarStates = Mapping[str, BarState]


def make_bars(
    trades: pl.DataFrame, states: BarStates, sessions: pl.DataFrame, day: date, until: int | None = None
) -> tuple[pl.DataFrame, BarStates]:
    """Build gold.bars_1m, without _ingested_at, from some instruments' trades of a day, and return the states after.

    `sessions` are as `complete_minutes` takes them. A day's last piece has no `until`. With `until`, the day goes on:
    the bars of minutes before it are made, and trades from it on wait in the states.

    Raises:
        BadInputError: a minute has trades after its bar was made, a state is of a day that has not ended, or a
            minute's traded value is too large to be added up exactly.
    """
    refuse_unfinished(states, day)
    sums = sum_minutes(trades)
    refuse_late(sums, states)
    waiting = [row for state in states.values() for row in state.sums]
    if waiting:
        sums = join_sums(pl.DataFrame(waiting, SUMS, orient="row"), sums)
    begin = minute_at(day)
    starts = dict.fromkeys(sums.get_column("instrument_id").unique(), begin)
    starts |= {name: state.next_minute for name, state in states.items() if state.next_minute is not None}
    closes = {name: state.close for name, state in states.items() if state.close is not None}
    if until is None or until >= begin + MINUTES_A_DAY:
        bars = complete_minutes(average_prices(sums), day, cut_sessions(sessions, starts), closes)
        return bars, latest_closes(bars, states, day)
    end = max(until, begin)
    made = average_prices(sums.filter(pl.col("minute") < end))
    bars = complete_minutes(made, day, cut_sessions(sessions, starts, end), closes)
    left = sums.filter(pl.col("minute") >= end).sort(MINUTE).rows_by_key("instrument_id", include_key=True)
    after = dict(latest_closes(bars, states, day))
    for name, start in starts.items():
        state = after.get(name, BarState(day, None))
        after[name] = state._replace(next_minute=max(start, end), sums=tuple(left.get(name, ())))
    return bars, after


def latest_closes(bars: pl.DataFrame, states: BarStates, day: date) -> BarStates:
    """Return the last traded close of each instrument that has one: of these bars, or that of its state before."""
    traded = bars.filter(~pl.col("is_filled")).group_by("instrument_id", maintain_order=True)
    before = {name: BarState(state.day, state.close) for name, state in states.items() if state.close is not None}
    return {**before, **{name: BarState(day, close) for name, close in traded.agg(pl.col("close").last()).rows()}}


def minute_at(day: date) -> int:
    """Return the first minute of a UTC day, counted from 1970-01-01."""
    return (day - date(1970, 1, 1)).days * MINUTES_A_DAY


def refuse_unfinished(states: BarStates, day: date) -> None:
    """Refuse states that are in the middle of another day.

    Raises:
        BadInputError: there is one.
    """
    for name, state in states.items():
        if state.next_minute is not None and not 0 <= state.next_minute - minute_at(day) < MINUTES_A_DAY:
            raise BadInputError(
                f"{name}: expected a state of {day}, found one at {show_minute(state.next_minute)}; "
                "make the bars of that day to its end first"
            )


def refuse_late(sums: pl.DataFrame, states: BarStates) -> None:
    """Refuse trades of minutes whose bars are made already.

    Raises:
        BadInputError: there is one.
    """
    if all(state.next_minute is None for state in states.values()):
        return
    for name, minute in sums.group_by("instrument_id").agg(pl.col("minute").min()).sort("instrument_id").rows():
        made = states[name].next_minute if name in states else None
        if made is not None and minute < made:
            raise BadInputError(
                f"{name}: expected trades from {show_minute(made)} on, found one of {show_minute(minute)}, "
                "whose bar is made; trades must come in the order of time"
            )


def cut_sessions(sessions: pl.DataFrame, starts: Mapping[str, int], end: int | None = None) -> pl.DataFrame:
    """Cut sessions to the minutes from each instrument's start to an end; instruments without a start have none."""
    wanted = pl.DataFrame(
        {"instrument_id": [*starts], "start": [*starts.values()]}, {"instrument_id": pl.String, "start": pl.Int64}
    )
    return sessions.join(wanted, "instrument_id").select(
        "instrument_id",
        "session_minute",
        first_minute=pl.max_horizontal("first_minute", "start"),
        end_minute=pl.min_horizontal("end_minute", pl.lit(end)),
    )


def survey_closes(trades: pl.LazyFrame, day: date) -> Mapping[str, BarState | None]:
    """Find each instrument's close of a day; None if all its trades are outliers, so that it carries the one before."""
    closes = last_prices(trades).select("instrument_id", "close").rows()
    return {name: None if close is None else BarState(day, close) for name, close in closes}


def last_prices(trades: pl.LazyFrame) -> pl.DataFrame:
    """Count each instrument's trades and find its last price that is not an outlier: instrument_id, trades, close.

    Trades are looked at as they stream by, twice: those of each instrument's last moment are few.
    """
    is_usable = ~pl.col("is_outlier")
    counted = trades.group_by("instrument_id").agg(trades=pl.len(), ts_event=pl.col("ts_event").filter(is_usable).max())
    counts = counted.collect(engine="streaming")
    moments = counts.lazy().select("instrument_id", "ts_event")
    latest = trades.filter(is_usable).join(moments, ["instrument_id", "ts_event"], "semi").select(*TRADE_ORDER, "price")
    in_order = latest.collect(engine="streaming").sort(TRADE_ORDER)
    closes = in_order.group_by("instrument_id").agg(close=pl.col("price").last())
    return counts.select("instrument_id", "trades").join(closes, "instrument_id", "left")


def complete_minutes(
    traded: pl.DataFrame, day: date, sessions: pl.DataFrame, previous_closes: Mapping[str, Decimal]
) -> pl.DataFrame:
    """Build gold.bars_1m, without _ingested_at, of one day from its minutes with trades, in the table's order.

    `sessions` has instrument_id, session_minute (the session's start, maybe on the day before), first_minute and
    end_minute (its part of this day that is over, the end exclusive). A minute without a usable trade carries the
    close before it, at first the one in `previous_closes`; where there is none, it gets no bar.
    """
    minutes = sessions.select(
        "instrument_id", "session_minute", minute=pl.int_ranges("first_minute", "end_minute")
    ).explode("minute", empty_as_null=False)
    closes = pl.DataFrame(
        {"instrument_id": [*previous_closes], "previous": [*previous_closes.values()]},
        {"instrument_id": pl.String, "previous": PRICE},
    )
    carried = pl.coalesce(pl.col("close").forward_fill().over("instrument_id"), "previous")
    filled = (
        minutes.join(traded, MINUTE, "full", coalesce=True)
        .join(closes, "instrument_id", "left")
        .sort(MINUTE)
        .with_columns(carried=carried)
        .filter(pl.col("carried").is_not_null())
    )
    return filled.select(
        event_date=pl.lit(day),
        bar_start=(pl.col("minute") * MINUTE_US).cast(pl.Datetime("us", "UTC")),
        is_filled=pl.col("close").is_null(),
        minutes_since_open=(pl.col("minute") - pl.col("session_minute")).cast(pl.Int32),
        instrument_id="instrument_id",
        volume=pl.col("volume").fill_null(Decimal(0)),
        **{name: pl.coalesce(name, "carried") for name in ("open", "high", "low", "close", "vwap")},
        **{name: pl.col(name).fill_null(0) for name in ("trade_count", "outlier_count")},
    ).select(GOLD_BARS_1M.digest_columns)
