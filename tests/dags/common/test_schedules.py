"""When something is due inside of a Dag, and for which days a run is."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from dags.common import schedules
from dags.common.schedules import Schedule, chosen_schedule, first_day, is_wanted, last_day_exclusive
from lakehouse.config.settings import read_settings
from lakehouse.errors import BadInputError

FINANCE = Schedule(("30 16 * * *", "0 2 * * 0"), "America/New_York")
ENERGY = Schedule(("0 1 * * *",))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def run_of(end: str, run_type: str = "scheduled") -> SimpleNamespace:
    return SimpleNamespace(data_interval_end=utc(end), run_after=utc(end), run_type=run_type)


@pytest.mark.parametrize(
    ("schedule", "cron", "run", "expected"),
    [
        # Sunday 2024-08-11 02:00 UTC lies between Saturday's 16:30 and Sunday's 02:00 of New York
        pytest.param(FINANCE, "0 2 * * 0", "2024-08-10T20:30", False, id="the run before the tick"),
        pytest.param(FINANCE, "0 2 * * 0", "2024-08-11T06:00", True, id="the first run after the tick"),
        pytest.param(FINANCE, "0 2 * * 0", "2024-08-11T20:30", False, id="the run after that one"),
        pytest.param(ENERGY, "0 1 * * *", "2024-08-11T01:00", True, id="the tick is the run"),
        pytest.param(ENERGY, "0 3 1 * *", "2024-09-01T01:00", False, id="monthly, two hours too early"),
        pytest.param(ENERGY, "0 3 1 * *", "2024-09-02T01:00", True, id="monthly, the next run"),
        pytest.param(ENERGY, "0 3 1 * *", "2024-09-03T01:00", False, id="monthly, once only"),
    ],
)
def test_is_due_in_exactly_one_run_per_tick(schedule, cron, run, expected):
    assert schedule.is_due(cron, utc(run)) is expected


def test_is_due_loses_no_tick_where_clocks_change():
    # New York leaves summer time on 2024-11-03, a Sunday: its 16:30 moves from 20:30 to 21:30 UTC
    runs = ["2024-11-02T20:30", "2024-11-03T07:00", "2024-11-03T21:30", "2024-11-04T21:30"]
    assert [FINANCE.is_due("0 2 * * 0", utc(run)) for run in runs] == [False, True, False, False]


@pytest.mark.parametrize(
    ("cron", "run", "choice", "expected"),
    [
        pytest.param("0 1 * * *", run_of("2024-08-11T01:00"), "when due", True, id="due"),
        pytest.param("0 3 1 * *", run_of("2024-08-11T01:00"), "when due", False, id="not due"),
        pytest.param("0 3 1 * *", run_of("2024-08-11T01:00"), "yes", True, id="asked for"),
        pytest.param("0 1 * * *", run_of("2024-08-11T01:00"), "no", False, id="declined"),
        pytest.param("0 1 * * *", run_of("2024-08-11T01:00", "manual"), "when due", False, id="by hand"),
        pytest.param(None, run_of("2024-08-11T01:00"), "when due", False, id="a model without a schedule"),
        pytest.param(None, run_of("2024-08-11T01:00"), "yes", False, id="asked for all: only those with a schedule"),
    ],
)
def test_is_wanted(cron, run, choice, expected):
    assert is_wanted(ENERGY, cron, run, choice)[0] is expected


def test_days_of_a_scheduled_run_are_the_last_whole_day_and_the_day_so_far():
    run = run_of("2024-08-09T20:30")
    assert (first_day(run, {}), last_day_exclusive(run, {})) == ("2024-08-08", "2024-08-10")


def test_days_of_the_form_win():
    params = {"first_day": "2013-10-07", "last_day_exclusive": "2013-10-08"}
    run = SimpleNamespace(data_interval_end=None, run_after=utc("2024-08-09T20:30"), run_type="manual")
    assert (first_day(run, params), last_day_exclusive(run, params)) == ("2013-10-07", "2013-10-08")
    assert (first_day(run, {}), last_day_exclusive(run, {})) == ("2024-08-08", "2024-08-10")  # without an interval


def test_a_domains_setting_chooses_among_its_dags_schedules_the_first_by_default(monkeypatch):
    def choose(**variables):
        monkeypatch.setattr(schedules, "settings", lambda: read_settings(variables))
        return chosen_schedule("finance", {"daily": (), "manual": ()})

    assert choose() == "daily"
    assert choose(LAKEHOUSE_ENERGY_SCHEDULE="manual") == "daily"
    assert choose(LAKEHOUSE_FINANCE_SCHEDULE="manual") == "manual"
    with pytest.raises(BadInputError) as refused:
        choose(LAKEHOUSE_FINANCE_SCHEDULE="weekly")
    assert str(refused.value) == "LAKEHOUSE_FINANCE_SCHEDULE: expected one of daily, manual, found 'weekly'"
