"""The whole of profile stack, started natively once for all tests, in a home of its own; a missing part fails them."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import Browser, find_browser
from orchestra import Orchestra

from lakehouse.demo_images import write_demo_images
from lakehouse.demo_power import write_demo_power
from lakehouse.generated import stack_folder
from lakehouse.services import processes
from lakehouse.settings import read_settings

TIMEOUT_S = 2400
DAYS = {"first_day": "2019-10-11", "last_day_exclusive": "2019-10-12"}
PORTS = ("POSTGRES", "S3", "MLFLOW", "AIRFLOW", "TRINO", "REPORTS")
MODEL = "generated_household_lgbm"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Each test may have to wait for the servers and for jobs, which other work on the machine makes slow."""
    for item in items:
        item.add_marker(pytest.mark.timeout(TIMEOUT_S))


class Stack(Orchestra):
    """`lakehouse up` of profile stack, and what was generated for it."""

    @property
    def secrets(self) -> dict[str, str]:
        """Every generated secret by its name: each a canary that may turn up in its own file alone."""
        folder = stack_folder(self.settings.home) / "secrets"
        return {path.name: path.read_text().strip() for path in folder.iterdir()}

    def run(self, *arguments: str) -> str:
        """Run a command that has to succeed and return what it printed."""
        done = self.lakehouse(*arguments)
        assert done.returncode == 0, (arguments, done.stdout[-2000:], done.stderr[-2000:])
        return done.stdout


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
        "LAKEHOUSE_FORECAST_SCHEDULE": "manual",
        "LAKEHOUSE_MAINTENANCE_SCHEDULE": "manual",
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
def files(real_data, tmp_path_factory) -> Path:
    """A real day of trades, sixty generated days of a meter, real digits."""
    folder = tmp_path_factory.mktemp("files")
    day = "XRPETH/XRPETH-trades-2019-10-11.zip"
    (folder / "ticks" / "XRPETH").mkdir(parents=True)
    shutil.copyfile(real_data / "ticks" / "binance" / day, folder / "ticks" / day)
    write_demo_power(folder)
    write_demo_images(folder)
    return folder


@pytest.fixture(scope="session")
def through_airflow(stack, files):
    """Every domain's Dag, run over the files in the bucket; returns the states of each run's tasks."""
    assert stack.run("land", str(files)).startswith("7 files at s3://landing")
    meters = {"first_day": "2025-01-01", "last_day_exclusive": "2027-01-01", "retrain": "no"}
    wanted = {
        "finance_tick": {**DAYS, "retrain": "no"},
        "energy_forecast": meters,
        "vision_classifier": {"datasets": ["digits"], "retrain": "no"},
    }
    runs = {dag: stack.trigger(dag, **conf) for dag, conf in wanted.items()}
    states = {}
    for dag, run in runs.items():
        ended = stack.wait(dag, run)
        states[dag] = stack.states(dag, run)
        assert ended == "success", (dag, states[dag])
    return runs, states


@pytest.fixture(scope="session")
def trained(stack, through_airflow):
    """A model trained, registered and promoted on the stack."""
    return stack.run("train", MODEL)


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    """A browser."""
    assert find_browser() is not None, "no Chromium is installed: apt-get install chromium"
    found = Browser(tmp_path / "browser")
    yield found
    found.close()
