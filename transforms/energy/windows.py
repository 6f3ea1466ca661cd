"""Lags, means and deviations of the loads before some hours, for all meters of a frame at once.

The loads of a window are added up one by one, the oldest first, so that a value has the same bits whatever other hours
are in the frame. (The rolling means of Polars carry a sum from window to window, which depends on where it began.)
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]


def place_hours(hours: pl.DataFrame, look_back: int) -> pl.DataFrame:
    """Add `place`: each hour's position on one axis that holds all meters, one after the other.

    `look_back` empty places before each meter's first hour keep its windows apart from the meter before.
    """
    hour = pl.col("elapsed_hour")
    spans = hours.group_by("meter_id", maintain_order=True).agg(_first=hour.min(), _length=hour.max() - hour.min() + 1)
    spans = spans.with_columns(_begin=(pl.col("_length") + look_back).cum_sum() - pl.col("_length"))
    placed = hours.join(spans, "meter_id", maintain_order="left")
    return placed.with_columns(place=pl.col("_begin") + hour - pl.col("_first")).drop("_first", "_length", "_begin")


def put_on_axis(placed: pl.DataFrame) -> Floats:
    """Return the loads by place, NaN where none is known. Of two hours in one place, the higher load counts."""
    places = placed["place"].to_numpy()
    axis = np.full(places.max(initial=0) + 1, np.nan)
    np.fmax.at(axis, places, placed["load_kw"].fill_null(np.nan).to_numpy())
    return axis


@dataclass(frozen=True)
class LoadsBefore:
    """The loads before the hours at `places`. On the axis, NaN stands for an hour whose load is not known."""

    axis: Floats
    places: Places

    @cached_property
    def is_known(self) -> npt.NDArray[np.bool_]:
        """Whether the load of each hour on the axis is known."""
        return ~np.isnan(self.axis)

    @cached_property
    def known_before(self) -> Places:
        """How many hours before each place of the axis have a known load."""
        return np.concatenate(([0], np.cumsum(self.is_known)))

    def lag(self, hours: int) -> Floats:
        """Return the load some hours before; NaN if it is not known."""
        return self.axis[self.places - hours]

    def count(self, length: int) -> Places:
        """Count the known loads of the `length` hours before."""
        return self.known_before[self.places] - self.known_before[self.places - length]

    def mean(self, length: int) -> Floats:
        """Return the mean of the known loads of the `length` hours before; NaN if fewer than half are known."""
        filled = np.where(self.is_known, self.axis, 0.0)
        total = np.zeros(len(self.places))
        for hours in range(length, 0, -1):
            total += filled[self.places - hours]
        return self._of_enough(total / np.maximum(self.count(length), 1), length)

    def deviation(self, length: int) -> Floats:
        """Return the sample standard deviation likewise, by Welford's method; windows are of 3 hours and more."""
        count, mean, squares = (np.zeros(len(self.places)) for _ in range(3))
        for hours in range(length, 0, -1):
            places = self.places - hours
            is_known = self.is_known[places]
            count += is_known
            difference = np.where(is_known, self.axis[places] - mean, 0.0)
            step = difference / np.maximum(count, 1)
            mean += step
            squares += difference * (difference - step)
        return self._of_enough(np.sqrt(squares / np.maximum(count - 1, 1)), length)

    def _of_enough(self, values: Floats, length: int) -> Floats:
        return np.where(self.count(length) >= length / 2, values, np.nan)
