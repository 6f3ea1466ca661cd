"""Counts of records per file, as the balance of records in and rows out needs them."""

from __future__ import annotations

from pyspark.sql import DataFrame

from spark_jobs.layers.silver import Counts


def count_records(records: DataFrame) -> Counts:
    """Count records by file; a set has no event day, which is the first part of the balance's key."""
    counted = records.groupBy("_source_sha256").count().collect()
    return {(None, row["_source_sha256"]): row["count"] for row in counted}
