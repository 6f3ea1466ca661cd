"""How a run is judged: by rows that were held back, where its model has some, then by its test rows, once.

Only models that hold rows back for it have this gate (`ml.model.Validated`). A model that fails it never sees the
test rows, so that settings can be tried as often as wanted and the test split still tells the truth once.

Writes  metrics, plots, the scored test rows; validation_<name> and plots below validation/ of rows held back
        tags of the run: gate, gate_verdict, metrics; test_split and test_openings tell how often test was seen
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ml.gate import Demand, Verdict, judge
from ml.model import Deflated, Validated, find_model
from ml.registry import MODEL_FILES, download_model
from ml.tracking import PREDICTIONS, TAG, Context, TrainingRun, mark
from ml.trials import find_trials, log_trials

OPENINGS = f"{TAG}test_openings"
TEST_SPLIT = f"{TAG}test_split"


def judge_validation(context: Context, run: TrainingRun, rows: pa.Table, folder: Path) -> Verdict | None:
    """Judge a model by the gate on the rows held back from training; None where it has none."""
    model = find_model(run.config)
    if not isinstance(model, Validated):
        return None
    scored = model.score_validation(rows, folder)
    evaluation = model.evaluate(scored)
    with tempfile.TemporaryDirectory() as scratch:
        model.plot(scored, folder, Path(scratch))
        context.client.log_artifacts(run.run_id, scratch, "validation")
    for name, value in evaluation.metrics.items():
        context.client.log_metric(run.run_id, f"validation_{name}", value)
        context.say(f"evaluate: validation {name} {value:.4f}")
    found = judge(run.config, evaluation, scored)
    verdict = Verdict(tuple(Demand(f"validation {each.words}", each.is_met) for each in found.demands))
    for line in verdict.lines():
        context.say(f"evaluate: {line}")
    if not verdict.is_passed and OPENINGS not in run.tags:
        context.client.set_tag(run.run_id, TEST_SPLIT, "not opened: validation did not pass")
    return verdict


def open_test(context: Context, run: TrainingRun) -> None:
    """Write down that the test rows are about to be scored: before they are, so that a crash can't hide it."""
    if not isinstance(find_model(run.config), Validated):
        return
    openings = int(run.tags.get(OPENINGS, "0")) + 1
    times = "once" if openings == 1 else f"{openings} times, the step was repeated,"
    context.client.set_tag(run.run_id, OPENINGS, str(openings))
    context.client.set_tag(run.run_id, TEST_SPLIT, f"opened {times} last at {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}")
    context.say(f"evaluate: the test split is opened {times}".rstrip(","))


def evaluate_run(context: Context, run: TrainingRun, rows: pa.Table) -> TrainingRun:
    """Measure a run's model on its test rows, draw them, and hold it against the gate."""
    model = find_model(run.config)
    with tempfile.TemporaryDirectory() as scratch, download_model(context, run) as packed:
        folder = packed / MODEL_FILES
        validation = judge_validation(context, run, rows, folder)
        if validation and not validation.is_passed:
            return mark(context, run, "evaluate", gate_facts(validation, {}))
        open_test(context, run)
        scored = model.score(rows, folder)
        evaluation = model.evaluate(scored)
        if isinstance(model, Deflated):
            trials = find_trials(context, run)
            log_trials(context, run, trials)
            evaluation = model.deflate(evaluation, [trial.metrics for trial in trials])
        plots = Path(scratch) / "plots"
        plots.mkdir()
        model.plot(scored, folder, plots)
        pq.write_table(scored.filter(pa.compute.field("is_test")), Path(scratch) / PREDICTIONS)
        context.client.log_artifacts(run.run_id, scratch)
    for name, value in evaluation.metrics.items():
        context.client.log_metric(run.run_id, name, value)
        context.say(f"evaluate: {name} {value:.4f}")
    verdict = judge(run.config, evaluation, scored)
    for line in verdict.lines():
        context.say(f"evaluate: {line}")
    return mark(context, run, "evaluate", gate_facts(verdict, evaluation.metrics))


def gate_facts(verdict: Verdict, metrics: Mapping[str, float]) -> dict[str, str]:
    """Return what a run keeps of its gate."""
    passed = "passed" if verdict.is_passed else "failed"
    return {"gate": passed, "gate_verdict": verdict.describe(), "metrics": json.dumps(dict(metrics))}
