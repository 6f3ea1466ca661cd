-- How far the forecasts of each model version were from the measured load, per meter, civil day and horizon.
--
-- Grain   one row per model version, meter, civil day and horizon
-- Reads   lakehouse.gold.load_forecasts, lakehouse.gold.load_hourly
-- Prunes  event_date: one partition of gold.load_forecasts per day
-- Units   errors in kW (forecast - measured), horizon in hours, interval_hit_pct 0-100; days are the meter's civil days
-- Run     lakehouse sql run energy/forecast_errors
--
-- Hours that were not measured, or not yet, are counted in forecast_count alone. The interval promises interval_ratio.
CREATE OR REPLACE VIEW views.energy.forecast_errors AS
WITH
forecasts AS (
    SELECT
        model_name,
        model_version,
        meter_id,
        event_date,
        target_start,
        target_occurrence,
        horizon,
        load_kw,
        load_kw_lower,
        load_kw_upper,
        interval_ratio
    FROM lakehouse.gold.load_forecasts
),

hours AS (
    SELECT
        meter_id,
        event_date,
        hour_start,
        occurrence,
        load_kw
    FROM lakehouse.gold.load_hourly
),

errors AS (
    SELECT
        forecasts.model_name,
        forecasts.model_version,
        forecasts.meter_id,
        forecasts.event_date,
        forecasts.horizon,
        forecasts.interval_ratio,
        forecasts.load_kw - hours.load_kw AS error_kw,
        CASE
            WHEN hours.load_kw BETWEEN forecasts.load_kw_lower AND forecasts.load_kw_upper THEN 100.0E0
            WHEN hours.load_kw IS NOT NULL THEN 0.0E0
        END AS hit_pct
    FROM forecasts
    LEFT JOIN hours
        ON
            forecasts.meter_id = hours.meter_id
            AND forecasts.event_date = hours.event_date
            AND forecasts.target_start = hours.hour_start
            AND forecasts.target_occurrence = hours.occurrence
)

SELECT
    model_name,
    model_version,
    meter_id,
    event_date,
    horizon,
    COUNT(*) AS forecast_count,
    COUNT(error_kw) AS measured_count,
    AVG(error_kw) AS bias_kw,
    AVG(ABS(error_kw)) AS mae_kw,
    SQRT(AVG(error_kw * error_kw)) AS rmse_kw,
    MAX(interval_ratio) AS interval_ratio,
    AVG(hit_pct) AS interval_hit_pct
FROM errors
GROUP BY model_name, model_version, meter_id, event_date, horizon
