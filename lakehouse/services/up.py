"""Bring the services up and down and say how they are.

Profile stack starts PostgreSQL and the S3 server first, makes roles, buckets and policies, and refuses a store that
answers somebody without keys. Then, in both profiles: Airflow's database is migrated and its pools are made before
scheduler, Dag processor, triggerer and API server start, with MLflow and the quality pages, and in profile stack Trino,
unless the catalog is a REST server's: Trino is set up to read the one in PostgreSQL.
What runs already is left alone, what has died is started again.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from lakehouse.config.generated import read_addresses, secret_file, stack_folder
from lakehouse.config.settings import Settings
from lakehouse.errors import UnavailableError
from lakehouse.queries.trino import ANALYST
from lakehouse.services import airflow, mlflow, postgres, processes, trino
from lakehouse.services.health import Say, StartFailedError, State, wait_until_healthy
from lakehouse.services.plan import ServicePlan
from lakehouse.services.stores import generate, require_parts, start_due, start_stores

STORES = ("postgres", "s3")
"""Ended last, since what the others still have to write goes there."""


def plan_services(settings: Settings, ports: Mapping[str, int]) -> list[ServicePlan]:
    """Return every service but the stores in the order of their starts."""
    own = airflow.environment(settings, ports["api-server"])
    served = (sys.executable, "-m", "http.server", "--bind", "127.0.0.1", "--directory", str(settings.reports))
    last = [trino.plan(settings, ports["trino"])] if settings.has_trino else []
    return [
        ServicePlan("api-server", ("airflow", "api-server", "--workers", "1"), own, ports["api-server"]),
        ServicePlan("scheduler", ("airflow", "scheduler", "--skip-serve-logs"), own),
        ServicePlan("dag-processor", ("airflow", "dag-processor"), own),
        ServicePlan("triggerer", ("airflow", "triggerer", "--skip-serve-logs"), own),
        mlflow.plan(settings, ports["mlflow"], own, ports.get("postgres", 0)),
        ServicePlan("reports", (*served, str(ports["reports"])), plain(own), ports["reports"]),
        *last,
    ]


def plain(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without Airflow's part."""
    return {name: value for name, value in environment.items() if not name.startswith("AIRFLOW")}


def bring_up(settings: Settings, say: Say) -> list[State]:
    """Start what does not run and wait until everything answers.

    Raises:
        BadInputError: a part of profile stack is missing, or the store answers unsigned requests.
        StartFailedError: a service ended; its log is named.
        UnavailableError: a service does not answer in time.
    """
    is_stack = settings.profile == "stack"
    if is_stack:
        require_parts(settings)
    with processes.exclusive(settings):
        before = processes.read_state(settings)
        alive = {name: each for name, each in before.items() if each.process() is not None}
        ports = choose_ports(settings, alive, before)
        if is_stack:
            settings = generate(settings, {name: ports[name] for name in (*STORES, "mlflow", "trino")})
            start_stores(settings, ports, say)
            if settings.has_trino:
                trino.prepare(settings, ports["postgres"])
        plans = plan_services(settings, ports)
        if any(plan.name not in alive for plan in plans):
            prepare(settings, plans[0].environment, say)
        start_due(settings, plans)
        return wait_until_healthy(settings, say)


def choose_ports(
    settings: Settings, alive: Mapping[str, processes.Running], before: Mapping[str, processes.Running]
) -> dict[str, int]:
    """Return the ports: those in use, else those of the last time, else the settings', else free ones.

    The services call each other, so a restarted one has to come back where the others look for it.
    """
    wanted = {"api-server": settings.airflow_port, "mlflow": settings.mlflow_port, "reports": settings.reports_port}
    if settings.profile == "stack":
        wanted |= {"postgres": settings.postgres_port, "s3": settings.s3_port, "trino": settings.trino_port}
        wanted |= {name: port for name, port in read_addresses(settings.home).items() if name in wanted}
    ports: dict[str, int] = {}
    for name, port in wanted.items():
        if name in alive:
            ports[name] = alive[name].port
        else:
            again = before[name].port if alive and name in before else port
            ports[name] = processes.choose_port(again, [*ports.values()])
    for name, title in (("api-server", "the API server"), ("postgres", "PostgreSQL"), ("s3", "the S3 server")):
        if alive and name in before and ports[name] != before[name].port:
            raise UnavailableError(
                f"port {before[name].port} of {title} is taken by another program, and the other services "
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


def bring_down(settings: Settings) -> list[str]:
    """End every service with all that it started, the stores last; return the names of those that ran."""
    with processes.exclusive(settings):
        before = processes.read_state(settings)
        names = [name for name in before if processes.family(settings, name)]
        processes.stop(settings, [name for name in before if name not in STORES])
        processes.stop(settings, [name for name in before if name in STORES])
        processes.write_state(settings, {})
    return names


def state_folders(settings: Settings) -> list[Path]:
    """Return what the services keep: what `reset` removes."""
    folders = [settings.airflow_home, settings.logs]
    if settings.profile == "stack":
        folders += [stack_folder(settings.home), postgres.data_folder(settings)]
    there = dict.fromkeys(folder.resolve() for folder in folders if folder.exists())
    return [folder for folder in there if not any(other in folder.parents for other in there)]


def reset(settings: Settings) -> None:
    """End every service and remove all that they keep; in profile stack also the tables and the delivered files."""
    bring_down(settings)
    for folder in state_folders(settings):
        shutil.rmtree(folder)


def pages(settings: Settings, states: list[State]) -> list[str]:
    """Return one line per page to open."""
    ports = {state.name: state.port for state in states}
    password = airflow.password_file(settings)
    lines = [f"Airflow  http://127.0.0.1:{ports['api-server']}  user {airflow.USER}, password in {password}"]
    mlflow_page = f"MLflow   http://127.0.0.1:{ports['mlflow']}"
    if settings.profile == "stack":
        login = secret_file(settings.home, "mlflow_login")
        mlflow_page += f"  user {settings.mlflow_user}, password in {login}"
    lines.append(mlflow_page)
    if "trino" in ports:
        password = secret_file(settings.home, f"trino_{ANALYST}")
        lines.append(f"Trino    https://127.0.0.1:{ports['trino']}  user {ANALYST}, password in {password}")
    return [*lines, f"reports  http://127.0.0.1:{ports['reports']}", f"logs     {settings.logs}"]
