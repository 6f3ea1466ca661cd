"""A cluster instead of threads: a standalone master, two workers with folders of their own, the same command lines."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import sysconfig
import time
import urllib.request
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from lakehouse.tables.finance import BRONZE_FILES, BRONZE_TRADES, SILVER_TRADES, SILVER_TRADES_REJECTED
from spark_jobs.finance import bronze_trades, silver_trades

ROOT = Path(__file__).parents[2]
JOBS = ROOT / "spark_jobs" / "finance"
BIN = Path(sysconfig.get_path("scripts"))
DAY = date(2024, 8, 8)
TABLES = (BRONZE_TRADES, BRONZE_FILES, SILVER_TRADES, SILVER_TRADES_REJECTED)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def environment(**variables):
    """This process's environment without what would lead a child elsewhere."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("LAKEHOUSE_", "PYSPARK_", "SPARK_"))
    }
    return kept | {"SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": sys.executable} | variables


def workers_of(web_port):
    """How many workers the master knows."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{web_port}/json/", timeout=5) as answer:
            return answer.read().decode().count('"state" : "ALIVE"')
    except OSError:
        return 0


@pytest.fixture(scope="module")
def master(tmp_path_factory):
    """The URL of a master with two workers of one core each."""
    folder = tmp_path_factory.mktemp("cluster")
    port, web_port = free_port(), free_port()
    url = f"spark://127.0.0.1:{port}"
    host = ["--host", "127.0.0.1"]
    commands = [["org.apache.spark.deploy.master.Master", *host, "--port", str(port), "--webui-port", str(web_port)]]
    for name in ("one", "two"):
        work = ["--work-dir", str(folder / name), "--cores", "1", "--memory", "1g", "--webui-port", "0"]
        commands.append(["org.apache.spark.deploy.worker.Worker", *host, *work, url])
    processes = []
    try:
        for number, command in enumerate(commands):
            log = (folder / f"{number}.log").open("w")
            processes.append(
                subprocess.Popen(
                    [BIN / "spark-class", *command],
                    env=environment(SPARK_DAEMON_MEMORY="256m"),
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            )
            while number == 0 and workers_of(web_port) == 0 and not listens(port):
                assert processes[0].poll() is None, (folder / "0.log").read_text()
                time.sleep(0.2)
        for _ in range(300):
            if workers_of(web_port) == 2:
                break
            time.sleep(0.2)
        assert workers_of(web_port) == 2, "\n".join(log.read_text()[-2000:] for log in folder.glob("*.log"))
        yield url, folder
    finally:
        for process in processes:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


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


def test_jobs_on_a_cluster_make_the_same_tables(master, make_lake, binance_zip):
    url, folder = master
    local, cluster = make_lake("local"), make_lake("cluster")
    for number in range(3):
        day = DAY + timedelta(days=number)
        noon = datetime(day.year, day.month, day.day, 12)
        for symbol in ("BTCUSDT", "ETHUSDT"):
            lines = [(n, f"10{n % 7}.5", "0.25", noon + timedelta(seconds=n)) for n in range(1, 200)]
            binance_zip(cluster.landing, symbol, day, [*lines, lines[-1], "nonsense"])
    for job in (bronze_trades.JOB, silver_trades.JOB):
        assert local.run(job, landing=cluster.landing).exit_code == 0
    published = "published 2024-08-08..2024-08-10"
    assert submit(url, cluster, "bronze_trades") == f"finance.bronze_trades: {published}; 6 files read"
    assert submit(url, cluster, "silver_trades") == f"finance.silver_trades: {published}"
    assert {table.identifier: cluster.digest(table) for table in TABLES} == {
        table.identifier: local.digest(table) for table in TABLES
    }
    for name in ("one", "two"):  # both took part
        assert list((folder / name).glob("app-*/*/stderr")), name
