-- Where the volume of a day was traded: point of control and 70 % value area of each instrument and UTC day.
--
-- Grain   one row per instrument and UTC day
-- Reads   lakehouse.gold.volume_profile_1d, lakehouse.gold.instruments
-- Prunes  event_date: one partition of gold.volume_profile_1d per day
-- Units   prices in `currency`, volume in units of the instrument, value_area_pct 0-100
-- Run     lakehouse sql run finance/volume_profile
CREATE OR REPLACE VIEW views.finance.volume_profile AS
WITH
bins AS (
    SELECT
        instrument_id,
        event_date,
        price_low,
        price_high,
        volume,
        trade_count,
        is_point_of_control,
        is_in_value_area
    FROM lakehouse.gold.volume_profile_1d
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
        MAX(price_low) FILTER (WHERE is_point_of_control) AS point_of_control_low,
        MAX(price_high) FILTER (WHERE is_point_of_control) AS point_of_control_high,
        MIN(price_low) FILTER (WHERE is_in_value_area) AS value_area_low,
        MAX(price_high) FILTER (WHERE is_in_value_area) AS value_area_high,
        SUM(volume) FILTER (WHERE is_in_value_area) AS value_area_volume,
        SUM(volume) AS volume,
        CAST(SUM(trade_count) AS BIGINT) AS trade_count,
        COUNT(*) AS bin_count
    FROM bins
    GROUP BY instrument_id, event_date
)

SELECT
    days.instrument_id,
    days.event_date,
    instruments.currency,
    days.point_of_control_low,
    days.point_of_control_high,
    days.value_area_low,
    days.value_area_high,
    100 * CAST(days.value_area_volume AS DOUBLE) / NULLIF(CAST(days.volume AS DOUBLE), 0) AS value_area_pct,
    days.volume,
    days.trade_count,
    days.bin_count
FROM days
LEFT JOIN instruments ON days.instrument_id = instruments.instrument_id
