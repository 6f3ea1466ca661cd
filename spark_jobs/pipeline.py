"""The pipelines of all domains in one session, one after the other: a session that runs already is a quick start.

Reads   the landing folder
Writes  bronze, silver and gold of every domain

Each takes from the landing folder the files that are its own. --from and --to are of ticks and readings: images have no
days, so every set is looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

import spark_jobs.energy.pipeline
import spark_jobs.finance.pipeline
import spark_jobs.vision.pipeline
from lakehouse.errors import ExitCode
from spark_jobs.engine.job import Request
from spark_jobs.layers.chain import PASSING
from spark_jobs.layers.command_line import finish, parse_arguments

Pipeline = Callable[[Request], ExitCode]


def run_every_image_set(request: Request) -> ExitCode:
    """Run the vision pipeline, whatever days the others are asked for."""
    return spark_jobs.vision.pipeline.run_pipeline(replace(request, days=None))


PIPELINES: Mapping[str, Pipeline] = {
    "finance": spark_jobs.finance.pipeline.run_pipeline,
    "energy": spark_jobs.energy.pipeline.run_pipeline,
    "vision": run_every_image_set,
}
"""By domain, in the order in which they run."""


def run_pipelines(request: Request, pipelines: Iterable[Pipeline] = PIPELINES.values()) -> ExitCode:
    """Run every domain's chain; the first that fails ends the whole with its exit code."""
    worst = ExitCode.DONE
    for run_pipeline in pipelines:
        code = run_pipeline(request)
        if code not in PASSING:
            return code
        worst = max(worst, code)
    return worst


if __name__ == "__main__":
    finish(parse_arguments(None, __doc__ or ""), "pipeline", run_pipelines)
