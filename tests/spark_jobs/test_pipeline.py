"""The pipelines of all domains in one session: which of them run, and the exit code of the whole."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import pytest

from lakehouse.errors import ExitCode
from lakehouse.tables import has_days
from spark_jobs.layers import chain, command_line
from spark_jobs.layers.command_line import main_of_domains

DOMAINS = ("energy", "finance", "vision")


@dataclass(frozen=True)
class Asked:
    slices: tuple | None = (date(2024, 8, 8),)


@pytest.fixture
def run_domains(monkeypatch):
    """run_domains(codes) runs domains that end with these codes; returns the code of the whole and what was asked."""

    def install(codes):
        asked = {}

        def run_domain(domain, request, choice):
            asked[domain] = request.slices
            return ExitCode(codes[domain])

        monkeypatch.setattr(chain, "run_domain", run_domain)
        ended = []
        monkeypatch.setattr(command_line, "finish", lambda arguments, name, work, *_: ended.append(work(Asked())))
        main_of_domains("All domains.", DOMAINS, [])
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


def test_plan_prints_what_is_due_and_which_layers_have_work_without_a_session(monkeypatch, capsys):
    def plan_domain(domain, request, choice):
        assert (choice.layers, choice.names) == ((), ("silver.trades", "gold.bars_1m", "gold.instruments"))
        return {"finance": {"gold": ("x: due 2024-08-08",)}, "energy": {"silver": ("y: follows bronze",)}}.get(
            domain, {}
        )

    monkeypatch.setattr(chain, "plan_domain", plan_domain)
    monkeypatch.setattr(command_line, "build_session", lambda *_: pytest.fail("a session was started"))
    chosen = ["--jobs", "silver.trades,gold.bars_1m", "--jobs", "gold.instruments"]
    with pytest.raises(SystemExit) as ended:
        main_of_domains("All domains.", DOMAINS, ["--plan", *chosen])
    assert ended.value.code == 0
    assert capsys.readouterr().out.splitlines() == ["y: follows bronze", "x: due 2024-08-08", "work: silver, gold"]


def test_the_last_line_of_a_plan_is_what_the_dags_read():
    from dags.common import tables

    assert tables.WORK == command_line.WORK
