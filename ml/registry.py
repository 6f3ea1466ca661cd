"""Registered versions: made whole first, named by an alias last, checked against their sha256 before they are loaded.

Writes  the tag of gold, now lasting; MLflow's model version; registry.model_versions; then alias challenger

A version counts as whole when its tag `lakehouse.is_complete` says so, which is set when everything before it is there.
Registering the same run again goes on where it broke off.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from lakehouse.errors import BadInputError, first_line
from lakehouse.lake.catalog import append_log, read_log
from lakehouse.lake.migration import require_tables
from lakehouse.tables.registry import MODEL_VERSIONS
from ml.model_files import TamperedError, tree_sha256
from ml.pins import pin
from ml.tracking import TAG, Context, TrainingRun, read_run

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

MODEL_FILES = "data/files"
"""Where the model's own files lie inside what MLflow keeps: MLflow's data folder, and ours by its name."""
CHALLENGER = "challenger"
CHAMPION = "champion"
COMPLETE = f"{TAG}is_complete"


@contextmanager
def download_model(context: Context, run: TrainingRun) -> Iterator[Path]:
    """Copy a run's model to a folder of its own and hold it against its sha256.

    Raises:
        TamperedError: the files are not those that training wrote.
    """
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException

    with tempfile.TemporaryDirectory() as scratch:
        try:
            found = Path(download_artifacts(artifact_uri=f"{run.artifact_uri}/model", dst_path=scratch))
        except (MlflowException, OSError) as error:
            why = first_line(error)
            raise TamperedError(f"the files of run {run.run_id} can't be read: {why}") from error
        sha256, expected = tree_sha256(found), run.tags.get(f"{TAG}model_sha256")
        if sha256 != expected:
            raise TamperedError(f"the files of run {run.run_id} have sha256 {sha256}, expected {expected}: not loaded")
        yield found


def register_run(context: Context, run: TrainingRun) -> int:
    """Register a run's model and point `challenger` at it; return the version."""
    pin(context.settings, run.pin.table, run.pin.snapshot_id, run.pin.tag, None)
    with download_model(context, run):
        pass  # what can't be loaded is not registered
    make_registered_model(context, run)
    version = find_version_of(context, run) or create_version(context, run)
    number = int(version.version)
    if version.tags.get(COMPLETE) != "true":
        record_version(context, run, number)
        context.client.set_model_version_tag(run.config.name, version.version, COMPLETE, "true")
    current = find_alias(context, run.config.name, CHALLENGER)
    if current is None or int(current.version) < number:
        context.client.set_registered_model_alias(run.config.name, CHALLENGER, version.version)
    return number


def make_registered_model(context: Context, run: TrainingRun) -> None:
    """Make the registered model where it is missing."""
    from mlflow.exceptions import MlflowException

    try:
        context.client.create_registered_model(run.config.name, description=run.config.description)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def find_version_of(context: Context, run: TrainingRun) -> ModelVersion | None:
    """Return the version that was registered from a run before."""
    found = context.client.search_model_versions(f"name='{run.config.name}' and run_id='{run.run_id}'")
    return min(found, key=lambda version: int(version.version)) if found else None


def create_version(context: Context, run: TrainingRun) -> ModelVersion:
    """Make the version; its tags come with it, in one transaction of MLflow's."""
    kept = ("config_sha256", "model_sha256", "table", "snapshot_id", "schema_id", "git_commit", "gate_verdict")
    tags = {f"{TAG}{name}": run.tags[f"{TAG}{name}"] for name in kept}
    tags[f"{TAG}tag"] = run.pin.tag
    return context.client.create_model_version(run.config.name, f"{run.artifact_uri}/model", run.run_id, tags)


def record_version(context: Context, run: TrainingRun, version: int) -> None:
    """Write the version into registry.model_versions, once."""
    require_tables(context.settings, [MODEL_VERSIONS])
    known = read_log(context.settings, MODEL_VERSIONS).to_pylist()
    if any(row["mlflow_run_id"] == run.run_id and row["version"] == version for row in known):
        return
    row = {
        "model_name": run.config.name,
        "version": version,
        "mlflow_run_id": run.run_id,
        "experiment_name": run.config.experiment,
        "model_type": run.config.model_type,
        "owner": run.config.owner,
        "is_gate_passed": run.tags[f"{TAG}gate"] == "passed",
        "gate_verdict": run.tags[f"{TAG}gate_verdict"],
        "metrics": run.tags[f"{TAG}metrics"],
        "table_names": [run.pin.identifier],
        "tags": [run.pin.tag],
        "snapshot_ids": [run.pin.snapshot_id],
        "config_sha256": run.config.sha256,
        "model_sha256": run.tags[f"{TAG}model_sha256"],
        "git_commit": run.git_commit,
        "registered_at": datetime.now(UTC),
    }
    append_log(context.settings, MODEL_VERSIONS, [row])


def find_alias(context: Context, name: str, alias: str) -> ModelVersion | None:
    """Return the version that an alias names; None where it names none."""
    from mlflow.exceptions import MlflowException

    try:
        return context.client.get_model_version_by_alias(name, alias)
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise


def find_version(context: Context, name: str, version: int) -> ModelVersion:
    """Return a whole version by its number.

    Raises:
        BadInputError: there is none, or it was never made whole.
    """
    from mlflow.exceptions import MlflowException

    try:
        found = context.client.get_model_version(name, str(version))
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise
        numbers = [each.version for each in context.client.search_model_versions(f"name='{name}'")]
        known = ", ".join(sorted(map(str, numbers), key=int)) or "none"
        raise BadInputError(f"{name} has no version {version}; there are {known}") from None
    if found.tags.get(COMPLETE) != "true":
        again = f"lakehouse train {name} --step register --run-id {found.run_id}"
        raise BadInputError(f"version {version} of {name} is incomplete: {again} completes it")
    return found


def resolve(context: Context, reference: str) -> tuple[int, TrainingRun]:
    """Return version and run of `name@alias`, `name/3` or, meaning its champion, `name`.

    Raises:
        BadInputError: there is no such version.
    """
    name, at, alias = reference.partition("@")
    name, slash, number = name.partition("/")
    if slash and not at:
        if not number.isdecimal():
            raise BadInputError(f"expected a version like {name}/3, found {reference!r}")
        found = find_version(context, name, int(number))
    else:
        chosen = find_alias(context, name, alias or CHAMPION)
        if chosen is None:
            raise BadInputError(f"{name} has no {alias or CHAMPION}; lakehouse models lists what there is")
        found = find_version(context, name, int(chosen.version))
    return int(found.version), read_run(context, found.run_id)
