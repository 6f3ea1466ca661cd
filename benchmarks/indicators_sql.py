"""The indicators of gold.tick_features in DuckDB's SQL: from the table `bars` to the table `features`.

An exponential mean e(t) = (1 - a) e(t-1) + a x(t) has no function in SQL. Unrolled over a block of rows it is a running
sum of a x(j) (1 - a)^-j, scaled back by (1 - a)^j, plus what the block before ended with, faded by (1 - a)^(j + 1).
What came before that block has a weight below (1 - a)^512, less than 4e-17 for every mean used here, and is left out.

Each mean starts as TA-Lib's do, from the plain mean of its first n values: the term of the n-th row is that mean
instead of a x(n), and the terms before it are zero.
"""

from __future__ import annotations

from dataclasses import dataclass

BLOCK = 512
"""Rows; (1 - 0.2)^-512, the largest factor, is 4e49 and leaves a double its digits."""


@dataclass(frozen=True)
class Mean:
    """One exponential mean of `values`: the weight of the newest, and the row (from 0) that it starts at.

    It starts from the plain mean of the `count` values up to that row.
    """

    name: str
    values: str
    weight: float
    first_row: int
    count: int


SPAN_12 = Mean("ema_12", "close", 2 / 13, 11, 12)
SPAN_26 = Mean("ema_26", "close", 2 / 27, 25, 26)
MACD_FAST = Mean("macd_fast", "close", 2 / 13, 25, 12)
GAINS = Mean("mean_gain", "gain", 1 / 14, 14, 14)
LOSSES = Mean("mean_loss", "loss", 1 / 14, 14, 14)
SIGNAL = Mean("macd_signal", "macd", 2 / 10, 33, 9)


def exponential_means(source: str, target: str, *means: Mean) -> str:
    """Return common table expressions that add the means as columns; null before their first row."""
    terms, ends, results = [], [], []
    for mean in means:
        keep = 1 - mean.weight
        start = f"{mean.name}_start"
        term = (
            f"CASE WHEN number < {mean.first_row} THEN 0 WHEN number = {mean.first_row} THEN {start}"
            f" ELSE {mean.weight!r} * {mean.values} END"
        )
        terms.append(f"sum(({term}) * pow({keep!r}, -place)) OVER in_block * pow({keep!r}, place) AS {mean.name}_sum")
        ends.append(f"{mean.name}_sum AS {mean.name}_end")
        full = f"{mean.name}_sum + coalesce({mean.name}_end, 0) * pow({keep!r}, place + 1)"
        results.append(f"CASE WHEN number >= {mean.first_row} THEN {full} END AS {mean.name}")
    ends_dropped = ", ".join(f"{mean.name}_{part}" for mean in means for part in ("start", "sum", "end"))
    return f"""
{target}_sums AS (
    SELECT *, {", ".join(terms)}
    FROM {source} JOIN {source}_starts USING (instrument_id)
    WINDOW in_block AS (PARTITION BY instrument_id, block ORDER BY place ROWS UNBOUNDED PRECEDING)
),
{target}_ends AS (
    SELECT instrument_id, block + 1 AS block, {", ".join(ends)} FROM {target}_sums WHERE place = {BLOCK - 1}
),
{target} AS (
    SELECT * EXCLUDE ({ends_dropped}), {", ".join(results)}
    FROM {target}_sums LEFT JOIN {target}_ends USING (instrument_id, block)
)"""


def starts(source: str, *means: Mean) -> str:
    """Return the common table expression with the plain mean of each mean's first values, per instrument."""
    columns = []
    for mean in means:
        rows = f"number BETWEEN {mean.first_row - mean.count + 1} AND {mean.first_row}"
        columns.append(f"avg({mean.values}) FILTER ({rows}) AS {mean.name}_start")
    return f"{source}_starts AS (SELECT instrument_id, {', '.join(columns)} FROM {source} GROUP BY instrument_id)"


FEATURES_SQL = f"""
CREATE TYPE instrument AS ENUM (SELECT DISTINCT instrument_id FROM bars ORDER BY ALL);
CREATE TEMP TABLE features AS
WITH numbered AS (
    SELECT
        instrument_id::instrument AS instrument_id,
        bar_start,
        is_filled,
        close::DOUBLE AS close,
        volume::DOUBLE AS volume,
        row_number() OVER in_time - 1 AS number,
        number % {BLOCK} AS place,
        number // {BLOCK} AS block,
        lag(close::DOUBLE) OVER in_time AS last_close
    FROM bars
    WINDOW in_time AS (PARTITION BY instrument_id::instrument ORDER BY bar_start)
),
moves AS (
    SELECT
        *,
        ln(close / last_close) AS log_return,
        greatest(close - last_close, 0) AS gain,
        greatest(last_close - close, 0) AS loss
    FROM numbered
),
{starts("moves", SPAN_12, SPAN_26, MACD_FAST, GAINS, LOSSES)},
{exponential_means("moves", "with_means", SPAN_12, SPAN_26, MACD_FAST, GAINS, LOSSES)},
with_macd AS (SELECT *, macd_fast - ema_26 AS macd FROM with_means),
{starts("with_macd", SIGNAL)},
{exponential_means("with_macd", "with_signal", SIGNAL)},
windows AS (
    SELECT
        *,
        avg(close) OVER last_20 AS mean_20,
        stddev_pop(close) OVER last_20 AS deviation_20,
        avg(close) OVER last_50 AS mean_50,
        sum(log_return * log_return) OVER last_30 AS squares_30,
        avg(volume) OVER last_30 AS volume_mean_30,
        nullif(stddev_pop(volume) OVER last_30, 0) AS volume_deviation_30
    FROM with_signal
    WINDOW
        last_20 AS (PARTITION BY instrument_id ORDER BY bar_start ROWS 19 PRECEDING),
        last_30 AS (PARTITION BY instrument_id ORDER BY bar_start ROWS 29 PRECEDING),
        last_50 AS (PARTITION BY instrument_id ORDER BY bar_start ROWS 49 PRECEDING)
)
SELECT
    instrument_id::VARCHAR AS instrument_id,
    bar_start,
    close,
    log_return,
    if(number >= 19, mean_20, NULL) AS sma_20,
    if(number >= 49, mean_50, NULL) AS sma_50,
    ema_12,
    ema_26,
    if(number >= 33, macd, NULL) AS macd,
    macd_signal,
    macd - macd_signal AS macd_histogram,
    CASE
        WHEN mean_gain + mean_loss >= 1e-14 THEN 100 * mean_gain / (mean_gain + mean_loss)
        WHEN number >= 14 THEN 0
    END AS rsi_14,
    if(number >= 19, mean_20 + 2 * deviation_20, NULL) AS bollinger_upper,
    if(number >= 19, mean_20 - 2 * deviation_20, NULL) AS bollinger_lower,
    if(number >= 30, sqrt(squares_30), NULL) AS realized_volatility_30,
    if(number >= 29, (volume - volume_mean_30) / volume_deviation_30, NULL) AS volume_zscore_30,
    is_filled
FROM windows
"""
