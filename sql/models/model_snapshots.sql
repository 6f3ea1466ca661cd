-- What each registered model version was trained on: tables with the tag and the snapshot that it saw.
--
-- Grain   one row per model version and table that it read
-- Reads   lakehouse.registry.model_versions
-- Prunes  nothing: the log has one row per registered version
-- Units   times UTC; `tag` goes into FOR VERSION AS OF
-- Run     lakehouse sql run models/model_snapshots
CREATE OR REPLACE VIEW views.models.model_snapshots AS
WITH
versions AS (
    SELECT
        model_name,
        version,
        model_type,
        owner,
        is_gate_passed,
        gate_verdict,
        table_names,
        tags,
        snapshot_ids,
        mlflow_run_id,
        registered_at,
        ROW_NUMBER() OVER (PARTITION BY model_name, version ORDER BY registered_at DESC) AS copy
    FROM lakehouse.registry.model_versions
)

SELECT
    versions.model_name,
    versions.version,
    versions.model_type,
    versions.owner,
    seen.table_name,
    versions.tags[seen.position] AS tag,
    versions.snapshot_ids[seen.position] AS snapshot_id,
    versions.is_gate_passed,
    versions.gate_verdict,
    versions.mlflow_run_id,
    versions.registered_at
FROM versions
CROSS JOIN UNNEST(versions.table_names) WITH ORDINALITY AS seen (table_name, position)
WHERE versions.copy = 1
