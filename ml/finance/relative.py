"""Features that training makes from prices of gold by putting them in relation: they mean the same whatever a price is.

An entry of RELATIVE is all that such a feature needs: configurations may name it, training builds it. Numpy is imported
by the formulas, since Dags read the names.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ml.examples import Floats

Columns = Callable[[str], "Floats"]
"""Gives a column of gold by its name, NaN where it is null."""
Formula = Callable[[Columns], "Floats"]


def distance(name: str) -> Formula:
    """Make the formula of the close's distance from a price level: ln(close / level)."""

    def compute(column: Columns) -> Floats:
        import numpy as np

        return np.asarray(np.log(column("close") / column(name)))

    return compute


def ratio(name: str) -> Formula:
    """Make the formula of a difference of prices as a share of the close."""
    return lambda column: column(name) / column("close")


def bollinger_position(column: Columns) -> Floats:
    """Where the close is between the bands: -1 at the lower, 0 at the mean, 1 at the upper one; 0 if they are equal."""
    import numpy as np

    half = column("bollinger_upper") - column("sma_20")
    return (column("close") - column("sma_20")) / np.where(half == 0, 1.0, half)


def bollinger_width(column: Columns) -> Floats:
    """How far the bands are apart, as a share of the mean."""
    return (column("bollinger_upper") - column("bollinger_lower")) / column("sma_20")


RELATIVE: dict[str, Formula] = {
    **{f"{name}_distance": distance(name) for name in ("sma_20", "sma_50", "ema_12", "ema_26")},
    **{f"{name}_ratio": ratio(name) for name in ("macd", "macd_signal", "macd_histogram")},
    "bollinger_position": bollinger_position,
    "bollinger_width": bollinger_width,
}
