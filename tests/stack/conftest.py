"""The whole of profile stack, started natively once for all tests, in a home of its own; a missing part fails them."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb
import psutil
import pytest
from browser import Browser, find_browser
from memory import watch
from orchestra import Orchestra

from lakehouse.config.generated import stack_folder
from lakehouse.config.settings import read_settings
from lakehouse.demo.images import write_demo_images
from lakehouse.demo.landing_files import write_demo_landing
from lakehouse.demo.power import write_demo_power
from lakehouse.lake.catalog import append_log, load
from lakehouse.queries.trino import ANALYST, ask, login_of, open_connection
from lakehouse.services import airflow, processes
from lakehouse.tables import Table
from lakehouse.tables.logs import CHECK_RESULTS, HELD_PARTS

TIMEOUT_S = 2400
ORDER = (
    *("test_store_contract", "test_domains", "test_identities", "test_views", "test_access"),
    *("test_lost_answers", "test_cluster", "test_whole"),
)
"""What everything stands on first, the servers after all their work last; others before the commits that are cut."""
PORTS = ("POSTGRES", "S3", "MLFLOW", "AIRFLOW", "TRINO", "REPORTS")
MODEL = "generated_household_lgbm"
FIRST_DAY = date(2026, 1, 5)
"""Of two days of generated ticks, which the example queries of sql/ name."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests in their order; each may have to wait for servers and jobs, which other work makes slow."""
    rank = {name: place for place, name in enumerate(ORDER)}
    items.sort(key=lambda item: rank.get(item.path.stem, rank["test_access"]))
    for item in items:
        item.add_marker(pytest.mark.timeout(TIMEOUT_S))


@dataclass
class Stack(Orchestra):
    """`lakehouse up` of profile stack, and what was generated for it."""

    memory: list[dict[str, int]] = field(default_factory=list)
    """Bytes of each service, looked at while the Dags ran."""

    @cached_property
    def secrets(self) -> dict[str, str]:
        """Every generated secret by its name: each a canary that may turn up in its own file alone."""
        folder = stack_folder(self.settings.home) / "secrets"
        found = {path.name: path.read_text().strip() for path in folder.iterdir()}
        return found | airflow.signing_keys(self.settings) | {"airflow_login": airflow.read_password(self.settings)}

    def secrets_in(self, text: str | bytes) -> list[str]:
        """Return the names of the secrets that stand in a text."""
        content = text.encode() if isinstance(text, str) else text
        return [name for name, value in self.secrets.items() if value.encode() in content]

    def command_lines(self) -> list[str]:
        """Return the command line of every process of this machine."""
        lines = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                lines.append(" ".join(process.cmdline()))
        return lines

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
def stack() -> Iterator[Stack]:
    """Every server of profile stack, healthy."""
    home = Path(tempfile.mkdtemp(prefix="lakehouse-stack-"))
    home.chmod(0o711)  # PostgreSQL's account passes through
    values = {
        "LAKEHOUSE_PROFILE": "stack",
        "LAKEHOUSE_HOME": str(home),
        "LAKEHOUSE_SPARK_MASTER": "local[1]",
        "LAKEHOUSE_DRIVER_MEMORY": "1g",
        "LAKEHOUSE_SHUFFLE_PARTITIONS": "2",
        "LAKEHOUSE_RETRY_DELAY_SECONDS": "1",
        "LAKEHOUSE_FINANCE_SCHEDULE": "manual",
        "LAKEHOUSE_ENERGY_SCHEDULE": "manual",
        "LAKEHOUSE_MAINTENANCE_SCHEDULE": "manual",
        # Small jobs end before a second compiler or a parallel collector pays
        "SPARK_SUBMIT_OPTS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
        **{f"LAKEHOUSE_{name}_PORT": str(processes.choose_port(0)) for name in PORTS},
    }
    outer = {name: value for name, value in os.environ.items() if not name.startswith(("LAKEHOUSE_", "AIRFLOW", "AWS"))}
    found = Stack(read_settings(values, is_starting=True), outer | values)
    try:
        found.up()
        found.settings = read_settings(values)
        yield found
    finally:
        done = found.lakehouse("reset", "--yes")
        shutil.rmtree(home)
        assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Generated ticks of two days and readings of sixty; real digits; a real day of trades if given."""
    folder = tmp_path_factory.mktemp("files")
    write_demo_landing(folder, first=FIRST_DAY, days=2)
    write_demo_power(folder)
    write_demo_images(folder)
    if given := os.environ.get("LAKEHOUSE_REAL_DATA"):
        real = Path("XRPETH", "XRPETH-trades-2019-10-11.zip")
        (folder / "real" / real.parent).mkdir(parents=True)
        shutil.copyfile(Path(given, "ticks", "binance", real), folder / "real" / real)
    return folder


@pytest.fixture(scope="session")
def through_airflow(stack: Stack, files: Path) -> dict[str, str]:
    """Every domain's Dag, run over the files in the bucket; returns the id of each run."""
    assert " files at s3://landing" in stack.run("land", str(files))
    days = {"first_day": "2019-10-11", "last_day_exclusive": "2026-01-08", "retrain": "no"}
    wanted = {
        "finance_tick": days,
        "energy_forecast": days,
        "vision_classifier": {"datasets": ["digits"], "retrain": "no"},
    }
    runs = {dag: stack.trigger(dag, **conf) for dag, conf in wanted.items()}
    with watch(stack.settings) as stack.memory:
        for dag, run in runs.items():
            ended = stack.wait(dag, run)
            assert ended == "success", (dag, stack.states(dag, run))
    return runs


@pytest.fixture(scope="session")
def trained(stack: Stack, through_airflow: dict[str, str]) -> str:
    """Train, register and promote a model on the stack; returns its name."""
    stack.run("train", MODEL)
    return MODEL


def failed_check(hour: int) -> dict[str, Any]:
    """A rule that did not hold: of what was delivered, every rule holds."""
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


def held_part(hour: int) -> dict[str, Any]:
    """A part that was held back: of what was delivered, every part was published."""
    return {
        "run_id": f"held-{hour}",
        "table_name": "gold.bars_1m",
        "slice": "2026-01-05",
        "subject": "GENAA.USA",
        "rules": f"rule_{hour}",
        "files": f"file_{hour}.csv",
        "held_at": datetime(2100, 1, 1, hour, tzinfo=UTC),
    }


@pytest.fixture(scope="session")
def filled(stack: Stack, files: Path, trained: str) -> Stack:
    """Every table: the model has forecast, then the readings have come again with two days more; views are made."""
    stack.run("predict", f"{trained}@champion", "--from", "2026-01-01", "--to", "2026-01-08")
    write_demo_power(files, days=62, seed=8)
    stack.run("land", str(files / "power"), "--to", "power")
    stack.run("run", "energy", "--replace")
    append_log(stack.settings, CHECK_RESULTS, [failed_check(hour) for hour in (1, 2)])
    append_log(stack.settings, HELD_PARTS, [held_part(hour) for hour in (1, 2)])
    applied = stack.run("sql", "apply").splitlines()
    assert {line.partition(": ")[2] for line in applied} == {"made"}
    return stack


@pytest.fixture(scope="session")
def embedded(filled: Stack, files: Path, lakes: Any, spark: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The files as they are in the end through the same jobs in profile embedded, in this process."""
    from spark_jobs.layers.chain import run_domain

    found = lakes(spark, tmp_path_factory.mktemp("embedded"), "embedded")
    assert run_domain("finance", found.request(landing=files)) == 0
    assert run_domain("energy", found.request(landing=files)) == 0
    assert run_domain("vision", found.request(["digits"], landing=files)) == 0
    return found


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    """A browser."""
    assert find_browser() is not None, "no Chromium is installed: apt-get install chromium"
    found = Browser(tmp_path / "browser")
    yield found
    found.close()
