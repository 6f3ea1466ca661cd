"""Fixtures that every test may use: one Spark session per test process, and a lakehouse of its own per test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from lakehouse.settings import Settings, read_settings


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real input files; tests that need it skip where it is not there."""
    folder = os.environ.get("LAKEHOUSE_REAL_DATA")
    if not folder:
        pytest.skip("LAKEHOUSE_REAL_DATA is not set: no real input files")
    return Path(folder)


@pytest.fixture(scope="session")
def spark_home(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The settings of the session's own lakehouse: a catalog belongs to a session, so tests share it."""
    home = tmp_path_factory.mktemp("lakehouse")
    return read_settings({"LAKEHOUSE_HOME": str(home), "LAKEHOUSE_SPARK_MASTER": "local[2]", "LAKEHOUSE_DRIVER_MEMORY": "2g"})


@pytest.fixture(scope="session")
def spark(spark_home: Settings) -> Iterator[object]:
    """One session for all tests of the process, on the session's own lakehouse."""
    from spark_jobs.session import build_session

    session = build_session("tests", spark_home)
    yield session
    session.stop()
