-- The last audit of each table: how many rules held, and whether it was allowed to be published.
--
-- Grain   one row per audited table
-- Reads   lakehouse.quality.check_results
-- Prunes  nothing: the last audit of a table may be of any day, and the log has one small row per rule and audit
-- Units   counts of rules, times UTC
-- Run     lakehouse sql run quality/latest_verdicts
CREATE OR REPLACE VIEW views.quality.latest_verdicts AS
WITH
results AS (
    SELECT
        run_id,
        table_name,
        rule,
        severity,
        is_passed,
        checked_at,
        ROW_NUMBER() OVER (PARTITION BY run_id, table_name, rule ORDER BY checked_at DESC) AS copy
    FROM lakehouse.quality.check_results
),

audits AS (
    SELECT
        table_name,
        run_id,
        MAX(checked_at) AS checked_at,
        COUNT(*) AS rule_count,
        COUNT(*) FILTER (WHERE NOT is_passed AND severity = 'critical') AS failed_critical_count,
        COUNT(*) FILTER (WHERE NOT is_passed AND severity = 'warning') AS failed_warning_count
    FROM results
    WHERE copy = 1
    GROUP BY table_name, run_id
),

ranked AS (
    SELECT
        table_name,
        run_id,
        checked_at,
        rule_count,
        failed_critical_count,
        failed_warning_count,
        ROW_NUMBER() OVER (PARTITION BY table_name ORDER BY checked_at DESC, run_id DESC) AS age
    FROM audits
)

SELECT
    table_name,
    CASE
        WHEN failed_critical_count > 0 THEN 'failed'
        WHEN failed_warning_count > 0 THEN 'passed with warnings'
        ELSE 'passed'
    END AS verdict,
    rule_count,
    failed_critical_count,
    failed_warning_count,
    checked_at,
    run_id
FROM ranked
WHERE age = 1
