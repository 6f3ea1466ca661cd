"""The pipelines of all domains in one session: which of them run, and the exit code of the whole."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import pytest

from lakehouse.errors import ExitCode
from spark_jobs.layers import chain, command_line
from spark_jobs.layers.command_line import has_days, main_of_domains

DOMAINS = ("energy", "finance", "vision")


@dataclass(frozen=True)
class Asked:
    slices: tuple | None = (date(2024, 8, 8),)


@pytest.fixture
def run_domains(monkeypatch):
    """run_domains(codes) runs domains that end with these codes; returns the code of the whole and what was asked."""

    def install(codes):
        asked = {}

        def run_domain(domain, request):
            asked[domain] = request.slices
            return ExitCode(codes[domain])

        monkeypatch.setattr(chain, "run_domain", run_domain)
        ended = []
        monkeypatch.setattr(command_line, "finish", lambda arguments, name, work: ended.append(work(Asked())))
        monkeypatch.setattr(command_line, "parse_arguments", lambda arguments, description: None)
        main_of_domains("All domains.", DOMAINS)
        return ended[0], asked

    return install


@pytest.mark.parametrize(
    ("codes", "expected", "runs"),
    [
        pytest.param((0, 0, 0), ExitCode.DONE, 3, id="all done"),
        pytest.param((5, 0, 0), ExitCode.QUARANTINED, 3, id="a quarantined file stops nothing and is in the code"),
        pytest.param((0, 3, 0), ExitCode.AUDIT_FAILED, 2, id="a failed audit ends the whole"),
        pytest.param((5, 75, 0), ExitCode.UNAVAILABLE, 2, id="the code is the failure's, not the notice's before it"),
    ],
)
def test_domains_end_at_the_first_failure(run_domains, codes, expected, runs):
    code, asked = run_domains(dict(zip(DOMAINS, codes, strict=True)))
    assert (code, len(asked)) == (expected, runs)


def test_days_are_not_asked_of_image_sets(run_domains):
    _, asked = run_domains(dict.fromkeys(DOMAINS, 0))
    assert asked == {"energy": (date(2024, 8, 8),), "finance": (date(2024, 8, 8),), "vision": None}
    assert [has_days(domain) for domain in DOMAINS] == [True, True, False]
