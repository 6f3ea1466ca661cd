"""What a Spark session is built with: everything but the secrets, which it is told once it runs."""

from __future__ import annotations

import subprocess
import sys

import psutil

from lakehouse.config.settings import read_settings
from spark_jobs.engine.session import catalog_secrets, session_options

STACK = {
    "LAKEHOUSE_PROFILE": "stack",
    "LAKEHOUSE_WAREHOUSE": "s3://lake/warehouse",
    "LAKEHOUSE_CATALOG_PASSWORD": "p@ss/word",
    "LAKEHOUSE_S3_ENDPOINT": "http://127.0.0.1:9000",
    "LAKEHOUSE_S3_ACCESS_KEY_ID": "jobs-key",
    "LAKEHOUSE_S3_SECRET_ACCESS_KEY": "hidden-key",
}


def test_options_of_a_session_hold_no_secret():
    settings = read_settings(STACK)
    text = str(session_options(settings))
    assert not [secret for secret in ("p@ss/word", "jobs-key", "hidden-key") if secret in text]
    assert catalog_secrets(settings) == {
        "spark.sql.catalog.lakehouse.jdbc.password": "p@ss/word",
        "spark.sql.catalog.lakehouse.s3.access-key-id": "jobs-key",
        "spark.sql.catalog.lakehouse.s3.secret-access-key": "hidden-key",
    }


def test_catalog_of_the_stack_is_postgres_over_s3():
    options = session_options(read_settings(STACK))
    catalog = "spark.sql.catalog.lakehouse"
    assert {name.removeprefix(catalog): value for name, value in options.items() if name.startswith(catalog)} == {
        "": "org.apache.iceberg.spark.SparkCatalog",
        ".type": "jdbc",
        ".uri": "jdbc:postgresql://127.0.0.1:5432/iceberg",
        ".warehouse": "s3://lake/warehouse",
        ".jdbc.schema-version": "V1",
        ".jdbc.user": "iceberg",
        ".cache-enabled": "false",
        ".io-impl": "org.apache.iceberg.aws.s3.S3FileIO",
        ".s3.path-style-access": "true",
        ".s3.endpoint": "http://127.0.0.1:9000",
        ".client.region": "us-east-1",
    }


def test_catalog_may_be_a_rest_servers():
    rest = {name: value for name, value in STACK.items() if name != "LAKEHOUSE_CATALOG_PASSWORD"} | {
        "LAKEHOUSE_CATALOG_TYPE": "rest",
        "LAKEHOUSE_CATALOG_URI": "https://host/catalog/",
        "LAKEHOUSE_CATALOG_TOKEN": "bearer",
    }
    options = session_options(read_settings(rest))
    catalog = "spark.sql.catalog.lakehouse"
    assert {name.removeprefix(catalog): value for name, value in options.items() if name.startswith(catalog)} == {
        "": "org.apache.iceberg.spark.SparkCatalog",
        ".type": "rest",
        ".uri": "https://host/catalog",
        ".cache-enabled": "false",
        ".io-impl": "org.apache.iceberg.aws.s3.S3FileIO",
        ".s3.path-style-access": "true",
        ".s3.endpoint": "http://127.0.0.1:9000",
        ".client.region": "us-east-1",
    }
    assert catalog_secrets(read_settings(rest)) == {
        "spark.sql.catalog.lakehouse.token": "bearer",
        "spark.sql.catalog.lakehouse.s3.access-key-id": "jobs-key",
        "spark.sql.catalog.lakehouse.s3.secret-access-key": "hidden-key",
    }


def test_where_no_keys_are_given_the_stores_own_chain_finds_them():
    without = {name: value for name, value in STACK.items() if not name.startswith("LAKEHOUSE_S3")}
    assert catalog_secrets(read_settings(without)) == {"spark.sql.catalog.lakehouse.jdbc.password": "p@ss/word"}


def test_embedded_session_has_no_secret_to_be_told():
    assert catalog_secrets(read_settings({})) == {}


def test_workers_are_forked_from_the_process_that_has_loaded_what_tasks_need(spark):
    def parents(_):
        return [psutil.Process().parent().cmdline()]

    (command,) = spark.sparkContext.parallelize([0], 1).mapPartitions(parents).collect()
    assert "spark_jobs.engine.worker_daemon" in command


def test_that_process_has_no_thread_pool_of_polars_to_fork():
    loaded = (
        "import sys, spark_jobs.engine.worker_daemon; print(*(name in sys.modules for name in ('pyiceberg', 'polars')))"
    )
    done = subprocess.run([sys.executable, "-c", loaded], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["True", "False"]
