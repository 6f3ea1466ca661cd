-- Hourly load as it was when a model was trained: put the model's tag in place of main.
--
-- Grain   one row per meter, at one point in time of the table
-- Reads   lakehouse.gold.load_hourly
-- Prunes  nothing: a model read the whole table
-- Units   loads in kW, days are the meter's civil days
-- Run     lakehouse sql run models/load_as_a_model_saw_it
--
-- Tags of a model: SELECT table_name, tag FROM views.models.model_snapshots WHERE model_name = '...' AND version = 1.
-- A number instead of the text is a snapshot id. Trino only: DuckDB has no FOR VERSION AS OF; without a server it is
-- lakehouse query "..." --as-of <tag>.
WITH
hours AS (
    SELECT
        meter_id,
        event_date,
        load_kw
    FROM lakehouse.gold.load_hourly FOR VERSION AS OF 'main' -- noqa: PRS
)

SELECT
    meter_id,
    MIN(event_date) AS first_date,
    MAX(event_date) AS last_date,
    COUNT(*) AS hour_count,
    AVG(load_kw) AS mean_load_kw
FROM hours
GROUP BY meter_id
ORDER BY meter_id
