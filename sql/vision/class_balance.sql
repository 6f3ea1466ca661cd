-- How evenly the classes of each image set are filled, per split.
--
-- Grain   one row per image set, split and class, also of classes without an image
-- Reads   lakehouse.gold.image_class_counts
-- Prunes  dataset: one partition of gold.image_class_counts per image set
-- Units   counts of images, share_pct 0-100 of the split; relative_to_equal is 1 where the class has an equal share
-- Run     lakehouse sql run vision/class_balance
CREATE OR REPLACE VIEW views.vision.class_balance AS
WITH
classes AS (
    SELECT
        dataset,
        split,
        label,
        label_name,
        image_count,
        share_ratio
    FROM lakehouse.gold.image_class_counts
)

SELECT
    dataset,
    split,
    label,
    label_name,
    image_count,
    100 * share_ratio AS share_pct,
    share_ratio * COUNT(*) OVER (PARTITION BY dataset, split) AS relative_to_equal
FROM classes
