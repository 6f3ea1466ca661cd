"""A day's bars from pieces of its trades, cut anywhere: the states handed on make them those of the whole day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse.errors import BadInputError
from transforms.finance.bars import SESSION_SCHEMA, BarState, make_bars, minute_at

DAY = date(2024, 8, 8)
MIDNIGHT = datetime(2024, 8, 8, tzinfo=UTC)
FIRST = minute_at(DAY)
TRADE_SCHEMA = {
    "instrument_id": pl.String,
    "ts_event": pl.Datetime("us", "UTC"),
    "sequence": pl.Int64,
    "delivery_date": pl.Date,
    "price": pl.Decimal(18, 8),
    "size": pl.Decimal(18, 8),
    "is_outlier": pl.Boolean,
}
SESSIONS = pl.DataFrame(
    [
        ("A", FIRST - 60, FIRST, FIRST + 14),  # since the day before
        ("B", FIRST + 2, FIRST + 2, FIRST + 6),
        ("B", FIRST + 9, FIRST + 9, FIRST + 12),
        ("D", FIRST, FIRST, FIRST + 14),  # never trades, so it has no bars
    ],
    SESSION_SCHEMA,
    orient="row",
)
BEFORE = {
    "A": BarState(DAY - timedelta(days=1), Decimal("7.00000000")),
    "C": BarState(DAY - timedelta(days=3), Decimal("5.00000000")),
    "D": BarState(DAY - timedelta(days=1), Decimal("3.00000000")),
}

Trade = tuple[str, int, int, int, bool]
"""Instrument, third of a minute, price, size, whether it is an outlier."""

TRADES = st.lists(
    st.tuples(st.sampled_from("ABC"), st.integers(0, 40), st.integers(1, 99), st.integers(1, 9), st.booleans()),
    max_size=30,
).map(lambda trades: sorted(trades, key=lambda trade: trade[1]))


def frame_of(trades: Sequence[Trade]) -> pl.DataFrame:
    """Trades with numbers as sequence, so that those of one moment have an order."""
    rows = [
        (name, MIDNIGHT + timedelta(seconds=20 * third), number, DAY, Decimal(price), Decimal(size), is_outlier)
        for number, (name, third, price, size, is_outlier) in enumerate(trades)
    ]
    return pl.DataFrame(rows, TRADE_SCHEMA, orient="row")


def make(trades: pl.DataFrame, states: Mapping[str, BarState], until: int | None = None) -> Any:
    return make_bars(trades, states, SESSIONS, DAY, until)


@settings(max_examples=150, deadline=None)
@given(trades=TRADES, draw=st.data())
def test_bars_of_pieces_cut_anywhere_are_those_of_the_day(trades, draw):
    frame = frame_of(trades)
    bars, states = make(frame, BEFORE)
    cuts = sorted(draw.draw(st.lists(st.integers(0, len(trades)), max_size=5), "cuts"))
    parts, latest, until = [], BEFORE, FIRST
    for begin, end in zip([0, *cuts], cuts, strict=False):
        coming = trades[end][1] // 3 if end < len(trades) else 20
        until = draw.draw(st.integers(until, max(until, FIRST + coming)), "until")
        made, latest = make(frame[begin:end], latest, until)
        parts.append(made)
    made, latest = make(frame[cuts[-1] if cuts else 0 :], latest)
    parts.append(made)
    assert pl.concat(parts).sort("instrument_id", "bar_start").equals(bars)
    assert latest == states


def test_a_minute_that_goes_on_waits_in_the_state():
    first = frame_of([("A", 0, 10, 1, False), ("A", 4, 20, 2, False), ("A", 5, 99, 3, True), ("B", 3, 4, 1, True)])
    bars, states = make(first, BEFORE, FIRST + 1)
    assert bars.select("instrument_id", "bar_start", "close").rows() == [("A", MIDNIGHT, Decimal(10))]
    price, unit = Decimal(20), 10**8
    assert states == {
        **BEFORE,
        "A": BarState(
            DAY,
            Decimal(10),
            FIRST + 1,
            (("A", FIRST + 1, price, price, price, price, 40 * unit**2, 2 * unit, 5 * unit, 2, 1),),
        ),
        # an outlier is volume of its minute, and makes no close
        "B": BarState(DAY, None, FIRST + 1, (("B", FIRST + 1, *[None] * 6, unit, 1, 1),)),
    }


def test_the_last_piece_is_the_one_until_midnight():
    frame = frame_of([("A", 0, 10, 1, False), ("A", 7, 20, 2, False)])
    bars, states = make(frame, BEFORE, FIRST + 1440)
    assert states["A"] == BarState(DAY, Decimal(20))
    assert bars.equals(make(frame, BEFORE)[0])


def test_trades_of_a_minute_whose_bar_is_made_are_refused():
    trades = frame_of([("A", 2, 10, 1, False), ("A", 7, 20, 2, False)])
    _, states = make(trades[:1], BEFORE, FIRST + 3)
    with pytest.raises(BadInputError, match=r"A: expected trades from 2024-08-08 00:03 UTC on, found one of .* 00:02"):
        make(trades[1:], states)


def test_states_in_the_middle_of_another_day_are_refused():
    _, states = make(frame_of([("A", 2, 10, 1, False)]), BEFORE, FIRST + 1)
    with pytest.raises(BadInputError, match="A: expected a state of 2024-08-09, found one at 2024-08-08 00:01 UTC"):
        make_bars(frame_of([]), states, SESSIONS, DAY + timedelta(days=1))


def test_a_minute_too_large_to_be_added_up_is_refused_also_if_its_pieces_are_not():
    largest = Decimal("9999999999.99999999")
    half = frame_of([("A", 1, 1, 1, False)] * 90).with_columns(price=pl.lit(largest), size=pl.lit(largest))
    _, states = make(half, BEFORE, FIRST)
    with pytest.raises(BadInputError, match="A: expected a traded value below"):
        make(half, states)
