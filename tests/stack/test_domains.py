"""Each domain through Airflow with landing files and tables on S3: the same job files make the rows of embedded."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.compute as pc
import pytest

from lakehouse.lake.catalog import load, read_log
from lakehouse.tables import TABLES
from lakehouse.tables.energy import GOLD_LOAD_HOURLY, SILVER_POWER_READINGS
from lakehouse.tables.finance import BRONZE_TRADES, SILVER_QUOTES, SILVER_TRADES
from lakehouse.tables.logs import RUNS
from lakehouse.tables.vision import SILVER_IMAGES, gold_images

OF_MODELS = ("gold.load_forecasts", "gold.tick_predictions", "gold.image_predictions")
"""Written by models, not by jobs: that a model trained again is the same is a test of its own."""
DIGITS = gold_images("digits")
NOT_DELIVERED = ("gold.mnist_images", "gold.cifar10_images")
GOLD = [table for table in TABLES if table.layer == "gold" and table.identifier not in OF_MODELS + NOT_DELIVERED]
COMPARED = (BRONZE_TRADES, SILVER_TRADES, SILVER_QUOTES, SILVER_POWER_READINGS, SILVER_IMAGES, *GOLD)


@pytest.fixture(scope="session")
def lake(filled, lakes, spark, tmp_path_factory):
    """The stack's tables as a Spark session of profile stack sees them."""
    home = str(filled.settings.home)
    return lakes(spark, tmp_path_factory.mktemp("stack"), "stack", home=home, profile="stack")


def test_tables_have_the_digests_of_the_embedded_profile(lake, embedded):
    digests = {table.identifier: lake.digest(table) for table in COMPARED}
    assert digests == {table.identifier: embedded.digest(table) for table in COMPARED}
    assert [table.identifier for table in COMPARED if not lake.rows(table)] == []  # two empty ones would be equal, too
    assert lake.rows(DIGITS).num_rows == 1797
    assert pc.max(lake.rows(GOLD_LOAD_HOURLY)["event_date"]).as_py().isoformat() == "2026-01-09"


def test_every_line_of_the_exchanges_file_is_a_row(lake, real_data):
    files = lake.rows(BRONZE_TRADES)["_source_file"].to_pylist()
    assert sum("XRPETH-trades-2019-10-11" in name for name in files) == 5929


def test_every_file_of_every_table_lies_in_the_bucket(lake):
    for table in COMPARED:
        iceberg = load(lake.settings, table)
        paths = [iceberg.metadata_location, *(task.file.file_path for task in iceberg.scan().plan_files())]
        assert {path.partition("/warehouse/")[0] for path in paths} == {"s3://lake"}


def test_runs_are_recorded_with_the_dag_that_called_them(stack, through_airflow, filled):
    rows = read_log(stack.settings, RUNS).to_pylist()
    called = [row["run_by"].partition(" for ")[2] for row in rows if row["job"] == "finance.silver_trades"]
    (caller,) = [text.partition(", ")[0] for text in called]
    assert caller == f"finance_tick.silver {through_airflow['finance_tick']} try 1"
    assert {row["outcome"] for row in rows} <= {"published", "done already"}


def test_cli_asks_the_stack(filled):
    asked = filled.run("query", "SELECT count(*) AS n FROM gold.digits_images", "--format", "json")
    assert json.loads(asked) == [{"n": 1797}]
    assert "silver.trades" in filled.run("tables")
    assert Path(filled.run("report").split()[-1]).is_file()


def test_model_is_trained_promoted_and_reproduced_through_mlflows_server(filled, trained):
    models = filled.run("models")
    assert trained in models
    assert "champion" in models
    assert "no difference" in filled.run("reproduce", trained, "1")
    forecasts = "SELECT DISTINCT event_date AS d FROM gold.load_forecasts ORDER BY d"
    days = [row["d"] for row in json.loads(filled.run("query", forecasts, "--format", "json"))]
    assert (days[0], days[-1]) == ("2026-01-01", "2026-01-07")


def test_iceberg_reads_and_writes_through_spark_what_arrow_reads(lake):
    """S3FileIO of Iceberg in the JVM: put, read, delete, and a file larger than one part."""
    from pyiceberg.exceptions import NoSuchTableError

    from lakehouse.lake.connection import open_catalog

    lake.spark.sql("CREATE NAMESPACE IF NOT EXISTS lakehouse.contract")
    lake.spark.sql("CREATE TABLE lakehouse.contract.t (id BIGINT, noise BINARY) USING iceberg")
    rows = "SELECT id, unhex(concat(sha2(cast(id AS STRING), 512), sha2(cast(-id AS STRING), 512))) AS noise"
    lake.spark.sql(f"INSERT INTO lakehouse.contract.t {rows} FROM range(0, 100000, 1, 1)")  # 13 MB that don't compress
    lake.spark.sql("DELETE FROM lakehouse.contract.t WHERE id % 2 = 1")
    catalog = open_catalog(lake.settings)
    seen = catalog.load_table("contract.t").scan().to_arrow()
    (size,) = lake.spark.sql("SELECT max(file_size_in_bytes) FROM lakehouse.contract.t.all_data_files").first()
    assert size > 8 * 1024**2
    assert sorted(seen.column("id").to_pylist()) == list(range(0, 100000, 2))
    lake.spark.sql("DROP TABLE lakehouse.contract.t PURGE")
    with pytest.raises(NoSuchTableError):
        catalog.load_table("contract.t")
