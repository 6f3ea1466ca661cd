"""Tables that the product's own jobs write on PostgreSQL and S3, views that `lakehouse sql apply` makes in Trino."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from lakehouse.catalog import append_log, load, migrate
from lakehouse.demo import write_demo_landing
from lakehouse.demo_images import write_demo_images
from lakehouse.demo_power import write_demo_power
from lakehouse.services import processes, stores, trino
from lakehouse.services.health import wait_until_healthy
from lakehouse.services.up import state_folders
from lakehouse.settings import Settings, read_settings
from lakehouse.sql_trino import ANALYST, ask, login_of, open_connection
from lakehouse.tables import Table
from lakehouse.tables.logs import CHECK_RESULTS

MODEL = "generated_household_lgbm"
WAIT_S = 2400
"""A chain takes a minute on two idle cores; other work on the machine can make that many times longer."""


@dataclass(frozen=True)
class Servers:
    """PostgreSQL, S3 and Trino of profile stack, in a home of their own."""

    settings: Settings
    variables: dict[str, str]

    def lakehouse(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the command line as a user would."""
        command = [sys.executable, "-m", "lakehouse", *arguments]
        return subprocess.run(command, env=self.variables, check=False, capture_output=True, text=True, timeout=WAIT_S)

    def run(self, *arguments: str) -> str:
        """Run a command that has to succeed and return what it printed."""
        done = self.lakehouse(*arguments)
        assert done.returncode == 0, (arguments, done.stdout[-2000:], done.stderr[-2000:])
        return done.stdout

    def trino(self, sql: str, user: str = ANALYST) -> list[tuple[Any, ...]]:
        """Run a statement in Trino and return its rows."""
        with open_connection(login_of(self.settings, user)) as connection:
            return [tuple(row.values()) for row in ask(connection, sql).read_all().to_pylist()]

    def duckdb(self, sql: str, *tables: Table) -> list[tuple[Any, ...]]:
        """Run a query in DuckDB over whole tables, each named layer_name, and return its rows."""
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            for table in tables:
                rows = load(self.settings, table).scan().to_arrow()
                connection.register(f"{table.layer}_{table.name}", rows)
            return connection.execute(sql).fetchall()


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """The servers, healthy; a missing part fails."""
    home = Path(tempfile.mkdtemp(prefix="lakehouse-trino-"))
    home.chmod(0o711)  # PostgreSQL's account passes through
    ports = {name: processes.choose_port(0) for name in ("postgres", "s3", "trino")}
    variables = {
        "LAKEHOUSE_PROFILE": "stack",
        "LAKEHOUSE_HOME": str(home),
        "LAKEHOUSE_SPARK_MASTER": "local[2]",
        "LAKEHOUSE_DRIVER_MEMORY": "2g",
        "LAKEHOUSE_SHUFFLE_PARTITIONS": "2",
        "LAKEHOUSE_MLFLOW_TRACKING": f"sqlite:///{home}/mlflow.db",
        "LAKEHOUSE_MLFLOW_ARTIFACTS": (home / "artifacts").as_uri(),
    }
    with pytest.MonkeyPatch.context() as environment:
        for name, value in variables.items():
            environment.setenv(name, value)
        settings = stores.generate(read_settings(os.environ, is_starting=True), ports)
        settings.airflow_home.mkdir(parents=True, exist_ok=True)
        try:
            stores.require_parts(settings)
            stores.start_stores(settings, ports, print)
            trino.prepare(settings, ports["postgres"])
            stores.start_due(settings, [trino.plan(settings, ports["trino"])])
            wait_until_healthy(settings, print)
            yield Servers(settings, dict(os.environ))
        finally:
            processes.stop(settings, list(processes.read_state(settings)))
            for folder in (*state_folders(settings), home):
                shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def landing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Generated files of every domain, two days of ticks."""
    folder = tmp_path_factory.mktemp("landing")
    write_demo_landing(folder, first=date(2026, 1, 5), days=2)
    write_demo_power(folder)
    write_demo_images(folder)
    return folder


def failed_check(hour: int) -> dict[str, Any]:
    """A rule that did not hold: of what the demo delivers, every rule holds."""
    return {
        "run_id": f"failed-{hour}",
        "table_name": "gold.bars_1m",
        "rule": "written_by_a_test",
        "severity": "critical",
        "is_passed": False,
        "observed": f"{hour} rows",
        "threshold": "0 rows",
        "rows_evaluated": 10,
        "rows_failed": hour,
        "checked_at": datetime(2100, 1, 1, hour, tzinfo=UTC),
    }


@pytest.fixture(scope="session")
def lake(servers: Servers, landing: Path) -> Servers:
    """Every table, a model that is trained and has forecast; then the readings come again, with two days more."""
    for domain in ("energy", "finance", "vision"):
        servers.run("run", domain, "--landing", str(landing))
    servers.run("train", MODEL)
    servers.run("predict", f"{MODEL}@champion", "--from", "2026-01-01", "--to", "2026-01-08")
    write_demo_power(landing, days=62, seed=8)
    servers.run("run", "energy", "--landing", str(landing), "--replace")
    migrate(servers.settings)
    append_log(servers.settings, CHECK_RESULTS, [failed_check(hour) for hour in (1, 2)])
    applied = servers.run("sql", "apply").splitlines()
    assert {line.partition(": ")[2] for line in applied} == {"made"}
    return servers
