"""Airflow for tests: a home of its own for those that only read Dags, and a real one, started once, for the others."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests

from lakehouse.services import airflow, processes
from lakehouse.settings import Settings, read_settings

# Airflow reads these when it is first imported
_home = tempfile.mkdtemp(prefix="airflow-of-tests-")
os.environ["AIRFLOW_HOME"] = _home
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = f"sqlite:///{_home}/airflow.db"

CANARY = "canary-7f3a-secret"
"""Given to the services as a password; it must turn up nowhere."""
WAIT_S = 1500
"""A run takes a minute on two idle cores; other work on the machine can make that many times longer."""
Condition = Callable[[dict[str, str]], bool]


class Webhook(BaseHTTPRequestHandler):
    """Takes what is posted."""

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.messages.append((self.path, json.loads(content)))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: object) -> None: ...


@contextmanager
def serve_webhook() -> Iterator[tuple[str, list[tuple[str, dict[str, Any]]]]]:
    """Serve a webhook that listens; gives its connection, as Airflow reads it, and what was posted to it."""
    server = HTTPServer(("127.0.0.1", 0), Webhook)
    server.messages = []
    address = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield json.dumps({"conn_type": "slackwebhook", "host": address, "password": "T0/B0/xyz"}), server.messages
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def slack(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, dict[str, Any]]]]:
    """What is posted to the webhook of the connection for notices."""
    with serve_webhook() as (connection, messages):
        monkeypatch.setenv("AIRFLOW_CONN_LAKEHOUSE_SLACK", connection)
        yield messages


@dataclass
class Orchestra:
    """The services of `lakehouse up` in a folder of their own, and Airflow's REST interface."""

    settings: Settings
    variables: dict[str, str]
    session: requests.Session = field(default_factory=requests.Session)
    address: str = ""
    canary: str = CANARY
    notices: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """What was posted to the webhook."""

    def lakehouse(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the command line as a user would."""
        command = [sys.executable, "-m", "lakehouse", *arguments]
        return subprocess.run(command, env=self.variables, check=False, capture_output=True, text=True, timeout=WAIT_S)

    def up(self) -> str:
        """Start what does not run, log in, and return what was printed."""
        done = self.lakehouse("up")
        assert done.returncode == 0, done.stderr
        self.address = f"http://127.0.0.1:{processes.read_state(self.settings)['api-server'].port}"
        login = {"username": airflow.USER, "password": airflow.read_password(self.settings)}
        answer = requests.post(f"{self.address}/auth/token", json=login, timeout=30)
        answer.raise_for_status()
        self.session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        return done.stdout

    def ask(self, path: str, **parameters: Any) -> dict[str, Any]:
        """Read something from the REST interface."""
        answer = self.session.get(f"{self.address}/api/v2/{path}", params=parameters, timeout=60)
        answer.raise_for_status()
        return answer.json()

    def wait_for_dag(self, dag: str) -> None:
        """Wait until a Dag has been read."""
        deadline = time.monotonic() + WAIT_S
        while self.session.get(f"{self.address}/api/v2/dags/{dag}", timeout=60).status_code != 200:
            assert time.monotonic() < deadline, self.ask("importErrors")
            time.sleep(1)

    def trigger(self, dag: str, **conf: Any) -> str:
        """Trigger a Dag and return the run's id."""
        self.wait_for_dag(dag)
        body = {"logical_date": None, "conf": conf}
        answer = self.session.post(f"{self.address}/api/v2/dags/{dag}/dagRuns", json=body, timeout=60)
        assert answer.ok, answer.text
        return answer.json()["dag_run_id"]

    def tasks(self, dag: str, run: str) -> dict[str, dict[str, Any]]:
        """Return the tasks of a run by name."""
        found = self.ask(f"dags/{dag}/dagRuns/{run}/taskInstances", limit=100)["task_instances"]
        return {task["task_id"]: task for task in found}

    def states(self, dag: str, run: str) -> dict[str, str]:
        """Return the state of every task of a run."""
        return {name: task["state"] for name, task in self.tasks(dag, run).items()}

    def wait(self, dag: str, run: str) -> str:
        """Wait until a run is over and return how it ended."""
        deadline = time.monotonic() + WAIT_S
        while (state := self.ask(f"dags/{dag}/dagRuns/{run}")["state"]) not in ("success", "failed"):
            assert time.monotonic() < deadline, self.states(dag, run)
            time.sleep(1)
        return state

    def wait_until(self, dag: str, run: str, condition: Condition) -> None:
        """Wait until the states of a run's tasks are as wanted."""
        deadline = time.monotonic() + WAIT_S
        while not condition(states := self.states(dag, run)):
            assert time.monotonic() < deadline, states
            time.sleep(0.5)

    def log(self, dag: str, run: str, task: str, attempt: int = 1) -> str:
        """Return the log of a task as its page shows it."""
        found = self.ask(f"dags/{dag}/dagRuns/{run}/taskInstances/{task}/logs/{attempt}")
        return "\n".join(json.dumps(line) for line in found["content"])

    def result(self, dag: str, run: str, task: str) -> dict[str, Any]:
        """Return what a task handed on."""
        return self.ask(f"dags/{dag}/dagRuns/{run}/taskInstances/{task}/xcomEntries/return_value")["value"]


@pytest.fixture(scope="session")
def orchestra(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orchestra]:
    """The services, really started, over real files; Dags run when they are triggered, retries come at once."""
    home = tmp_path_factory.mktemp("orchestra")
    landing = home / "landing"
    shutil.copytree(real_data / "ticks" / "binance" / "XRPETH", landing / "ticks" / "XRPETH")
    meter = landing / "meters" / "household_power_consumption.txt"
    meter.parent.mkdir()
    # The first four days of the month: enough for every table, too little to train on
    source = real_data / "household_power" / "uci-month" / "household_power_consumption.txt"
    meter.write_text("".join(source.read_text().splitlines(keepends=True)[:5000]))
    values = {
        "LAKEHOUSE_HOME": str(home),
        "LAKEHOUSE_SPARK_MASTER": "local[1]",
        "LAKEHOUSE_DRIVER_MEMORY": "1g",
        "LAKEHOUSE_SHUFFLE_PARTITIONS": "2",
        "LAKEHOUSE_RETRY_DELAY_SECONDS": "1",
        "LAKEHOUSE_FINANCE_SCHEDULE": "manual",
        "LAKEHOUSE_FORECAST_SCHEDULE": "manual",
        "LAKEHOUSE_MAINTENANCE_SCHEDULE": "manual",
        "LAKEHOUSE_DEADLINE_MINUTES": "1",
        "LAKEHOUSE_AIRFLOW_PORT": str(processes.choose_port(0)),
        "LAKEHOUSE_S3_SECRET_ACCESS_KEY": CANARY,
    }
    outer = {name: value for name, value in os.environ.items() if not name.startswith(("LAKEHOUSE_", "AIRFLOW"))}
    with serve_webhook() as (connection, messages):
        variables = outer | values | {"AIRFLOW_CONN_LAKEHOUSE_SLACK": connection}
        found = Orchestra(read_settings(values), variables, notices=messages)
        try:
            found.up()
            yield found
        finally:
            found.lakehouse("down")


class Browser:
    """Chromium without a window, driven through its own debugging protocol."""

    def __init__(self, folder: Path) -> None:
        from websockets.sync.client import connect

        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
        flags += ["--remote-debugging-port=0", f"--user-data-dir={folder}", "--window-size=1400,1000", "about:blank"]
        program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
        assert program is not None
        self.process = subprocess.Popen([program, *flags], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        ready, deadline = folder / "DevToolsActivePort", time.monotonic() + 120
        while not ready.is_file() or not ready.read_text().strip():
            assert time.monotonic() < deadline, "Chromium does not answer"
            time.sleep(0.2)
        port = ready.read_text().splitlines()[0]
        pages = requests.get(f"http://127.0.0.1:{port}/json", timeout=30).json()
        target = next(page for page in pages if page["type"] == "page")
        self.socket = connect(target["webSocketDebuggerUrl"], max_size=None)
        self.number = 0

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol and return its result."""
        self.number += 1
        self.socket.send(json.dumps({"id": self.number, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self.socket.recv(timeout=120))
            if answer.get("id") == self.number:
                return answer["result"]

    def text(self) -> str:
        """Return the text that the page shows."""
        found = self.call("Runtime.evaluate", expression="document.body.innerText")
        return str(found["result"].get("value", ""))

    def screenshot(self, path: Path) -> None:
        """Keep what the page looks like."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))

    def close(self) -> None:
        """End the browser."""
        self.socket.close()
        self.process.terminate()
        self.process.wait(30)


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    """A browser; tests that need one skip where there is none."""
    if not any(shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome")):
        pytest.skip("no Chromium is installed: no page to look at")
    found = Browser(tmp_path / "browser")
    yield found
    found.close()
