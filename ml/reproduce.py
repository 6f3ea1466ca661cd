"""Train a registered version again from its tag and configuration, and say what came out differently."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ml.environment import environment, git_commit
from ml.model import Deflated, find_model, key_columns
from ml.model_files import file_sha256
from ml.registry import MODEL_FILES, download_model, find_version
from ml.steps import fit_into, read_rows
from ml.tracking import (
    TAG,
    Context,
    TrainingRun,
    mlflow_errors,
    read_predictions,
    read_run,
)
from ml.trials import read_trials


@dataclass(frozen=True)
class Reproduction:
    """Differences of a version and its repetition; `notes` are what may explain them."""

    metrics: Mapping[str, float]
    """Absolute difference per metric."""
    prediction_rows: int
    prediction_difference: float
    """Largest absolute difference of a forecast on the test rows."""
    files_differ: tuple[str, ...]
    notes: tuple[str, ...] = field(default=())

    @property
    def is_equal(self) -> bool:
        """True where metrics and forecasts are the same numbers."""
        return not any(self.metrics.values()) and self.prediction_difference == 0

    def lines(self) -> list[str]:
        """Return it for a person."""
        largest = max(self.metrics.items(), key=lambda item: item[1])
        return [
            *self.notes,
            f"metrics: {len(self.metrics)} compared, largest difference {largest[1]:g} ({largest[0]})",
            f"predictions: {self.prediction_rows} compared, largest difference {self.prediction_difference:g}",
            f"model files that differ: {', '.join(self.files_differ) or 'none'}",
            "reproduced: no difference" if self.is_equal else "not reproduced",
        ]


def train_again(context: Context, name: str, version: int) -> Reproduction:
    """Train a version again and compare.

    Raises:
        BadInputError: no such version, or its tag is gone.
    """
    with mlflow_errors():
        run = read_run(context, find_version(context, name, version).run_id)
        rows = read_rows(context, run)
        model = find_model(run.config)
        with tempfile.TemporaryDirectory() as scratch, download_model(context, run) as packed:
            folder = Path(scratch) / "files"
            fit_into(folder, run.config, rows, context.say)
            scored = model.score(rows, folder)
            evaluation = model.evaluate(scored)
            if isinstance(model, Deflated):  # beside what had been tried then
                trials = read_trials(context, run, Path(scratch))
                evaluation = model.deflate(evaluation, [trial.metrics for trial in trials])
            metrics = evaluation.metrics
            old_files = {path.name: file_sha256(path) for path in (packed / MODEL_FILES).iterdir()}
            new_files = {path.name: file_sha256(path) for path in folder.iterdir()}
            old = read_predictions(context, run)
    recorded: dict[str, float] = json.loads(run.tags[f"{TAG}metrics"])
    difference, count = compare_predictions(old, scored.filter(pc.field("is_test")))
    names = sorted(set(recorded) | set(metrics))
    return Reproduction(
        metrics={key: abs(recorded.get(key, np.inf) - metrics.get(key, np.inf)) for key in names},
        prediction_rows=count,
        prediction_difference=difference,
        files_differ=tuple(sorted(n for n in old_files.keys() | new_files if old_files.get(n) != new_files.get(n))),
        notes=tuple(explain(context, run)),
    )


def compare_predictions(old: pa.Table, new: pa.Table) -> tuple[float, int]:
    """Return the largest difference of forecasts of the same rows, infinite where rows differ, and their number."""
    keys = key_columns(old)
    order = [(name, "ascending") for name in keys]
    old, new = old.sort_by(order), new.sort_by(order)
    if not old.select(keys).equals(new.select(keys)):
        return float("inf"), min(old.num_rows, new.num_rows)
    gaps = [
        np.abs(old.column(name).to_numpy() - new.column(name).to_numpy()).max()
        for name in ("forecast", "lower", "upper", "confidence")
        if name in old.column_names
    ]
    return float(max(gaps)), new.num_rows


def explain(context: Context, run: TrainingRun) -> list[str]:
    """Describe what is not as it was when the version was trained."""
    notes = []
    now = git_commit()
    if now != run.git_commit:
        notes.append(f"code: now {now or 'outside of git'}, then {run.git_commit or 'outside of git'}")
    then = json.loads(Path(context.client.download_artifacts(run.run_id, "environment.json")).read_text("utf-8"))
    changed = [
        f"{name} {then[name] or 'none'} -> {value or 'none'}"
        for name, value in environment().items()
        if name in then and then[name] != value  # what was not recorded then is not known
    ]
    if changed:
        notes.append(f"environment: {', '.join(changed)}")
    return notes
