"""The steps of training: prepare, train, evaluate, register, promote; each by itself, each safe to repeat.

Reads   one gold table at the tag that prepare sets
Writes  one MLflow run: parameters, metrics, plots, the model's files, a log a step; a tag `lakehouse.step.<step>` when
        a step is done; then what ml/registry.py and ml/promotion.py write

A step that is marked done is not done again. One that died half-way writes the same things under the same names.
"""

from __future__ import annotations

import json
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa

from lakehouse.errors import BadInputError, LakehouseError
from lakehouse.tables import find_table
from ml.config import ModelConfig, find_config
from ml.environment import environment, pinned_packages
from ml.evaluation import evaluate_run
from ml.gate import GateFailedError
from ml.gold import choose_snapshot, read_gold
from ml.model import Say, find_model
from ml.model_files import INDEX, tree_sha256, write_index
from ml.pins import pin
from ml.promotion import promote_if_better
from ml.registry import MODEL_FILES, register_run
from ml.served import CONFIG
from ml.tracking import (
    Context,
    TrainingRun,
    log_dataset,
    log_parameters,
    mark,
    mlflow_errors,
    read_run,
    start_run,
)
from ml.training_log import kept_log


def train_model(
    context: Context,
    name: str,
    *,
    overrides: Sequence[str] = (),
    as_of: str | None = None,
    step: str | None = None,
    run_id: str | None = None,
) -> TrainingRun:
    """Run all steps, or one of them; with a run id go on with that run.

    Raises:
        BadInputError: a step without its run, or a run of another model.
        GateFailedError: the model is not good enough.
    """
    with mlflow_errors():
        config = find_config(name, overrides)
        if run_id is None:
            if step not in (None, "prepare"):
                raise BadInputError(f"--step {step} goes on with a run: name it with --run-id")
            run = begin(context, config, as_of)
        else:
            if overrides or as_of:
                raise BadInputError("a run has its configuration and snapshot: --set and --as-of begin a new one")
            run = read_run(context, run_id)
            if run.config.name != name:
                raise BadInputError(f"run {run_id} is of {run.config.name}, not of {name}")
        wanted = [step] if step else [*STEPS]
        try:
            for each in wanted:
                run = run_step(context, run, each)
        except LakehouseError as error:
            context.client.set_tag(run.run_id, "lakehouse.failure", str(error))
            context.client.set_terminated(run.run_id, "FAILED")
            raise
        if run.is_done("register"):
            context.client.set_terminated(run.run_id, "FINISHED")
        return run


def run_step(context: Context, run: TrainingRun, step: str) -> TrainingRun:
    """Run one step unless it is done.

    Raises:
        BadInputError: an earlier step is not done.
    """
    earlier = [*STEPS][: [*STEPS].index(step)]
    missing = next((each for each in earlier if not run.is_done(each)), None)
    if missing:
        raise BadInputError(f"run {run.run_id}: {missing} comes before {step}: --step {missing} --run-id {run.run_id}")
    if run.is_done(step) and step != "promote":
        context.say(f"{step}: done already")
        return run
    began = time.monotonic()
    with kept_log(context, run.run_id, step) as logged:
        run = STEPS[step](logged, run)
        seconds = time.monotonic() - began
        context.client.log_metric(run.run_id, f"seconds_{step}", seconds)
        logged.say(f"{step}: done in {seconds:.1f} s")
    return run


def begin(context: Context, config: ModelConfig, as_of: str | None) -> TrainingRun:
    """Choose the snapshot and make the run."""
    snapshot_id, schema_id = choose_snapshot(context.settings, find_table(config.table), as_of)
    run = start_run(context, config, snapshot_id, schema_id)
    context.say(f"run {run.run_id} of {config.name}: {config.table} at snapshot {snapshot_id}")
    return run


def prepare(context: Context, run: TrainingRun) -> TrainingRun:
    """Tag the snapshot, hold gold against size, age and leaks, and log what the run is made from."""
    max_age = context.settings.failed_run_tag_max_age_days
    pin(context.settings, run.pin.table, run.pin.snapshot_id, run.pin.tag, max_age)
    rows = read_rows(context, run, find_model(run.config).columns_to_check())
    check_size_and_age(run.config, rows)
    find_model(run.config).check(rows)
    log_parameters(context, run)
    log_dataset(context, run, rows)
    context.client.log_text(run.run_id, run.config.as_json(), "config.json")
    context.client.log_metric(run.run_id, "rows", rows.num_rows)
    context.say(f"prepare: {rows.num_rows} rows, tag {run.pin.tag}, no leak found")
    return mark(context, run, "prepare")


def read_rows(context: Context, run: TrainingRun, more: Sequence[str] = ()) -> pa.Table:
    """Read the rows and columns that the model wants at the run's tag, and `more` columns.

    Only `prepare` reads what checks need: a version is reproduced from a tag that lacks a column which only they read.
    """
    model = find_model(run.config)
    return read_gold(context.settings, run.pin, (*model.columns(), *more), model.row_filter())


def check_size_and_age(config: ModelConfig, rows: pa.Table) -> None:
    """Check the rows against the configuration's demands on data.

    Raises:
        BadInputError: too few, or too old.
    """
    if rows.num_rows < config.data.minimum_rows:
        raise BadInputError(f"{config.table} has {rows.num_rows} rows for it; expected {config.data.minimum_rows}")
    limit = config.data.maximum_age_days
    if limit is None:
        return
    newest = find_model(config).newest(rows)
    if newest is None:
        raise BadInputError(f"rows of {config.table} have no time; expected data.maximum_age_days to be null")
    age = (datetime.now(UTC) - newest).days
    if age > limit:
        raise BadInputError(
            f"the newest row of {config.table} is of {newest}, {age} days old; expected {limit} at most"
        )


def train(context: Context, run: TrainingRun) -> TrainingRun:
    """Fit, and log the model's files with signature, example and sha256."""
    rows = read_rows(context, run)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / Path(MODEL_FILES).name
        errors = fit_into(folder, run.config, rows, context.say)
        packed = Path(scratch) / "model"
        save_packed(packed, folder, run.config, rows)
        context.client.log_artifacts(run.run_id, str(packed), "model")
        sha256 = tree_sha256(packed)
    for name, values in errors.items():
        for number, value in enumerate(values):
            context.client.log_metric(run.run_id, name, value, step=number)
    context.client.log_text(run.run_id, json.dumps(environment(), indent=1), "environment.json")
    return mark(context, run, "train", {"model_sha256": sha256})


def fit_into(folder: Path, config: ModelConfig, rows: pa.Table, say: Say) -> Mapping[str, list[float]]:
    """Train into a new folder, whose index carries the configuration; return the course of training."""
    folder.mkdir()
    errors = find_model(config).train(rows, folder, say)
    facts = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    write_index(folder, {**facts, CONFIG: json.loads(config.as_json())})
    return errors


def save_packed(packed: Path, folder: Path, config: ModelConfig, rows: pa.Table) -> None:
    """Wrap the model's files as MLflow serves them."""
    import mlflow.pyfunc
    from mlflow.models import infer_signature

    model = find_model(config)
    features = model.example(rows)
    answers = model.predict_features(folder, features)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # advice on integers that may be missing, which ours can't be
        mlflow.pyfunc.save_model(
            str(packed),
            loader_module="ml.served",
            data_path=str(folder),
            signature=infer_signature(features.to_pandas(), answers.to_pandas()),
            input_example=features.to_pandas(),
            pip_requirements=pinned_packages(("lakehouse-tick", *model.packages())),
        )


def evaluate(context: Context, run: TrainingRun) -> TrainingRun:
    """Measure the model on its test rows, draw them, and hold it against the gate."""
    return evaluate_run(context, run, read_rows(context, run))


def register(context: Context, run: TrainingRun) -> TrainingRun:
    """Register a version that passed the gate.

    Raises:
        GateFailedError: it did not pass.
    """
    if run.tags["lakehouse.gate"] != "passed":
        raise GateFailedError(f"{run.config.name} is not registered; gate {run.tags['lakehouse.gate_verdict']}")
    version = register_run(context, run)
    context.say(f"register: version {version} of {run.config.name} is challenger")
    return mark(context, run, "register", {"version": str(version)})


def promote(context: Context, run: TrainingRun) -> TrainingRun:
    """Make the version champion where a test says so and no person has to."""
    context.say(f"promote: {promote_if_better(context, run, int(run.tags['lakehouse.version']))}")
    return mark(context, run, "promote")


STEPS: dict[str, Callable[[Context, TrainingRun], TrainingRun]] = {
    "prepare": prepare,
    "train": train,
    "evaluate": evaluate,
    "register": register,
    "promote": promote,
}
