-- The champion of each model: which version, since when, who decided and why.
--
-- Grain   one row per model that has, or had, a champion
-- Reads   lakehouse.registry.promotions
-- Prunes  nothing: the log has two rows per decision
-- Units   times UTC
-- Run     lakehouse sql run models/champions
CREATE OR REPLACE VIEW views.models.champions AS
WITH
decisions AS (
    SELECT
        promotion_id,
        model_name,
        version,
        previous_version,
        action,
        decided_by,
        promoted_by,
        reason,
        is_applied,
        decided_at,
        recorded_at,
        ROW_NUMBER() OVER (PARTITION BY promotion_id ORDER BY recorded_at DESC) AS copy
    FROM lakehouse.registry.promotions
),

ranked AS (
    SELECT
        model_name,
        version,
        previous_version,
        action,
        decided_by,
        promoted_by,
        reason,
        decided_at,
        ROW_NUMBER() OVER (PARTITION BY model_name ORDER BY recorded_at DESC, promotion_id DESC) AS age
    FROM decisions
    WHERE
        copy = 1
        AND is_applied
)

SELECT
    model_name,
    version,
    previous_version,
    action,
    decided_by,
    promoted_by,
    reason,
    decided_at
FROM ranked
WHERE age = 1
