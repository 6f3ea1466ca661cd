-- Realised volatility of the last 60 one-minute returns of the UTC day, per instrument and bar.
--
-- Grain   one row per instrument and one-minute bar
-- Reads   lakehouse.gold.tick_features
-- Prunes  event_date: one partition of gold.tick_features per day
-- Units   volatilities in basis points of the price over the window, not annualised; times UTC
-- Run     lakehouse sql run finance/rolling_volatility
--
-- The window starts anew with each UTC day, so that a day can be read alone; it is null until it holds 60 returns.
-- realized_volatility_30 of gold.tick_features is carried over midnight and stands beside it. Filled bars return 0.
-- Squares are added up as decimals: a window of doubles that slides keeps the rounding of what has left it, down to a
-- root of less than nothing.
CREATE OR REPLACE VIEW views.finance.rolling_volatility AS
WITH
bars AS (
    SELECT
        instrument_id,
        event_date,
        bar_start,
        log_return,
        realized_volatility_30,
        CAST(1.0E8 * log_return * log_return AS DECIMAL(38, 24)) AS squared_bps
    FROM lakehouse.gold.tick_features
),

windows AS (
    SELECT
        instrument_id,
        event_date,
        bar_start,
        realized_volatility_30,
        COUNT(log_return) OVER last_hour AS return_count,
        SUM(squared_bps) OVER last_hour AS squared_bps
    FROM bars
    WINDOW last_hour AS (
        PARTITION BY instrument_id, event_date
        ORDER BY bar_start
        ROWS BETWEEN 59 PRECEDING AND CURRENT ROW
    )
)

SELECT
    instrument_id,
    event_date,
    bar_start,
    CASE WHEN return_count = 60 THEN SQRT(CAST(squared_bps AS DOUBLE)) END AS volatility_60_bps,
    10000 * realized_volatility_30 AS volatility_30_bps
FROM windows
