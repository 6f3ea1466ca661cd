"""The services of `lakehouse up`, really started, and Airflow's REST interface, for tests that drive them."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import requests
from webhook import Messages

from lakehouse.config.settings import Settings
from lakehouse.services import airflow, processes

CANARY = "canary-7f3a-secret"
"""Given to the services as a password; it must turn up nowhere."""
WAIT_S = 1500
"""A run takes a minute on two idle cores; other work on the machine can make that many times longer."""
Condition = Callable[[dict[str, str]], bool]


@dataclass
class Orchestra:
    """The services of `lakehouse up` in a folder of their own, and Airflow's REST interface."""

    settings: Settings
    variables: dict[str, str]
    session: requests.Session = field(default_factory=requests.Session)
    address: str = ""
    canary: str = CANARY
    notices: Messages = field(default_factory=list)
    """What was posted to the webhook for notices."""

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
