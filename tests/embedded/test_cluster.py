"""A cluster instead of threads: a standalone master, two workers with folders of their own, the same command lines."""

from __future__ import annotations

import subprocess
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
from spark_cluster import BIN, environment, standalone

from lakehouse.tables.finance import BRONZE_TRADES, SILVER_TRADES, SILVER_TRADES_REJECTED
from lakehouse.tables.manifest import BRONZE_FILES
from spark_jobs.finance import bronze_trades, silver_trades

ROOT = Path(__file__).parents[2]
JOBS = ROOT / "spark_jobs" / "finance"
DAY = date(2024, 8, 8)
TABLES = (BRONZE_TRADES, BRONZE_FILES, SILVER_TRADES, SILVER_TRADES_REJECTED)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A master with two workers of one core each."""
    with standalone(tmp_path_factory.mktemp("cluster")) as found:
        yield found


def submit(url, lake, job):
    """Run a job on the cluster as a person would."""
    jars = lake.spark.sparkContext.getConf().get("spark.driver.extraClassPath", "")
    done = subprocess.run(
        [
            *(BIN / "spark-submit", "--master", url, "--conf", f"spark.executor.extraClassPath={jars}"),
            JOBS / f"{job}.py",
            *("--from", str(DAY), "--to", str(DAY + timedelta(days=3)), "--landing", str(lake.landing)),
        ],
        env=environment(LAKEHOUSE_HOME=str(lake.settings.home), LAKEHOUSE_SHUFFLE_PARTITIONS="4"),
        check=False,
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert done.returncode == 0, (done.stdout, done.stderr[-4000:])
    return done.stdout.splitlines()[-1]  # spark-submit prints what Python writes to standard error there, too


def test_jobs_on_a_cluster_make_the_same_tables(cluster, make_lake, binance_zip):
    local, remote = make_lake("local"), make_lake("cluster")
    for number in range(3):
        day = DAY + timedelta(days=number)
        noon = datetime(day.year, day.month, day.day, 12)
        for symbol in ("BTCUSDT", "ETHUSDT"):
            lines = [(n, f"10{n % 7}.5", "0.25", noon + timedelta(seconds=n)) for n in range(1, 200)]
            binance_zip(remote.landing, symbol, day, [*lines, lines[-1], "nonsense"])
    for job in (bronze_trades.JOB, silver_trades.JOB):
        assert local.run(job, landing=remote.landing).exit_code == 0
    published = "published 2024-08-08..2024-08-10"
    assert submit(cluster.url, remote, "bronze_trades") == f"finance.bronze_trades: {published}; 6 files read"
    assert submit(cluster.url, remote, "silver_trades") == f"finance.silver_trades: {published}"
    assert {table.identifier: remote.digest(table) for table in TABLES} == {
        table.identifier: local.digest(table) for table in TABLES
    }
    for name in ("one", "two"):  # both took part
        assert cluster.took_part(name), name
