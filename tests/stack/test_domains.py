"""Each domain through Airflow with landing files and tables on S3: the same job files make the rows of embedded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lakehouse.catalog import read_log
from lakehouse.tables.energy import GOLD_LOAD_HOURLY
from lakehouse.tables.finance import (
    BRONZE_TRADES,
    GOLD_BARS_1M,
    GOLD_TICK_FEATURES,
    GOLD_VOLUME_PROFILE_1D,
    SILVER_TRADES,
)
from lakehouse.tables.logs import RUNS
from lakehouse.tables.vision import gold_images

MODEL = "generated_household_lgbm"
TABLES = (
    *(BRONZE_TRADES, SILVER_TRADES, GOLD_BARS_1M, GOLD_TICK_FEATURES, GOLD_VOLUME_PROFILE_1D),
    *(GOLD_LOAD_HOURLY, gold_images("digits")),
)


@pytest.fixture(scope="session")
def lake(stack, through_airflow, lakes, spark, tmp_path_factory):
    """The stack's tables as a Spark session of profile stack sees them."""
    home = str(stack.settings.home)
    return lakes(spark, tmp_path_factory.mktemp("stack"), "stack", home=home, profile="stack")


@pytest.fixture(scope="session")
def embedded(files, lakes, spark, tmp_path_factory):
    """The same files through the same jobs in profile embedded, in this process."""
    from spark_jobs.energy import pipeline as energy
    from spark_jobs.finance import pipeline as finance
    from spark_jobs.vision import pipeline as vision

    found = lakes(spark, tmp_path_factory.mktemp("embedded"), "embedded")
    assert finance.run_pipeline(found.request(landing=files)) == 0
    assert energy.run_pipeline(found.request(landing=files)) == 0
    assert vision.run_pipeline(found.request(["digits"], landing=files)) == 0
    return found


def test_tables_have_the_digests_of_the_embedded_profile(lake, embedded):
    assert {table.identifier: lake.digest(table) for table in TABLES} == {
        table.identifier: embedded.digest(table) for table in TABLES
    }
    assert lake.rows(BRONZE_TRADES).num_rows == 5929  # the lines of the exchange's file
    assert lake.rows(gold_images("digits")).num_rows == 1797


def test_every_file_of_every_table_lies_in_the_bucket(lake):
    from lakehouse.catalog import load

    for table in TABLES:
        iceberg = load(lake.settings, table)
        paths = [iceberg.metadata_location, *(task.file.file_path for task in iceberg.scan().plan_files())]
        assert {path.partition("/warehouse/")[0] for path in paths} == {"s3://lake"}


def test_runs_are_recorded_with_the_dag_that_called_them(stack, through_airflow):
    runs, _ = through_airflow
    rows = {row["job"]: row for row in read_log(stack.settings, RUNS).to_pylist()}
    called = rows["finance.silver_trades"]["run_by"].partition(" for ")[2]
    assert called == f"finance_tick.silver_trades {runs['finance_tick']} try 1"
    assert {row["outcome"] for row in rows.values()} <= {"published", "done already"}


def test_cli_asks_the_stack(stack, through_airflow):
    asked = stack.run("query", "SELECT count(*) AS n FROM silver.trades", "--format", "json")
    assert json.loads(asked) == [{"n": 5929}]
    assert "silver.trades" in stack.run("tables")
    assert Path(stack.run("report").split()[-1]).is_file()


def test_model_is_trained_promoted_and_reproduced_through_mlflows_server(stack, trained):
    models = stack.run("models")
    assert MODEL in models
    assert "champion" in models
    assert "no difference" in stack.run("reproduce", MODEL, "1")
    days = stack.run("query", "SELECT max(event_date) AS d FROM gold.load_hourly", "--format", "json")
    last = json.loads(days)[0]["d"]
    predicted = stack.run("predict", f"{MODEL}@champion", "--from", last, "--to", str(_day_after(last)))
    assert "gold.load_forecasts" in predicted or "published" in predicted


def _day_after(day: str):
    from datetime import date, timedelta

    return date.fromisoformat(day) + timedelta(days=1)


def test_iceberg_reads_and_writes_through_spark_what_arrow_reads(lake):
    """S3FileIO of Iceberg in the JVM: put, read, delete, and a file larger than one part."""
    from pyiceberg.exceptions import NoSuchTableError

    from lakehouse.connection import open_catalog

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
