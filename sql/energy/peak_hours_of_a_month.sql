-- The ten hours of a month with the highest load.
--
-- Grain   one row per meter and hour, highest load first
-- Reads   lakehouse.gold.load_hourly
-- Prunes  event_date: one partition of gold.load_hourly per month
-- Units   load in kW (mean over the hour), times are the meter's local civil time
-- Run     lakehouse sql run energy/peak_hours_of_a_month
--
-- The month is one of the generated demo data: put yours there.
WITH
hours AS (
    SELECT
        meter_id,
        hour_start,
        occurrence,
        load_kw,
        completeness_ratio,
        is_holiday
    FROM lakehouse.gold.load_hourly
    WHERE
        event_date >= DATE '2025-12-01'
        AND event_date < DATE '2026-01-01'
        AND load_kw IS NOT NULL
)

SELECT
    meter_id,
    hour_start,
    occurrence,
    load_kw,
    completeness_ratio,
    is_holiday
FROM hours
ORDER BY load_kw DESC, meter_id ASC, hour_start ASC, occurrence ASC
LIMIT 10
