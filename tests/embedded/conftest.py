"""Servers of profile embedded, really started: Airflow and MLflow, once for all tests."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import Browser, find_browser
from orchestra import CANARY, Orchestra
from webhook import serve_webhook

from lakehouse.config.settings import read_settings
from lakehouse.demo.images import write_demo_images
from lakehouse.services import processes


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
    write_demo_images(landing)
    values = {
        "LAKEHOUSE_HOME": str(home),
        "LAKEHOUSE_SPARK_MASTER": "local[1]",
        "LAKEHOUSE_DRIVER_MEMORY": "1g",
        "LAKEHOUSE_SHUFFLE_PARTITIONS": "2",
        "LAKEHOUSE_RETRY_DELAY_SECONDS": "1",
        "LAKEHOUSE_FINANCE_SCHEDULE": "manual",
        "LAKEHOUSE_ENERGY_SCHEDULE": "manual",
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


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    """A browser; tests that need one skip where there is none."""
    if find_browser() is None:
        pytest.skip("no Chromium is installed: no page to look at")
    found = Browser(tmp_path / "browser")
    yield found
    found.close()
