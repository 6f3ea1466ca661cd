"""Windows over bars: strided views of one array, which costs no memory, and batches gathered from it by position.

A window belongs to the bar that it ends with. It lies within one run, so never across an instrument or a gap, and all
its numbers are there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ml.examples import Floats, Positions
from ml.finance.features import Bars, Matrix

BATCH = 4096
"""Windows that are looked at together where nothing else is asked for."""


def window_ends(bars: Bars, length: int) -> Positions:
    """Return the positions of the bars that a whole window ends with, ascending."""
    if len(bars) < length:
        return np.empty(0, dtype=np.int64)
    broken = np.concatenate([[0], np.cumsum(~np.isfinite(bars.features).all(axis=1))])
    ends = np.arange(length - 1, len(bars))
    is_one_run = bars.runs[ends] == bars.runs[ends - length + 1]
    return np.asarray(ends[is_one_run & (broken[ends + 1] == broken[ends - length + 1])])


@dataclass(frozen=True)
class Windows:
    """Windows of some length over the rows of a contiguous array; `views[p]` begins with row p and is read-only.

    The views share the array's memory, whatever their number; only `gather` copies, one batch.
    """

    rows: Matrix
    length: int

    @property
    def views(self) -> Matrix:
        """Every stretch of rows, also those that no window may be: shape (rows - length + 1, length, features)."""
        return sliding_window_view(self.rows, self.length, axis=0).swapaxes(1, 2)

    def gather(self, ends: Positions) -> Matrix:
        """Copy the windows that end with some rows: shape (ends, length, features)."""
        return np.ascontiguousarray(self.views[ends - self.length + 1])

    def batches(self, ends: Positions, size: int = BATCH) -> Iterator[Matrix]:
        """Yield the windows that end with some rows, a batch at a time."""
        for begin in range(0, len(ends), size):
            yield self.gather(ends[begin : begin + size])

    def touched(self, ends: Positions) -> Floats:
        """Return the rows that lie in one of these windows, each once."""
        steps = np.zeros(len(self.rows) + 1, dtype=np.int64)
        np.add.at(steps, ends - self.length + 1, 1)
        np.add.at(steps, ends + 1, -1)
        return np.asarray(self.rows[np.cumsum(steps[:-1]) > 0], dtype=np.float64)


def as_sequence(windows: Windows, ends: Positions) -> Any:
    """Return windows as LightGBM reads them, flattened and batch by batch: oldest bar first, all features of a bar."""
    from lightgbm import Sequence

    class Flattened(Sequence):  # type: ignore[misc]  # the package has no types
        """Windows that are copied out only while their batch is read."""

        batch_size = BATCH

        def __len__(self) -> int:
            return len(ends)

        def __getitem__(self, wanted: Any) -> Floats:
            chosen = np.atleast_1d(ends[wanted])
            flat = windows.gather(chosen).reshape(len(chosen), -1).astype(np.float64)
            return flat[0] if np.ndim(wanted) == 0 and not isinstance(wanted, slice) else flat

    return Flattened()


def flat_names(names: tuple[str, ...], length: int) -> tuple[str, ...]:
    """Name the numbers of a flattened window: log_return_59 is of 59 bars before the window's last."""
    return tuple(f"{name}_{length - 1 - step}" for step in range(length) for name in names)
