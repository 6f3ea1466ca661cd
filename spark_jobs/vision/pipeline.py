"""The vision pipeline: every table of each image set in one session, set by set.

Reads   the landing folder
Writes  bronze, silver and gold of images

A set that fails does not stop the others; the first failure's exit code is the one of the whole.
"""

from __future__ import annotations

from lakehouse.errors import ExitCode
from spark_jobs.engine.job import Request
from spark_jobs.layers.command_line import finish, parse_arguments
from spark_jobs.vision import bronze_images, gold_images, silver_images
from spark_jobs.vision.command_line import run_sets


def run_pipeline(request: Request) -> ExitCode:
    """Run every job of every set."""
    return run_sets(request, lambda name: (bronze_images.JOB, silver_images.JOB, gold_images.job_of(name)))


if __name__ == "__main__":
    finish(parse_arguments(None, __doc__ or "", is_by_set=True), "vision.pipeline", run_pipeline)
