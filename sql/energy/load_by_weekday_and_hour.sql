-- The week of each meter: mean load by month, day of the week and hour of the day.
--
-- Grain   one row per meter, month, weekday and hour
-- Reads   lakehouse.gold.load_hourly
-- Prunes  month_start: one partition of gold.load_hourly per month
-- Units   loads in kW (means over an hour); months, weekdays (Monday is 0) and hours are the meter's local civil time
-- Run     lakehouse sql run energy/load_by_weekday_and_hour
--
-- Hours that were not measured are left out and show in hour_count; an hour that the clock shows twice counts twice.
CREATE OR REPLACE VIEW views.energy.load_by_weekday_and_hour AS
WITH
hours AS (
    SELECT
        meter_id,
        weekday,
        hour,
        load_kw,
        completeness_ratio,
        CAST(DATE_TRUNC('month', event_date) AS DATE) AS month_start
    FROM lakehouse.gold.load_hourly
)

SELECT
    meter_id,
    month_start,
    weekday,
    hour,
    COUNT(*) AS hour_count,
    COUNT(load_kw) AS measured_hour_count,
    AVG(load_kw) AS mean_load_kw,
    STDDEV_SAMP(load_kw) AS std_load_kw,
    MIN(load_kw) AS least_load_kw,
    MAX(load_kw) AS greatest_load_kw,
    AVG(completeness_ratio) AS mean_completeness_ratio
FROM hours
GROUP BY meter_id, month_start, weekday, hour
