"""The pipelines of all domains in one session: which of them run, and the exit code of the whole."""

from __future__ import annotations

import pytest

from lakehouse.errors import ExitCode
from spark_jobs.pipeline import PIPELINES, run_pipelines


@pytest.mark.parametrize(
    ("codes", "expected", "runs"),
    [
        pytest.param((0, 0, 0), ExitCode.DONE, 3, id="all done"),
        pytest.param((5, 0, 0), ExitCode.QUARANTINED, 3, id="a quarantined file stops nothing and is told"),
        pytest.param((0, 3, 0), ExitCode.AUDIT_FAILED, 2, id="a failed audit ends the whole"),
        pytest.param((5, 75, 0), ExitCode.UNAVAILABLE, 2, id="the failure is told, not the notice before it"),
    ],
)
def test_run_pipelines_ends_at_the_first_failure(codes, expected, runs):
    asked = []

    def pipeline(code):
        return lambda request: asked.append(request) or ExitCode(code)

    assert run_pipelines("the request", [pipeline(code) for code in codes]) == expected
    assert asked == ["the request"] * runs


def test_every_domain_with_a_pipeline_is_in_it():
    domains = [pipeline.__module__ for pipeline in PIPELINES]
    assert domains == ["spark_jobs.finance.pipeline", "spark_jobs.energy.pipeline", "spark_jobs.vision.pipeline"]
