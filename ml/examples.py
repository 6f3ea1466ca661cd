"""Examples that a model learns from or forecasts: features, targets, and the two times that honesty depends on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Times = NDArray[np.datetime64]
Positions = NDArray[np.int64]


@dataclass(frozen=True)
class Examples:
    """One row per example, ascending in time.

    `features` were known at `times`; `targets` are known from `target_times` on and NaN where never measured.
    """

    names: tuple[str, ...]
    times: Times
    target_times: Times
    features: Floats
    targets: Floats

    def __len__(self) -> int:
        return len(self.times)

    def take(self, chosen: Any) -> Examples:
        """Return the examples at some positions, or where a mask holds."""
        return Examples(
            self.names, self.times[chosen], self.target_times[chosen], self.features[chosen], self.targets[chosen]
        )
