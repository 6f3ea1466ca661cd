"""The pipelines of all domains in one session: which of them run, and the exit code of the whole."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import pytest

from lakehouse.config.project import ROOT
from lakehouse.errors import ExitCode
from spark_jobs.pipeline import PIPELINES, run_pipelines
from spark_jobs.vision import pipeline as vision


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


def test_every_domain_that_has_a_pipeline_is_in_it():
    folders = {path.parent.name for path in (ROOT / "spark_jobs").glob("*/pipeline.py")}
    assert set(PIPELINES) == folders


def test_images_have_no_days(monkeypatch):
    @dataclass(frozen=True)
    class Asked:
        days: tuple | None

    seen = []
    monkeypatch.setattr(vision, "run_pipeline", lambda request: seen.append(request.days) or ExitCode.DONE)
    assert run_pipelines(Asked((date(2024, 8, 8),)), [PIPELINES["vision"]]) == ExitCode.DONE
    assert seen == [None]
