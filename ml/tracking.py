"""MLflow as training uses it: a store below LAKEHOUSE_HOME, silent, without telemetry, and pickle refused.

MLflow takes seconds to import and reads its switches while it does, so it is imported here and inside functions only.
"""

from __future__ import annotations

import json
import logging
import os
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from lakehouse.config.settings import Settings
from lakehouse.errors import BadInputError, UnavailableError
from ml.config import ModelConfig, parse_config
from ml.environment import git_commit
from ml.gold import Pin
from ml.model import Say

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

MOST_PARAMETERS = 100
"""In one request of MLflow; each request costs its server the check of a password."""

SWITCHES = {
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_CONFIGURE_LOGGING": "false",
    "MLFLOW_RECORD_ENV_VARS_IN_MODEL_LOGGING": "false",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "GIT_PYTHON_REFRESH": "quiet",
}
LOUD_LOGGERS = ("mlflow", "alembic", "matplotlib")
PREDICTIONS = "predictions.parquet"
"""Scored test rows, as evaluation leaves them."""
TAG = "lakehouse."
"""How the tags begin that we set on runs and versions."""


@dataclass(frozen=True)
class Context:
    """What a step works with."""

    settings: Settings
    client: MlflowClient
    say: Say


@dataclass(frozen=True)
class TrainingRun:
    """A training run as MLflow has it: all that a later step, or a later day, needs to go on or do it again."""

    run_id: str
    config: ModelConfig
    pin: Pin
    git_commit: str
    tags: Mapping[str, str]
    artifact_uri: str

    def is_done(self, step: str) -> bool:
        """Return whether a step has ended well."""
        return f"{TAG}step.{step}" in self.tags


def open_tracking(settings: Settings, say: Say) -> Context:
    """Open MLflow's store.

    Raises:
        UnavailableError: it can't be opened.
    """
    os.environ.update(SWITCHES)
    if settings.mlflow_user:  # by MLflow's own variables: an address with a password in it would be logged
        os.environ["MLFLOW_TRACKING_USERNAME"] = settings.mlflow_user
        os.environ["MLFLOW_TRACKING_PASSWORD"] = settings.mlflow_password.get_secret_value()
    for name in LOUD_LOGGERS:
        logging.getLogger(name).setLevel(logging.ERROR)
    if settings.mlflow_tracking_uri.startswith("sqlite:///"):
        folder = Path(settings.mlflow_tracking_uri.removeprefix("sqlite:///")).parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UnavailableError(f"MLflow's store: {folder} can't be made ({error.strerror})") from None
    with mlflow_errors():
        import mlflow
        from mlflow import MlflowClient

        mlflow.set_tracking_uri(settings.mlflow_tracking_uri)
        mlflow.set_registry_uri(settings.mlflow_tracking_uri)
        return Context(settings, MlflowClient(), say)


@contextmanager
def mlflow_errors() -> Iterator[None]:
    """Turn MLflow's and its database's failures into one line."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError) as error:
        why = (str(error).splitlines() or [type(error).__name__])[0]
        raise UnavailableError(f"MLflow's store: {why}; run the same again when it is back") from error


def experiment_id(context: Context, name: str) -> str:
    """Return the experiment's id, made where it is missing."""
    from mlflow.exceptions import MlflowException

    found = context.client.get_experiment_by_name(name)
    if found is None:
        try:
            location = f"{context.settings.mlflow_artifacts_uri}/{name}"
            return str(context.client.create_experiment(name, artifact_location=location))
        except MlflowException:  # another process made it first
            found = context.client.get_experiment_by_name(name)
            if found is None:
                raise
    return str(found.experiment_id)


def start_run(context: Context, config: ModelConfig, snapshot_id: int, schema_id: int) -> TrainingRun:
    """Make the MLflow run of one training; what later steps need is there from its first moment."""
    dataset = config.table.partition(".")[2]
    commit = git_commit()
    tags = {
        f"{TAG}model": config.name,
        f"{TAG}config": json.dumps(json.loads(config.as_json()), separators=(",", ":")),
        f"{TAG}config_sha256": config.sha256,
        f"{TAG}table": config.table,
        f"{TAG}snapshot_id": str(snapshot_id),
        f"{TAG}schema_id": str(schema_id),
        f"{TAG}git_commit": commit,
        "mlflow.source.name": f"lakehouse train {config.name}",
        "mlflow.source.type": "LOCAL",
        "mlflow.source.git.commit": commit.rstrip("+"),
    }
    run = context.client.create_run(
        experiment_id(context, config.experiment),
        tags=tags,
        run_name=f"{dataset}_{config.model_type}_{context.settings.profile}",
    )
    return describe_run(run)


def read_run(context: Context, run_id: str) -> TrainingRun:
    """Read a training run back.

    Raises:
        BadInputError: MLflow has no such run, or it was not made here.
    """
    from mlflow.exceptions import MlflowException

    try:
        run = context.client.get_run(run_id)
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise
        raise BadInputError(f"MLflow has no run {run_id!r}") from None
    if f"{TAG}config" not in run.data.tags:
        raise BadInputError(f"run {run_id} was not made by lakehouse train")
    return describe_run(run)


def describe_run(run: Run) -> TrainingRun:
    """Turn MLflow's run into ours."""
    from ml.pins import tag_name

    tags = dict(run.data.tags)
    config = parse_config(tags[f"{TAG}config"], f"configuration of run {run.info.run_id}")
    pin = Pin(
        identifier=tags[f"{TAG}table"],
        tag=tag_name(config.name, run.info.run_id),
        snapshot_id=int(tags[f"{TAG}snapshot_id"]),
        schema_id=int(tags[f"{TAG}schema_id"]),
    )
    return TrainingRun(run.info.run_id, config, pin, tags[f"{TAG}git_commit"], tags, run.info.artifact_uri)


def read_predictions(context: Context, run: TrainingRun) -> pa.Table:
    """Return the scored test rows of a run."""
    with tempfile.TemporaryDirectory() as scratch:
        return pq.read_table(context.client.download_artifacts(run.run_id, PREDICTIONS, scratch))


def mark(context: Context, run: TrainingRun, step: str, facts: Mapping[str, str] | None = None) -> TrainingRun:
    """Write down that a step has ended well: its facts first, the mark last."""
    for name, value in (facts or {}).items():
        context.client.set_tag(run.run_id, f"{TAG}{name}", value)
    context.client.set_tag(run.run_id, f"{TAG}step.{step}", "done")
    return read_run(context, run.run_id)


def log_parameters(context: Context, run: TrainingRun) -> None:
    """Log everything that changes the model: the whole configuration, other model types' hyperparameters left out."""
    from mlflow.entities import Param

    values = json.loads(run.config.as_json())
    values["hyperparameters"] = run.config.chosen_hyperparameters()
    parameters = [Param(name, value) for name, value in flatten(values)]
    for first in range(0, len(parameters), MOST_PARAMETERS):
        context.client.log_batch(run.run_id, params=parameters[first : first + MOST_PARAMETERS])


def flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield the leaves of nested mappings under dotted names."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value if isinstance(value, str) else json.dumps(value)


def log_dataset(context: Context, run: TrainingRun, rows: pa.Table) -> None:
    """Log table, snapshot, tag and schema id as the run's dataset."""
    from mlflow.data.meta_dataset import MetaDataset
    from mlflow.entities import DatasetInput, InputTag
    from mlflow.types.utils import _infer_schema

    from ml.iceberg_source import IcebergSource

    source = IcebergSource(run.pin.identifier, run.pin.snapshot_id, run.pin.tag, run.pin.schema_id)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # advice on integer columns of a served model, which this is not
        schema = _infer_schema(rows.slice(0, 1000).to_pandas())
    dataset = MetaDataset(source, name=run.pin.identifier, digest=str(run.pin.snapshot_id), schema=schema)
    context.client.log_inputs(
        run.run_id, [DatasetInput(dataset._to_mlflow_entity(), [InputTag("mlflow.data.context", "training")])]
    )
