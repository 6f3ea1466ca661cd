-- Quoted spread of each instrument by UTC day and hour.
--
-- Grain   one row per instrument, UTC day and hour of the day
-- Reads   lakehouse.silver.quotes
-- Prunes  event_date: one partition of silver.quotes per day
-- Units   spreads in basis points of the mid price, hour 0-23 UTC
-- Run     lakehouse sql run finance/spread_by_hour
--
-- Every two-sided quote counts once, however long it stood: the mean is not weighted by time. A one-sided row has no
-- spread; crossed quotes were rejected before silver.
CREATE OR REPLACE VIEW views.finance.spread_by_hour AS
WITH
quotes AS (
    SELECT
        instrument_id,
        event_date,
        spread_bps,
        CAST(HOUR(ts_event) AS INTEGER) AS hour_utc
    FROM lakehouse.silver.quotes
)

SELECT
    instrument_id,
    event_date,
    hour_utc,
    COUNT(*) AS quote_count,
    COUNT(spread_bps) AS two_sided_count,
    AVG(spread_bps) AS mean_spread_bps,
    STDDEV_SAMP(spread_bps) AS std_spread_bps,
    MIN(spread_bps) AS least_spread_bps,
    MAX(spread_bps) AS greatest_spread_bps
FROM quotes
GROUP BY instrument_id, event_date, hour_utc
