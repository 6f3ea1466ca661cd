"""How each running service is: asked over its own port, told while a person waits."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

import requests

from lakehouse.config.settings import Settings
from lakehouse.errors import LakehouseError, UnavailableError
from lakehouse.services import postgres, processes, s3, trino

Say = Callable[[str], None]

READY_WITHIN_S = 600.0
"""On two idle cores all answer after half a minute; other work on the machine can make that several times longer."""
PARTS = {"scheduler": "scheduler", "dag-processor": "dag_processor", "triggerer": "triggerer"}
"""Services that Airflow's health page reports, by the name it gives them."""


class StartFailedError(LakehouseError):
    """A service ended before it answered."""


@dataclass(frozen=True)
class State:
    """How one service is, in words."""

    name: str
    pid: int
    port: int
    health: str
    log: str

    @property
    def is_healthy(self) -> bool:
        """True where it runs and says that it is well."""
        return self.health == "healthy"


def wait_until_healthy(settings: Settings, say: Say, names: Collection[str] = ()) -> list[State]:
    """Ask until the named services, or all, are healthy, saying each that has become so.

    Raises:
        StartFailedError: one has ended.
        UnavailableError: some are not healthy in time.
    """
    deadline, told = time.monotonic() + READY_WITHIN_S, set()
    while True:
        states = [state for state in look(settings) if not names or state.name in names]
        for state in states:
            if state.is_healthy and state.name not in told:
                told.add(state.name)
                say(f"{state.name}: healthy")
            if state.health == "not running":
                raise StartFailedError(f"{state.name} ended; its last lines are in {state.log}")
        waiting = [state.name for state in states if not state.is_healthy]
        if not waiting:
            return states
        if time.monotonic() > deadline:
            late = f"{', '.join(waiting)}: not healthy after {READY_WITHIN_S:.0f} s"
            raise UnavailableError(f"{late}; logs: {settings.logs}; `lakehouse status` looks again")
        time.sleep(1 if not names else 0.2)


def look(settings: Settings) -> list[State]:
    """Return how every service is; without services, nothing."""
    running = processes.read_state(settings)
    ports = {each.name: each.port for each in running.values()}
    parts = airflow_health(ports["api-server"]) if "api-server" in ports else {}
    states = []
    for name, each in running.items():
        if each.process() is None:
            health = "not running"
        elif name in PARTS:
            health = parts.get(PARTS[name], "starting")
        else:
            health = "healthy" if answers(settings, name, each.port) else "starting"
        states.append(State(name, each.pid, each.port, health, each.log))
    return states


def airflow_health(port: int) -> dict[str, str]:
    """Return what Airflow's health page says of its parts; nothing where it does not answer."""
    try:
        answer = requests.get(f"http://127.0.0.1:{port}/api/v2/monitor/health", timeout=5)
        parts = answer.json() if answer.ok else {}
    except (requests.RequestException, ValueError):
        return {}
    return {name: part.get("status") or "starting" for name, part in parts.items() if isinstance(part, dict)}


def answers(settings: Settings, name: str, port: int) -> bool:
    """Say whether a service takes what it is there for."""
    if name == "postgres":
        return postgres.is_ready(settings, port)
    if name == "s3":
        return s3.is_ready(port)
    if name == "trino":
        return trino.is_ready(settings, port)
    page = {"api-server": "/api/v2/monitor/health", "mlflow": "/health"}.get(name, "/")
    try:
        return requests.get(f"http://127.0.0.1:{port}{page}", timeout=5).ok
    except requests.RequestException:
        return False
