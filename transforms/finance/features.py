"""Indicators per one-minute bar, from the state that an instrument's bars before them left behind.

The formulas are in indicators.py. Days computed one by one equal the same days computed at once, bit for bit.
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


class Carry(NamedTuple):
    """The state that an instrument's day left behind."""

    day: date
    numbers: Sequence[float]


Carries = Mapping[str, Carry]
"""The latest state per instrument."""


def make_features(bars: pl.DataFrame, carries: Carries) -> tuple[pl.DataFrame, Carries]:
    """Build gold.tick_features, without _ingested_at, from some instruments' bars of a day, and their states after."""
    by_instrument = bars.sort("instrument_id", "bar_start").partition_by("instrument_id", maintain_order=True)
    parts = [features_of_instrument(part, carries.get(part["instrument_id"][0])) for part in by_instrument]
    if not parts:
        return pl.DataFrame(), {}
    features = pl.concat(parts)
    return features, latest_carries(features)


def features_of_instrument(bars: pl.DataFrame, carry: Carry | None) -> pl.DataFrame:
    """Compute one instrument's bars of one day, in order, from the state before them; a new one if there is none."""
    close, volume = (to_doubles(bars[name]) for name in ("close", "volume"))
    features, state = compute_features(close, volume, decode_state(carry.numbers) if carry else State())
    carries = pl.Series([*[None] * (len(bars) - 1), encode_state(state)], dtype=pl.List(pl.Float64))
    computed = {name: pl.Series(values).fill_nan(None) for name, values in features.items()}
    columns = bars.with_columns(close=pl.Series(close), volume=pl.Series(volume), _carry=carries, **computed)
    return columns.select(GOLD_TICK_FEATURES.digest_columns)


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
    states = features.filter(pl.col("_carry").is_not_null()).sort("event_date")
    rows = states.select("instrument_id", "event_date", "_carry").rows()
    return {instrument_id: Carry(day, numbers) for instrument_id, day, numbers in rows}
