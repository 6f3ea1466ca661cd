"""Fixtures of training: gold.load_hourly made from real or generated readings, and a store of MLflow.

Tests of training need the table and not the Spark jobs that fill it: its rows are made by the jobs' transform.
"""

from __future__ import annotations

import re
import shutil
import sqlite3
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from holidays import country_holidays

from lakehouse.config.settings import Settings, read_settings
from lakehouse.lake.catalog import load
from lakehouse.lake.migration import require_tables
from lakehouse.lake.schema import arrow_schema
from lakehouse.tables.energy import GOLD_LOAD_HOURLY
from ml.config import config_files
from transforms.energy.load_features import hourly_loads

MODEL = "household_power_lgbm"
QUICK = (
    "rounds=60",
    "num_leaves=7",
    "learning_rate=0.1",
    "split.folds=2",
    "data.minimum_rows=500",
)
"""Of the real configuration what makes a test quick."""
EASY = "{rmse_kw_h1: {maximum: 5.0}}"
"""Thresholds with which the gate asks to beat the naive forecasts alone."""
METER = "household.UCI"


def half_year_minutes(real_data: Path) -> pd.Series:
    """Active power in kW by minute: the `index` column counts minutes, the dates are day first whatever their form."""
    path = real_data / "household_power" / "half-year" / "household_power_consumption.zip"
    with zipfile.ZipFile(path) as archive, archive.open(archive.namelist()[0]) as file:
        rows = pd.read_csv(file, na_values="?", usecols=["index", "Date", "Global_active_power"], dtype={"Date": str})
    times = pd.Timestamp("2007-01-01") + pd.to_timedelta(rows["index"], unit="min")
    text = times.dt.day.astype(str) + "/" + times.dt.month.astype(str)
    assert (rows["Date"].str.rsplit("/", n=1).str[0] == text).all(), "a date is not where its index puts it"
    return pd.Series(rows["Global_active_power"].to_numpy(float), index=pd.DatetimeIndex(times), name="load_kw")


def generated_hours(days: int = 60, seed: int = 7) -> pd.DataFrame:
    """Hours with a daily shape, a level that swings over weeks, and noise that remembers; for tests of mechanics."""
    random = np.random.default_rng(seed)
    index = pd.date_range("2007-01-01", periods=days * 24, freq="h")
    noise = np.zeros(len(index))
    for position in range(1, len(index)):
        noise[position] = 0.6 * noise[position - 1] + random.normal(0, 0.25)
    shape = 1.8 + 0.6 * np.sin((index.hour - 8) * np.pi / 12) + 0.3 * (index.weekday >= 5)
    shape = shape + 0.7 * np.sin(np.arange(len(index)) * 2 * np.pi / (11 * 24))
    return hours_of_readings(pd.Series(np.clip(shape + noise, 0.05, None), index=index), interval_min=60)


def half_year_hours(real_data: Path) -> pd.DataFrame:
    """Rows of the half-year file."""
    return hours_of_readings(half_year_minutes(real_data), interval_min=1)


def hours_of_readings(power_kw: pd.Series, interval_min: int) -> pd.DataFrame:
    """Rows of gold, without _ingested_at, as the pipeline makes them of one meter's readings; gaps stay as they are."""
    measured = power_kw.dropna()
    start = pl.Series("interval_start", measured.index.to_numpy()).cast(pl.Datetime("us"))
    readings = pl.DataFrame({"interval_start": start, "active_power_kw": measured.to_numpy()}).with_columns(
        meter_id=pl.lit(METER),
        event_date=pl.col("interval_start").dt.date(),
        occurrence=pl.lit(1, pl.Int32),
        status=pl.lit("measured"),
        available_at=pl.col("interval_start") + pl.duration(minutes=interval_min),
        interval_min=pl.lit(interval_min, pl.Int32),
        zone=pl.lit(None, pl.String),
        country=pl.lit("FR"),
    )
    days = readings["event_date"].unique().to_list()
    rows = hourly_loads(readings, days, lambda country, years: country_holidays(country, years=years))
    return rows.to_pandas().assign(event_date=rows["event_date"].to_list())


def publish_hours(settings: Settings, hours: pd.DataFrame) -> int:
    """Put the hours in place of all rows of gold.load_hourly; return the snapshot that has them."""
    require_tables(settings, [GOLD_LOAD_HOURLY])
    iceberg = load(settings, GOLD_LOAD_HOURLY)
    rows = hours.assign(_ingested_at=datetime.now(UTC))
    columns = [
        pa.array(rows[field.name].to_numpy(), type=field.type, from_pandas=True)
        if field.name not in ("event_date", "_ingested_at")
        else pa.array(rows[field.name].to_list(), type=field.type)
        for field in arrow_schema(GOLD_LOAD_HOURLY)
    ]
    iceberg.overwrite(pa.table(columns, schema=arrow_schema(GOLD_LOAD_HOURLY)))
    snapshot = load(settings, GOLD_LOAD_HOURLY).current_snapshot()
    assert snapshot is not None
    return snapshot.snapshot_id


def table_of(hours: pd.DataFrame) -> pa.Table:
    """Return the hours as gold gives them."""
    return pa.Table.from_pandas(hours, preserve_index=False)


@contextmanager
def thresholds_of(model: str, thresholds: str) -> Iterator[None]:
    """Put a copy of a model's YAML with other thresholds in its place: no override can change what a gate asks."""
    files = config_files()
    text, count = re.subn(
        r"^  thresholds:\n(    .*\n)+", f"  thresholds: {thresholds}\n", files[model].read_text("utf-8"), flags=re.M
    )
    assert count == 1, files[model]
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        path = Path(folder) / f"{model}.yaml"
        path.write_text(text, "utf-8")
        patch.setattr("ml.config.config_files", lambda: {**files, model: path})
        yield


@dataclass
class Training:
    """A lakehouse of a test with gold in it, and what its training works with."""

    settings: Settings
    context: Any
    lines: list[str]

    def train(self, overrides: Sequence[str] = (), thresholds: str = EASY, **arguments: Any) -> Any:
        """Train the real configuration, made quick; with a run id, go on with that run."""
        from ml.steps import train_model

        chosen = () if "run_id" in arguments else (*QUICK, *overrides)
        with thresholds_of(MODEL, thresholds):
            return train_model(self.context, MODEL, overrides=chosen, **arguments)

    def run(self, run_id: str) -> Any:
        """Read a run back."""
        from ml.tracking import read_run

        return read_run(self.context, run_id)

    def keep(self) -> Callable[[], None]:
        """Remember catalog and MLflow's store as they are; what is returned brings them back.

        Both are databases that point to files that are never changed, so the databases are enough.
        """
        paths = [self.settings.catalog_file, Path(self.settings.mlflow_tracking_uri.removeprefix("sqlite:///"))]
        copies = []
        for path in paths:
            copy = sqlite3.connect(":memory:", check_same_thread=False)
            with sqlite3.connect(path) as source:
                source.backup(copy)
            copies.append(copy)

        def bring_back() -> None:
            for path, copy in zip(paths, copies, strict=True):
                with sqlite3.connect(path) as target:
                    copy.backup(target)

        return bring_back


@pytest.fixture(scope="session")
def empty_mlflow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of MLflow without runs: making one takes seconds."""
    from ml.tracking import open_tracking

    home = tmp_path_factory.mktemp("mlflow")
    context = open_tracking(read_settings({"LAKEHOUSE_HOME": str(home)}), lambda line: None)
    context.client.search_experiments()
    return home / "mlflow" / "mlflow.db"


@pytest.fixture(scope="module")
def make_training(empty_mlflow: Path) -> Callable[[Path, pd.DataFrame], Training]:
    """Make a lakehouse with hours in gold below a folder."""

    def make(home: Path, hours: pd.DataFrame) -> Training:
        from ml.tracking import open_tracking

        settings = read_settings({"LAKEHOUSE_HOME": str(home)})
        (home / "mlflow").mkdir(parents=True)
        shutil.copy(empty_mlflow, home / "mlflow" / "mlflow.db")
        publish_hours(settings, hours)
        lines: list[str] = []
        return Training(settings, open_tracking(settings, lines.append), lines)

    return make


@pytest.fixture(scope="module")
def training(make_training: Any, tmp_path_factory: pytest.TempPathFactory) -> Training:
    """A lakehouse with generated hours, shared by the tests of a module."""
    return make_training(tmp_path_factory.mktemp("training") / "home", generated_hours())


@pytest.fixture(scope="session")
def gate_with() -> Callable[[str, str], AbstractContextManager[None]]:
    """gate_with(model, thresholds) lets the model's YAML demand others inside a with block."""
    return thresholds_of


@pytest.fixture(scope="session")
def hours() -> Any:
    """hours.generated(days, seed), hours.half_year(real_data), hours.table(frame), hours.publish(settings, frame)."""

    class Hours:
        generated = staticmethod(generated_hours)
        half_year = staticmethod(half_year_hours)
        table = staticmethod(table_of)
        publish = staticmethod(publish_hours)

    return Hours
