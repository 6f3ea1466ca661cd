"""Forecasts of a registered version, computed here and published to gold by a Spark job, audited like every table.

Reads   gold at main's snapshot, or as of a point in time
Writes  <home>/forecasts/<sha256>/forecasts.parquet, gone again once the job has published it

The file's sha256 is the job's key: the same forecasts again publish nothing.
"""

from __future__ import annotations

import hashlib
import secrets
import shutil
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lakehouse.commands.submit import spark_submit
from lakehouse.config.project import ROOT
from lakehouse.errors import BadInputError, ExitCode
from lakehouse.tables import find_table
from ml.gold import choose_snapshot, read_snapshot
from ml.model import Backtested, find_model
from ml.registry import MODEL_FILES, download_model, resolve
from ml.tracking import Context, TrainingRun, mlflow_errors

FILE = "forecasts.parquet"


def publish_forecasts(context: Context, reference: str, days: Sequence[date] | None, as_of: str | None) -> int:
    """Forecast days, or every row of gold where a model knows no days, and publish; return the job's exit code.

    Raises:
        BadInputError: days for a model that knows none, or none for one that does.
    """
    with mlflow_errors():
        version, run = resolve(context, reference)
        forecasts = forecast_days(context, run, version, days, as_of)
    path = write_file(context.settings.forecasts, forecasts)
    context.say(f"predict: {forecasts.num_rows} forecasts of {run.config.name} version {version}, publishing ...")
    script = ROOT / "spark_jobs" / find_model(run.config).publish_job
    code = spark_submit(script, ["--landing", str(path.parent)])
    if code == ExitCode.DONE:
        shutil.rmtree(path.parent)
    else:
        context.say(f"predict: {path} is kept; the same command publishes it")
    return code


def forecast_days(
    context: Context, run: TrainingRun, version: int, days: Sequence[date] | None, as_of: str | None
) -> pa.Table:
    """Forecast the rows of some days, or all of them, with what tells where the forecasts come from."""
    model, config = find_model(run.config), run.config
    if model.is_by_day != (days is not None):
        expected = (
            "--from and --to are needed" if model.is_by_day else "its rows have no days: leave out --from and --to"
        )
        raise BadInputError(f"{config.name}: {expected}")
    table = find_table(config.table)
    snapshot_id, _ = choose_snapshot(context.settings, table, as_of)
    wanted, first, last = model.row_filter(), datetime.min, datetime.max
    if days is not None:
        first, last = midnight(days[0]), midnight(days[-1] + timedelta(days=1))
        wanted = wanted.until(last.date())
    rows = read_snapshot(context.settings, table, snapshot_id, model.columns(), wanted)
    with download_model(context, run) as packed:
        found = model.predict(rows, packed / MODEL_FILES, first, last)
    count = found.num_rows
    return (
        found.append_column("model_name", pa.array([config.name] * count))
        .append_column("model_version", pa.array(np.full(count, version, dtype=np.int32)))
        .append_column("snapshot_id", pa.array(np.full(count, snapshot_id)))
    )


def backtest_days(context: Context, reference: str, days: Sequence[date], as_of: str | None) -> Sequence[str]:
    """Trade on a version's forecasts of some days; return what came of it, line by line.

    Raises:
        BadInputError: the model's forecasts are nothing to trade on.
    """
    with mlflow_errors():
        version, run = resolve(context, reference)
        model, config = find_model(run.config), run.config
        if not isinstance(model, Backtested):
            raise BadInputError(f"{config.name} forecasts nothing that is traded; lakehouse predict publishes it")
        table = find_table(config.table)
        snapshot_id, _ = choose_snapshot(context.settings, table, as_of)
        first, last = days[0], days[-1] + timedelta(days=1)
        wanted = model.row_filter().until(last)
        rows = read_snapshot(context.settings, table, snapshot_id, model.columns(), wanted)
        context.say(f"backtest: {config.name} version {version} on [{first}, {last}) at snapshot {snapshot_id}")
        with download_model(context, run) as packed:
            return model.backtest(rows, packed / MODEL_FILES, first, last)


def midnight(day: date) -> datetime:
    """Return the first moment of a civil day."""
    return datetime(day.year, day.month, day.day)


def write_file(folder: Path, forecasts: pa.Table) -> Path:
    """Write the forecasts into a folder named after their sha256; equal forecasts give equal bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f"{secrets.token_hex(8)}.partial"
    pq.write_table(forecasts, partial, compression="zstd")
    target = folder / hashlib.sha256(partial.read_bytes()).hexdigest() / FILE
    target.parent.mkdir(exist_ok=True)
    return partial.replace(target)
