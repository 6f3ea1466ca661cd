"""A standalone Spark cluster on this machine: a master and workers, processes with folders of their own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import sysconfig
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

BIN = Path(sysconfig.get_path("scripts"))


@dataclass(frozen=True)
class Cluster:
    """A master's URL, the folder of its workers' folders, and the workers by name."""

    url: str
    folder: Path
    workers: dict[str, subprocess.Popen]

    def took_part(self, name: str) -> bool:
        """Say whether an executor ran in a worker's folder."""
        return any((self.folder / name).glob("app-*/*/stderr"))

    def kill(self, name: str) -> None:
        """Kill a worker without warning, with the executors that it started."""
        os.killpg(self.workers[name].pid, signal.SIGKILL)
        self.workers[name].wait()


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


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def standalone(folder: Path, names: tuple[str, ...] = ("one", "two")) -> Iterator[Cluster]:
    """Start a master and workers of one core each; end them all."""
    port, web_port = free_port(), free_port()
    url = f"spark://127.0.0.1:{port}"
    host = ["--host", "127.0.0.1"]
    master = ["org.apache.spark.deploy.master.Master", *host, "--port", str(port), "--webui-port", str(web_port)]
    processes: dict[str, subprocess.Popen] = {}
    try:
        processes["master"] = start(folder, "master", master)
        wait_for(lambda: listens(port), folder)
        for name in names:
            work = ["--work-dir", str(folder / name), "--cores", "1", "--memory", "1g", "--webui-port", "0"]
            processes[name] = start(folder, name, ["org.apache.spark.deploy.worker.Worker", *host, *work, url])
        wait_for(lambda: workers_of(web_port) == len(names), folder)
        yield Cluster(url, folder, {name: processes[name] for name in names})
    finally:
        for process in processes.values():
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def start(folder, name, command):
    """Start one of Spark's daemons in a process group of its own."""
    with (folder / f"{name}.log").open("w") as log:
        return subprocess.Popen(
            [BIN / "spark-class", *command],
            env=environment(SPARK_DAEMON_MEMORY="256m"),
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def wait_for(condition, folder):
    """Wait until something holds, for a minute on a machine at rest."""
    deadline = time.monotonic() + 300
    while not condition():
        logs = "\n".join(log.read_text()[-2000:] for log in folder.glob("*.log"))
        assert time.monotonic() < deadline, logs
        time.sleep(0.2)
