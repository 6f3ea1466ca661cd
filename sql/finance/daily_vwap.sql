-- Price and volume of each instrument and UTC day, with the volume-weighted average price (VWAP).
--
-- Grain   one row per instrument and UTC day
-- Reads   lakehouse.gold.bars_1m, lakehouse.gold.instruments
-- Prunes  event_date: one partition of gold.bars_1m per day
-- Units   prices in `currency`, volume in units of the instrument, turnover in `currency`
-- Run     lakehouse sql run finance/daily_vwap
--
-- Bars carry prices without outlier prints and volumes with them, so a minute with an outlier weighs a little more than
-- it should; outlier_count says on which days. Minutes without a usable trade have no price of their own and no weight.
CREATE OR REPLACE VIEW views.finance.daily_vwap AS
WITH
bars AS (
    SELECT
        instrument_id,
        event_date,
        bar_start,
        open,
        high,
        low,
        close,
        volume,
        trade_count,
        vwap,
        outlier_count,
        is_filled
    FROM lakehouse.gold.bars_1m
),

instruments AS (
    SELECT
        instrument_id,
        currency
    FROM lakehouse.gold.instruments
),

days AS (
    SELECT
        instrument_id,
        event_date,
        MIN_BY(open, bar_start) FILTER (WHERE NOT is_filled) AS open,
        MAX(high) FILTER (WHERE NOT is_filled) AS high,
        MIN(low) FILTER (WHERE NOT is_filled) AS low,
        MAX_BY(close, bar_start) FILTER (WHERE NOT is_filled) AS close,
        SUM(volume) AS volume,
        SUM(volume) FILTER (WHERE NOT is_filled) AS priced_volume,
        SUM(vwap * volume) FILTER (WHERE NOT is_filled) AS turnover,
        CAST(SUM(trade_count) AS BIGINT) AS trade_count,
        CAST(SUM(outlier_count) AS BIGINT) AS outlier_count
    FROM bars
    GROUP BY instrument_id, event_date
)

SELECT
    days.instrument_id,
    days.event_date,
    instruments.currency,
    CAST(days.turnover / NULLIF(days.priced_volume, 0) AS DECIMAL(18, 8)) AS vwap,
    days.open,
    days.high,
    days.low,
    days.close,
    days.volume,
    CAST(days.turnover AS DECIMAL(38, 8)) AS turnover,
    days.trade_count,
    days.outlier_count
FROM days
LEFT JOIN instruments ON days.instrument_id = instruments.instrument_id
