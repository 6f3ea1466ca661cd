"""A tiny session that touches what every job touches: set-up runs it once, for the JVM's archive of loaded classes.

Usage: LAKEHOUSE_HOME=<empty folder> spark-submit spark_jobs/engine/warm_up.py
"""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.window import Window

from lakehouse.config.settings import settings
from spark_jobs.engine.session import build_session

DAY = "DATE '2024-08-08'"


def pass_through(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Send rows through Python once."""
    yield from batches


def some_rows(spark: SparkSession) -> DataFrame:
    """Build rows of the types that the tables have."""
    rows = spark.range(100).select(
        "id",
        F.expr(DAY).alias("event_date"),
        F.timestamp_micros(F.col("id") * 1_000_000).alias("ts_event"),
        F.expr("try_cast('1.5' AS DECIMAL(18,8))").alias("price"),
        F.concat(F.lit("n"), F.col("id") % 7).alias("name"),
    )
    return rows.mapInArrow(pass_through, rows.schema)


def main() -> None:
    """Replace a day of a table on a branch, publish it, and read it back."""
    spark = build_session("warm up", settings())
    spark.sql("CREATE NAMESPACE gold")
    columns = "id BIGINT, event_date DATE, ts_event TIMESTAMP, price DECIMAL(18,8), name STRING"
    spark.sql(f"CREATE TABLE gold.warm_up ({columns}) USING iceberg PARTITIONED BY (event_date)")
    spark.sql("ALTER TABLE gold.warm_up CREATE BRANCH audit")
    staged = some_rows(spark).writeTo("gold.warm_up.branch_audit").option("snapshot-property.run-key", "1")
    staged.overwrite(F.col("event_date") == F.expr(DAY))
    spark.sql("CALL lakehouse.system.fast_forward('gold.warm_up', 'main', 'audit')").collect()
    spark.sql("ALTER TABLE gold.warm_up DROP BRANCH audit")
    trades = spark.table("gold.warm_up").withColumn(
        "previous", F.lag("price").over(Window.partitionBy("name").orderBy("ts_event"))
    )
    bars = trades.groupBy("name").agg(F.sum("price"), F.max_by("price", "ts_event"), F.count("*"))
    bars.join(trades.select("name", "previous"), "name").orderBy("name").collect()
    spark.stop()


if __name__ == "__main__":
    main()
