"""Features over days: computed one by one, in any order, they equal the same days computed at once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse.tables.finance import GOLD_TICK_FEATURES
from transforms.finance.features import (
    Carries,
    Carry,
    extend_features,
    latest_carries,
    make_features,
    put_carries,
    to_doubles,
)
from transforms.finance.indicators import State, compute_features, encode_state

FIRST = date(2024, 8, 5)
BAR_SCHEMA = {
    "instrument_id": pl.String,
    "event_date": pl.Date,
    "bar_start": pl.Datetime("us", "UTC"),
    "close": pl.Decimal(18, 8),
    "volume": pl.Decimal(28, 8),
    "minutes_since_open": pl.Int32,
    "is_filled": pl.Boolean,
}


def day_number(number: int) -> date:
    return FIRST + timedelta(days=number)


def generated_bars(days: Sequence[int], instruments: str = "AB", per_day: int = 40) -> list[tuple]:
    """Bars of a seeded walk; 40 a day, so that on the second day the means begin to be carried."""
    rows = []
    for instrument in instruments:
        count = (max(days) + 1) * per_day
        closes = 100 * np.exp(np.cumsum(np.random.default_rng(ord(instrument)).normal(0, 0.001, count)))
        volumes = np.random.default_rng(1).lognormal(0, 1, count)
        for day in days:
            midnight = datetime.combine(day_number(day), datetime.min.time(), UTC)
            for minute in range(per_day):
                close, volume = closes[day * per_day + minute], volumes[day * per_day + minute]
                amounts = Decimal(f"{close:.8f}"), Decimal(f"{volume:.8f}")
                start = midnight + timedelta(minutes=minute)
                rows.append((instrument, day_number(day), start, *amounts, minute, minute % 7 == 0))
    return rows


def features_of(bars: list[tuple], carries: Carries | None = None) -> pl.DataFrame:
    rows = pl.DataFrame(bars, BAR_SCHEMA, orient="row").sample(fraction=1, shuffle=True, seed=3)
    days = [day for _, day in sorted(rows.partition_by("event_date", as_dict=True).items())]
    latest, parts = dict(carries or {}), []
    for day in days:
        made, after = make_features(day, latest)
        latest |= after
        parts.append(made)
    features = pl.concat(parts)
    assert features.columns == list(GOLD_TICK_FEATURES.digest_columns)
    return features.sort("instrument_id", "bar_start")


def test_make_features_copies_the_bar_and_carries_state_on_the_last_bar_of_each_day():
    bars = generated_bars([0, 1], "A")
    features = features_of(bars)
    close = np.array([float(row[3]) for row in bars])
    computed, state_1 = compute_features(close, np.array([float(row[4]) for row in bars]), State())
    _, state_0 = compute_features(close[:40], np.array([float(row[4]) for row in bars[:40]]), State())
    expected = {
        "instrument_id": ["A"] * 80,
        "event_date": [row[1] for row in bars],
        "bar_start": [row[2] for row in bars],
        "close": close.tolist(),
        "volume": [float(row[4]) for row in bars],
        **{
            name: [None if np.isnan(value) else value for value in values.tolist()] for name, values in computed.items()
        },
        "minutes_since_open": [row[5] for row in bars],
        "is_filled": [row[6] for row in bars],
        "_carry": [None] * 39 + [encode_state(state_0)] + [None] * 39 + [encode_state(state_1)],
    }
    assert features.to_dict(as_series=False) == {name: expected[name] for name in GOLD_TICK_FEATURES.digest_columns}


@pytest.mark.parametrize(
    "runs",
    [
        pytest.param([[0], [1], [2], [3]], id="one by one"),
        pytest.param([[0, 1], [2, 3]], id="two by two"),
        pytest.param([[0], [1], [2], [3], [0], [1, 2], [3]], id="again"),
        # the days come in the wrong order, then those that had no state before them are computed again
        pytest.param([[3], [2], [0], [1], [2, 3]], id="late days"),
    ],
)
def test_make_features_of_days_in_any_order_has_the_bits_of_all_days_at_once(runs):
    at_once = features_of(generated_bars([0, 1, 2, 3]))
    published: dict[int, pl.DataFrame] = {}
    for days in runs:
        before = [table for day, table in published.items() if day < min(days)]
        features = features_of(generated_bars(days), latest_carries(pl.concat(before)) if before else {})
        for day in days:
            published[day] = features.filter(pl.col("event_date") == day_number(day))
    together = pl.concat([published[day] for day in sorted(published)])
    assert together.sort("instrument_id", "bar_start").equals(at_once)


def rows_of(frame: pl.DataFrame) -> list[tuple]:
    """Rows with their floats as hexadecimal, so that -0.0 isn't 0.0."""
    return [tuple(value.hex() if isinstance(value, float) else value for value in row) for row in frame.rows()]


@settings(max_examples=40, deadline=None)
@given(lengths=st.tuples(st.integers(0, 70), st.integers(1, 70)), draw=st.data())
def test_features_of_pieces_cut_anywhere_are_those_of_all_bars(lengths, draw):
    # a day of both instruments, of which one may be too young for any window, one has states from a day before
    before = make_features(pl.DataFrame(generated_bars([0], "B", per_day=45), BAR_SCHEMA, orient="row"), {})[1]
    bars = pl.concat(
        pl.DataFrame(generated_bars([1], name, per_day=length), BAR_SCHEMA, orient="row")
        for name, length in zip("AB", lengths, strict=True)
    ).sort("bar_start", "instrument_id")
    whole, after = make_features(bars, before)
    cuts = [0, *sorted(draw.draw(st.lists(st.integers(0, bars.height), max_size=6), "cuts")), bars.height]
    parts, latest = [], before
    for begin, end in pairwise(cuts):
        if begin < end:
            part, latest = extend_features(bars[begin:end], latest)
            parts.append(part)
    together = put_carries(pl.concat(parts).sort("instrument_id", "bar_start"), latest)
    assert latest == after
    assert rows_of(together.drop("_carry")) == rows_of(whole.drop("_carry"))
    assert together.equals(whole)


def test_make_features_of_no_bars_hands_the_states_on():
    before = {"A": Carry(FIRST, [0.0])}
    features, after = make_features(pl.DataFrame(schema=BAR_SCHEMA), before)
    assert (features.height, after) == (0, before)


def test_to_doubles_gives_the_nearest_double_of_every_decimal():
    random = np.random.default_rng(1)
    texts = [f"{random.integers(10**9)}{random.integers(10**9)}.{random.integers(10**8):08}" for _ in range(1000)]
    texts += ["0.1", "90071992.54740992", "90071992.54740993", "99999999999999999999.99999999"]
    decimals = pl.Series([Decimal(text) for text in texts], dtype=pl.Decimal(28, 8))
    assert to_doubles(decimals).tolist() == [float(text) for text in texts]
