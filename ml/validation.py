"""Before the test rows are looked at: the gate on rows that were held back, and a count of how often test was opened.

Only models that hold rows back for it have this gate (`Model.score_validation`). A model that fails it never sees the
test rows, so that settings can be tried as often as wanted and the test split still tells the truth once.

Writes  metrics validation_<name>, plots below validation/, tags test_split and test_openings of the run
"""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa

from ml.gate import Demand, Verdict, judge
from ml.model import find_model
from ml.tracking import TAG, Context, TrainingRun

OPENINGS = f"{TAG}test_openings"
TEST_SPLIT = f"{TAG}test_split"


def judge_validation(context: Context, run: TrainingRun, rows: pa.Table, folder: Path) -> Verdict | None:
    """Hold a model against the gate on the rows held back from training; None where it has none."""
    model = find_model(run.config)
    if not model.score_validation:
        return None
    scored = model.score_validation(run.config, rows, folder)
    evaluation = model.evaluate(run.config, scored)
    with tempfile.TemporaryDirectory() as scratch:
        model.plot(run.config, scored, folder, Path(scratch))
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
    if not find_model(run.config).score_validation:
        return
    openings = int(run.tags.get(OPENINGS, "0")) + 1
    times = "once" if openings == 1 else f"{openings} times, the step was repeated,"
    context.client.set_tag(run.run_id, OPENINGS, str(openings))
    context.client.set_tag(run.run_id, TEST_SPLIT, f"opened {times} last at {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}")
    context.say(f"evaluate: the test split is opened {times}".rstrip(","))
