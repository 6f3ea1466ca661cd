-- Every rule that has ever failed: how often, and what its last failure was.
--
-- Grain   one row per table and rule with a failure
-- Reads   lakehouse.quality.check_results
-- Prunes  nothing: a rule's history is the whole log, which has one small row per rule and audit
-- Units   counts of audits and rows, times UTC
-- Run     lakehouse sql run quality/failed_rules
CREATE OR REPLACE VIEW views.quality.failed_rules AS
WITH
results AS (
    SELECT
        run_id,
        table_name,
        rule,
        severity,
        is_passed,
        observed,
        threshold,
        rows_evaluated,
        rows_failed,
        checked_at,
        ROW_NUMBER() OVER (PARTITION BY run_id, table_name, rule ORDER BY checked_at DESC) AS copy
    FROM lakehouse.quality.check_results
),

rules AS (
    SELECT
        table_name,
        rule,
        COUNT(*) AS audit_count,
        COUNT(*) FILTER (WHERE NOT is_passed) AS failed_audit_count,
        MAX(checked_at) AS last_checked_at,
        MAX_BY(is_passed, checked_at) AS is_passed_last,
        MAX(checked_at) FILTER (WHERE NOT is_passed) AS last_failed_at,
        MAX_BY(severity, checked_at) FILTER (WHERE NOT is_passed) AS severity,
        MAX_BY(observed, checked_at) FILTER (WHERE NOT is_passed) AS observed,
        MAX_BY(threshold, checked_at) FILTER (WHERE NOT is_passed) AS threshold,
        MAX_BY(rows_evaluated, checked_at) FILTER (WHERE NOT is_passed) AS rows_evaluated,
        MAX_BY(rows_failed, checked_at) FILTER (WHERE NOT is_passed) AS rows_failed
    FROM results
    WHERE copy = 1
    GROUP BY table_name, rule
)

SELECT
    table_name,
    rule,
    severity,
    audit_count,
    failed_audit_count,
    is_passed_last,
    last_checked_at,
    last_failed_at,
    observed,
    threshold,
    rows_evaluated,
    rows_failed
FROM rules
WHERE failed_audit_count > 0
