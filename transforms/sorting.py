"""Sorting rows by a text and a time, which every table of subjects and moments needs."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl


def sort_rows(rows: pl.DataFrame, order: Sequence[str]) -> pl.DataFrame:
    """Sort rows by columns of which the first is text with few values, and the second a time.

    Both are put into one number first: Polars sorts by that in less than half the time.
    """
    name, time, *others = order
    values = rows.get_column(name).unique().sort()
    code = pl.col(name).cast(pl.Enum(values)).to_physical().cast(pl.Int64)
    instant = pl.col(time).to_physical()
    return rows.sort(code * (instant.max() - instant.min() + 1) + instant - instant.min(), *others)
