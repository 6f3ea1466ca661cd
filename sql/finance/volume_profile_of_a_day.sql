-- The bins of one instrument's volume profile on one UTC day, with the share of the day's volume in each.
--
-- Grain   one row per price bin, lowest price first
-- Reads   lakehouse.gold.volume_profile_1d
-- Prunes  event_date: one partition of gold.volume_profile_1d per day
-- Units   prices in the instrument's currency, volume in units of the instrument, volume_pct 0-100
-- Run     lakehouse sql run finance/volume_profile_of_a_day
--
-- Day and instrument are those of the generated demo data: put yours there.
WITH
bins AS (
    SELECT
        bin_index,
        price_low,
        price_high,
        volume,
        trade_count,
        is_point_of_control,
        is_in_value_area
    FROM lakehouse.gold.volume_profile_1d
    WHERE
        event_date = DATE '2026-01-06'
        AND instrument_id = 'GENBTCUSDT.BINANCE'
)

SELECT
    bin_index,
    price_low,
    price_high,
    volume,
    100 * CAST(volume AS DOUBLE) / NULLIF(SUM(CAST(volume AS DOUBLE)) OVER (), 0) AS volume_pct,
    trade_count,
    is_point_of_control,
    is_in_value_area
FROM bins
ORDER BY bin_index
