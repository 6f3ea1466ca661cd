"""The Spark session: the catalog `lakehouse`, UTC, and the settings that make whole-day jobs short.

Class path, Python and driver memory are the set-up's (pyspark/conf): they are fixed before any line of a job runs.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from threading import Thread

from pyspark import SparkConf, SparkContext
from pyspark.sql import SparkSession

from lakehouse.config.settings import Settings
from lakehouse.tables import CATALOG


def catalog_options(settings: Settings) -> dict[str, str]:
    """Options of Iceberg's Spark catalog; table metadata is read afresh each time, since other programs commit, too."""
    options = {
        "": "org.apache.iceberg.spark.SparkCatalog",
        ".type": settings.catalog_type,
        ".cache-enabled": "false",
        **{f".{key}": value for key, value in address_options(settings).items()},
    }
    if settings.warehouse_uri.startswith("s3"):
        options[".io-impl"] = "org.apache.iceberg.aws.s3.S3FileIO"
        options[".s3.path-style-access"] = "true"
        if settings.s3_endpoint:
            options[".s3.endpoint"] = settings.s3_endpoint
        options[".client.region"] = settings.s3_region
    return {f"spark.sql.catalog.{CATALOG}{key}": value for key, value in options.items()}


def address_options(settings: Settings) -> dict[str, str]:
    """Options that say where the catalog is."""
    if settings.catalog_type == "rest":
        return settings.rest_properties()
    options = {
        "uri": settings.catalog_jdbc_uri,
        "warehouse": settings.warehouse_uri,
        "jdbc.schema-version": "V1",
    }
    if settings.has_catalog_file:
        return options | {"clients": "1"}  # SQLite takes one writer at a time
    return options | {"jdbc.user": settings.catalog_user}


def catalog_secrets(settings: Settings) -> dict[str, str]:
    """Options of the catalog that are no one's to see; where there are none, AWS's own chain finds the keys."""
    options: dict[str, str] = {}
    if settings.catalog_type == "rest":
        options |= {f".{key}": value for key, value in settings.rest_secrets().items()}
    elif settings.profile == "stack":
        options[".jdbc.password"] = settings.catalog_password.get_secret_value()
    if settings.warehouse_uri.startswith("s3"):
        keys = ("s3.access-key-id", "s3.secret-access-key")
        options |= {f".{key}": value for key, value in settings.s3_properties().items() if key in keys}
    return {f"spark.sql.catalog.{CATALOG}{key}": value for key, value in options.items()}


def connect_catalog(session: SparkSession, settings: Settings) -> None:
    """Let a running session know the catalog with its secrets.

    They are set once it runs: what a session is built with is on the command line of the JVM that Python starts, and in
    the configuration that Spark's pages show. A catalog is opened when it is first used.
    """
    for key, value in (catalog_options(settings) | catalog_secrets(settings)).items():
        session.conf.set(key, value)


def session_options(settings: Settings) -> dict[str, str]:
    """Everything that a job's session is built with."""
    return {
        "spark.sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
        "spark.sql.defaultCatalog": CATALOG,
        "spark.sql.catalogImplementation": "in-memory",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": str(settings.shuffle_partitions),
        # A frame laid out by day needs no shuffle for a window within the day.
        "spark.sql.requireAllClusterKeysForDistribution": "false",
        "spark.sql.execution.arrow.pyspark.enabled": "true",
        "spark.sql.execution.arrow.maxRecordsPerBatch": "65536",
        "spark.redaction.regex": "(?i)secret|password|passwd|token|credential|access[.-]?key",
        "spark.executorEnv.POLARS_MAX_THREADS": "1",  # a task is one core
        "spark.executorEnv.OPENBLAS_NUM_THREADS": "1",  # NumPy's: more threads doubled the CPU seconds of correlations
        "spark.python.daemon.module": "spark_jobs.engine.worker_daemon",
        **catalog_options(settings),
    }


def submitted_master() -> str | None:
    """Return the master that spark-submit runs this process for; only its JVM knows, so that is connected first."""
    SparkContext._ensure_initialized()
    master: str | None = SparkConf().get("spark.master")
    return master


def build_session(name: str, settings: Settings) -> SparkSession:
    """Start or join the session; a master given to spark-submit wins over the settings'."""
    options = {"spark.app.name": name, **session_options(settings)}
    master = submitted_master() if "PYSPARK_GATEWAY_PORT" in os.environ else None
    if master is None:  # not under spark-submit, so nobody has named a master
        master = settings.spark_master
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        options |= {"spark.master": master, "spark.driver.memory": settings.driver_memory}
    if master.startswith("local"):  # nothing but this process needs to reach the driver
        options |= {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
    start_workers(SparkContext.getOrCreate(SparkConf().setAll(list(options.items()))))
    session = SparkSession.builder.config(map=options).getOrCreate()
    connect_catalog(session, settings)
    session.sparkContext.setLogLevel("FATAL")  # a failure is told once, by the job, in one line
    return session


def start_workers(context: SparkContext) -> None:
    """Have Python workers started while the session is still being made and the job plans; nothing waits for them."""

    def start() -> None:
        with suppress(Exception):  # what is wrong with them, the first task that needs one tells
            cores = context.defaultParallelism
            context.parallelize(range(cores), cores).foreach(bool)

    Thread(target=start, name="start-workers", daemon=True).start()
