"""Trials: what was tried before a run, counted from the experiment's runs, so that luck can be told from skill.

Writes  trials.json of the run   what its evaluation counted, which reproducing it reads again

The best of many configurations looks good by chance. Who deflates a result has to know how many there were, and nobody
remembers: so every run counts that has learned anything, of the same experiment or of the same model elsewhere, failed
and deleted ones too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ml.tracking import TAG, Context, TrainingRun

if TYPE_CHECKING:
    from mlflow.entities import Run

TRIALS = "trials.json"


@dataclass(frozen=True)
class Trial:
    """One configuration that was tried; `metrics` are those of its newest evaluated run, else of its newest."""

    config_sha256: str
    metrics: Mapping[str, float]


def find_trials(context: Context, run: TrainingRun) -> list[Trial]:
    """Return the other configurations that were tried, ordered by their sha256; runs of one configuration are one."""
    newest: dict[str, Run] = {}
    for other in learned_runs(context, run):
        sha256 = other.data.tags[f"{TAG}config_sha256"]
        known = newest.get(sha256)
        if known is None or order_of(other) > order_of(known):
            newest[sha256] = other
    newest.pop(run.config.sha256, None)
    return [Trial(sha256, dict(newest[sha256].data.metrics)) for sha256 in sorted(newest)]


def order_of(run: Run) -> tuple[bool, int]:
    """Return what the run that counts has most of: a run logs metrics from its first step on, results with the last."""
    return f"{TAG}step.evaluate" in run.data.tags, run.info.start_time


def learned_runs(context: Context, run: TrainingRun) -> Iterator[Run]:
    """Yield the runs that have trained: all of the run's experiment, and those of its model in other experiments."""
    from mlflow.entities import ViewType

    own = context.client.get_run(run.run_id).info.experiment_id
    experiments = [each.experiment_id for each in context.client.search_experiments(ViewType.ALL)]
    of_model = f"tags.`{TAG}model` = '{run.config.name}'"
    for where, what in (([own], ""), (experiments, f" and {of_model}")):
        token = None
        while True:
            page = context.client.search_runs(
                where, f"tags.`{TAG}step.train` = 'done'{what}", ViewType.ALL, page_token=token
            )
            yield from page
            token = page.token
            if not token:
                break


def log_trials(context: Context, run: TrainingRun, trials: Sequence[Trial]) -> None:
    """Keep what was counted with the run."""
    context.client.log_text(run.run_id, json.dumps([asdict(each) for each in trials], indent=1), TRIALS)


def read_trials(context: Context, run: TrainingRun, scratch: Path) -> list[Trial]:
    """Read what was counted when the run was evaluated."""
    path = Path(context.client.download_artifacts(run.run_id, TRIALS, str(scratch)))
    return [Trial(**each) for each in json.loads(path.read_text(encoding="utf-8"))]
