"""Bring the services up and down and say how they are.

Airflow's database is migrated and its pools are made before anything starts; then scheduler, Dag processor, triggerer
and API server, MLflow's pages and the quality pages. What runs already is left alone, what has died is started again.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import requests

from lakehouse.errors import LakehouseError, UnavailableError
from lakehouse.services import airflow, processes
from lakehouse.settings import Settings

Say = Callable[[str], None]

READY_WITHIN_S = 180.0
"""On two idle cores all answer after half a minute; other work on the machine can make that several times longer."""
PARTS = {"scheduler": "scheduler", "dag-processor": "dag_processor", "triggerer": "triggerer"}
"""Services that Airflow's health page reports, by the name it gives them."""
QUIET_MLFLOW = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "GIT_PYTHON_REFRESH": "quiet"}


class StartFailedError(LakehouseError):
    """A service ended before it answered."""


@dataclass(frozen=True)
class Plan:
    """How one service is started and, where it has pages, on which port."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    port: int = 0


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


def plan_services(settings: Settings, ports: Mapping[str, int]) -> list[Plan]:
    """Return every service in the order of their starts."""
    own = airflow.environment(settings, ports["api-server"])
    bind = ("--host", "127.0.0.1", "--port")
    mlflow = {
        **{name: value for name, value in own.items() if not name.startswith("AIRFLOW")},
        **QUIET_MLFLOW,
        "MLFLOW_BACKEND_STORE_URI": settings.mlflow_tracking_uri,  # not an argument: it may hold a password
        "MLFLOW_DEFAULT_ARTIFACT_ROOT": settings.mlflow_artifacts_uri,
    }
    served = (sys.executable, "-m", "http.server", "--bind", "127.0.0.1", "--directory", str(settings.reports))
    return [
        Plan("api-server", ("airflow", "api-server", "--workers", "1"), own, ports["api-server"]),
        Plan("scheduler", ("airflow", "scheduler", "--skip-serve-logs"), own),
        Plan("dag-processor", ("airflow", "dag-processor"), own),
        Plan("triggerer", ("airflow", "triggerer", "--skip-serve-logs"), own),
        Plan("mlflow", ("mlflow", "server", "--workers", "1", *bind, str(ports["mlflow"])), mlflow, ports["mlflow"]),
        Plan("reports", (*served, str(ports["reports"])), mlflow, ports["reports"]),
    ]


def bring_up(settings: Settings, say: Say) -> list[State]:
    """Start what does not run and wait until everything answers.

    Raises:
        StartFailedError: a service ended; its log is named.
        UnavailableError: a service does not answer in time.
    """
    with processes.exclusive(settings):
        before = processes.read_state(settings)
        alive = {name: each for name, each in before.items() if each.process() is not None}
        ports = choose_ports(settings, alive, before)
        plans = plan_services(settings, ports)
        due = [plan for plan in plans if plan.name not in alive]
        processes.stop(settings, [plan.name for plan in due], grace_s=0)  # what a killed service left behind
        if due:
            prepare(settings, plans[0].environment, say)
        running = dict(alive)
        for plan in due:
            running[plan.name] = processes.start(settings, plan.name, resolve(plan), plan.environment, plan.port)
            processes.write_state(settings, running)
        return wait_until_healthy(settings, say)


def resolve(plan: Plan) -> tuple[str, ...]:
    """Return the command with its program's whole path, of this environment."""
    program, *arguments = plan.command
    return (program if os.sep in program else str(Path(sys.executable).parent / program), *arguments)


def choose_ports(
    settings: Settings, alive: Mapping[str, processes.Running], before: Mapping[str, processes.Running]
) -> dict[str, int]:
    """Return the ports: those in use, else those of the last time, else the settings', else free ones.

    Airflow's processes call its API server, so a restarted one has to come back where the others look for it.
    """
    wanted = {"api-server": settings.airflow_port, "mlflow": settings.mlflow_port, "reports": settings.reports_port}
    ports: dict[str, int] = {}
    for name, port in wanted.items():
        if name in alive:
            ports[name] = alive[name].port
        else:
            again = before[name].port if alive and name in before else port
            ports[name] = processes.choose_port(again, [*ports.values()])
    if alive and "api-server" in before and ports["api-server"] != before["api-server"].port:
        raise UnavailableError(
            f"port {before['api-server'].port} of the API server is taken by another program, and the other services "
            "still look there: `lakehouse down`, then `lakehouse up`"
        )
    return ports


def prepare(settings: Settings, environment: Mapping[str, str], say: Say) -> None:
    """Make folders, password, database and pools; each may be there already."""
    for folder in (str(settings.reports), str(settings.logs), settings.landing_root):
        if "://" not in folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
    airflow.make_password(settings)
    say("preparing Airflow's database ...")
    run_airflow(environment, "db", "migrate")
    with tempfile.TemporaryDirectory() as folder:
        pools = Path(folder) / "pools.json"
        pools.write_text(airflow.pools_json(), encoding="utf-8")
        run_airflow(environment, "pools", "import", str(pools))


def run_airflow(environment: Mapping[str, str], *arguments: str) -> None:
    """Run one of Airflow's own commands.

    Raises:
        StartFailedError: it failed; its last line says why.
    """
    program = Path(sys.executable).parent / "airflow"
    done = subprocess.run(
        [str(program), *arguments], env=dict(environment), check=False, capture_output=True, text=True
    )
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip() or "it said nothing").splitlines()[-1]
        raise StartFailedError(f"airflow {' '.join(arguments[:2])} ended with {done.returncode}: {last}")


def wait_until_healthy(settings: Settings, say: Say) -> list[State]:
    """Ask until every service is healthy, saying each that has become so.

    Raises:
        StartFailedError: one has ended.
        UnavailableError: some are not healthy in time.
    """
    deadline, told = time.monotonic() + READY_WITHIN_S, set()
    while True:
        states = look(settings)
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
        time.sleep(1)


def look(settings: Settings) -> list[State]:
    """Return how every service is; without services, nothing."""
    running = processes.read_state(settings)
    ports = {each.name: each.port for each in running.values()}
    parts = airflow_health(ports.get("api-server", 0))
    states = []
    for name, each in running.items():
        if each.process() is None:
            health = "not running"
        elif name in PARTS:
            health = parts.get(PARTS[name], "starting")
        else:
            health = "healthy" if answers(name, each.port) else "starting"
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


def answers(name: str, port: int) -> bool:
    """Say whether a service's pages answer."""
    page = {"api-server": "/api/v2/monitor/health", "mlflow": "/health"}.get(name, "/")
    try:
        return requests.get(f"http://127.0.0.1:{port}{page}", timeout=5).ok
    except requests.RequestException:
        return False


def bring_down(settings: Settings) -> list[str]:
    """End every service with all that it started; return the names of those that ran."""
    with processes.exclusive(settings):
        before = processes.read_state(settings)
        names = [name for name in before if processes.family(settings, name)]
        processes.stop(settings, list(before))
        processes.write_state(settings, {})
    return names


def pages(settings: Settings, states: list[State]) -> list[str]:
    """Return one line per page to open."""
    ports = {state.name: state.port for state in states}
    password = airflow.password_file(settings)
    return [
        f"Airflow  http://127.0.0.1:{ports['api-server']}  user {airflow.USER}, password in {password}",
        f"MLflow   http://127.0.0.1:{ports['mlflow']}",
        f"reports  http://127.0.0.1:{ports['reports']}",
        f"logs     {settings.logs}",
    ]
