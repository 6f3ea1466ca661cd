"""Indicators per one-minute bar, from the state that an instrument's bars before them left behind.

The formulas are in indicators.py. Bars may come in any number of pieces, cut between any two bars: with the states
handed on, `extend_features` gives the same bits as for all bars at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from lakehouse.tables.finance import GOLD_TICK_FEATURES
from transforms.finance.indicators import State, compute_features, decode_state, encode_state

BAR_COLUMNS = ("instrument_id", "event_date", "bar_start", "close", "volume", "minutes_since_open", "is_filled")
"""What is read of a bar."""
CARRY = "_carry"


class Carry(NamedTuple):
    """The state that an instrument's bars left behind, as `encode_state` writes it, and the day of the last bar."""

    day: date
    numbers: Sequence[float]


Carries = Mapping[str, Carry]
"""The latest state per instrument."""


def make_features(bars: pl.DataFrame, carries: Carries) -> tuple[pl.DataFrame, Carries]:
    """Build gold.tick_features, without _ingested_at, from all of some instruments' bars of a day.

    Returns the states after the day, too, which stand in `_carry` of each instrument's last bar.
    """
    if bars.height == 0:
        return pl.DataFrame(), carries
    features, after = extend_features(bars, carries)
    return put_carries(features, after), after


def extend_features(bars: pl.DataFrame, carries: Carries) -> tuple[pl.DataFrame, Carries]:
    """Compute gold.tick_features, without _carry and _ingested_at, of the bars that come after some states.

    There must be a bar. Returns the states after the bars; those of instruments without one stay as they were.
    """
    parts, after = [], dict(carries)
    for part in bars.sort("instrument_id", "bar_start").partition_by("instrument_id", maintain_order=True):
        name = part["instrument_id"][0]
        features, state = features_of_instrument(part, carries.get(name))
        parts.append(features)
        after[name] = Carry(part["event_date"][-1], encode_state(state))
    return pl.concat(parts), after


def features_of_instrument(bars: pl.DataFrame, carry: Carry | None) -> tuple[pl.DataFrame, State]:
    """Compute the features of one instrument's bars, in order, from the state before them; a new one if there is none.

    Returns the state after them, too.
    """
    close, volume = (to_doubles(bars[name]) for name in ("close", "volume"))
    features, state = compute_features(close, volume, decode_state(carry.numbers) if carry else State())
    computed = {name: pl.Series(values).fill_nan(None) for name, values in features.items()}
    columns = bars.with_columns(close=pl.Series(close), volume=pl.Series(volume), **computed)
    return columns.select(name for name in GOLD_TICK_FEATURES.digest_columns if name != CARRY), state


def put_carries(features: pl.DataFrame, carries: Carries) -> pl.DataFrame:
    """Add `_carry` to a day's features in the table's order: the state after the day, on each instrument's last bar."""
    runs = features.get_column("instrument_id").rle()
    states: list[Sequence[float] | None] = []
    for length, name in zip(runs.struct.field("len"), runs.struct.field("value"), strict=True):
        states += [*[None] * (length - 1), carries[name].numbers]
    placed = features.with_columns(pl.Series(CARRY, states, pl.List(pl.Float64)))
    return placed.select(GOLD_TICK_FEATURES.digest_columns)


def to_doubles(decimals: pl.Series) -> npt.NDArray[np.float64]:
    """Turn decimals with eight places into the doubles that are nearest to them.

    Whole units below 2^53 are doubles themselves, so that the division rounds once; Python's does so for larger ones.
    """
    units, unit = decimals.to_physical(), 10**8
    doubles: npt.NDArray[np.float64] = units.cast(pl.Float64).to_numpy(writable=True) / unit
    for position in (units.abs() >= 2**53).arg_true():
        doubles[position] = units[position] / unit
    return doubles


def latest_carries(features: pl.DataFrame) -> Carries:
    """Return the latest state per instrument in rows of event_date, instrument_id and `_carry`."""
    states = features.filter(pl.col(CARRY).is_not_null()).sort("event_date")
    rows = states.select("instrument_id", "event_date", CARRY).rows()
    return {instrument_id: Carry(day, numbers) for instrument_id, day, numbers in rows}
