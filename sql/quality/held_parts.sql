-- Every part that was ever held back: how often, and what its last audit found. `lakehouse report` shows which
-- are held still.
--
-- Grain   one row per table, slice and subject
-- Reads   lakehouse.quality.held_parts
-- Prunes  nothing: a part may have been held back at any time, and the log has one small row per part and run
-- Units   counts of runs, times UTC
-- Run     lakehouse sql run quality/held_parts
CREATE OR REPLACE VIEW views.quality.held_parts AS
WITH
held AS (
    SELECT
        run_id,
        table_name,
        slice,
        subject,
        rules,
        files,
        held_at,
        ROW_NUMBER() OVER (PARTITION BY run_id, table_name, slice, subject ORDER BY held_at DESC) AS copy
    FROM lakehouse.quality.held_parts
)

SELECT
    table_name,
    slice,
    subject,
    COUNT(*) AS held_count,
    MIN(held_at) AS first_held_at,
    MAX(held_at) AS last_held_at,
    MAX_BY(rules, held_at) AS rules,
    MAX_BY(files, held_at) AS files,
    MAX_BY(run_id, held_at) AS run_id
FROM held
WHERE copy = 1
GROUP BY table_name, slice, subject
